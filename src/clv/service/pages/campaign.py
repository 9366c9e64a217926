"""What the Campaign page asks: the verdict as a part of the page, and those who were chosen."""

import asyncio
from http import HTTPStatus

import pyarrow as pa
import pyarrow.csv
from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from clv.campaign.chosen import chosen
from clv.campaign.page import verdict_part
from clv.errors import DataError
from clv.service.judging import Judged, judge_upload
from clv.service.problems import RefusedError
from clv.service.worker import worker_of

__all__ = ["chosen_passengers", "verdict"]


async def verdict(request: Request) -> Response:
    """The verdict on an uploaded list, as HTML to be put into the page."""
    judged = await judge_upload(request, request.query_params.multi_items())
    currency = worker_of(request).settings.currency
    return HTMLResponse(
        await asyncio.to_thread(verdict_part, judged.evaluation, judged.customers, currency)
    )


async def chosen_passengers(request: Request) -> Response:
    """The best of an uploaded list with the value to bid for each, as CSV.

    The list is sent again: the service keeps none, so that any worker can answer.
    """
    query = request.query_params.multi_items()
    own = {name: value for name, value in query if name in ("customers", "cap")}
    judged = await judge_upload(request, [pair for pair in query if pair[0] not in own])
    content = await asyncio.to_thread(_csv, judged, own)
    return Response(
        content,
        media_type="text/csv",
        headers={"content-disposition": 'attachment; filename="chosen-passengers.csv"'},
    )


def _csv(judged: Judged, own: dict[str, str]) -> bytes:
    evaluation = judged.evaluation
    try:
        customers = int(own.get("customers", evaluation.best.customers))
        cap = float(own["cap"]) if "cap" in own else None
        table = chosen(
            judged.customers.ids, judged.segment, evaluation.campaign, customers, cap=cap
        )
    except (DataError, ValueError) as error:
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink)
    return bytes(sink.getvalue())
