"""Segments: parse, judge, answer."""

import dataclasses
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from clv.service.body import documented
from clv.service.judging import judge
from clv.service.schemas import SegmentIn, SegmentOut

__all__ = ["router"]

router = APIRouter(tags=["segments"])


@router.post(
    "/api/segments/evaluate",
    summary="Is a campaign for these passengers worth it?",
    response_model=SegmentOut,
    openapi_extra=documented(SegmentIn),
)
async def evaluate_segment(request: Request) -> Response:
    """The verdict on a segment and a campaign, with what it rests on; nothing is tracked.

    Send a JSON document, or a list as `text/csv` with the terms in the query: `margin` and `cost`,
    and where needed `lift`, `level`, `power`, `detect_lift`, `on_invalid` and `column`.
    """
    judged = await judge(request)
    found = {
        **dataclasses.asdict(judged.evaluation),
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
