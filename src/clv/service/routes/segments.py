"""Segments: parse, judge, answer."""

import dataclasses
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from clv.campaign.verdict import document
from clv.service.body import documented
from clv.service.judging import judge
from clv.service.schemas import SegmentIn, SegmentOut

__all__ = ["router"]

router = APIRouter(tags=["segments"])


@router.post(
    "/api/segments/evaluate",
    summary="Judge a campaign for a list of passengers",
    response_model=SegmentOut,
    openapi_extra=documented(SegmentIn),
)
async def evaluate_segment(request: Request) -> Response:
    """Return the verdict on a segment and a campaign with its evidence; nothing is tracked.

    With a `lift` the verdict is about the effect of the campaign (`speaks_of` is `effect`, and
    there is an `expected_profit`). Without one it compares the value of the passengers with the
    cost (`speaks_of` is `value`, with `value_less_cost` instead of profits), which says nothing
    about the campaign: read `minimum_lift`, the lift from which it pays.

    Send a JSON document, or a list as `text/csv` with the terms in the query: `margin` and `cost`,
    and if needed `lift`, `level`, `power`, `detect_lift`, `on_invalid` and `column`.
    """
    judged = await judge(request)
    found = {
        **document(judged.evaluation),
        "model_version": judged.model_version,
        "rows_read": judged.customers.rows_read,
        "findings": [dataclasses.asdict(one) for one in judged.customers.findings],
    }
    return Response(to_json(_rounded(found)), media_type="application/json")


def _rounded(value: Any) -> Any:
    """Numbers to a millionth: what is behind that is noise."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
