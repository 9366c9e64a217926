"""What the Campaign page asks: the verdict as a part of the page, and those who were chosen."""

import asyncio
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from clv.campaign.chosen import chosen, number_chosen
from clv.errors import DataError
from clv.service.judging import Judged, from_query, judge_upload
from clv.service.problems import RefusedError
from clv.service.schemas import ChosenIn
from clv.service.worker import worker_of

__all__ = ["chosen_passengers", "verdict"]


async def verdict(request: Request) -> Response:
    """The verdict on an uploaded list, as HTML to be put into the page."""
    judged = await judge_upload(request, request.query_params.multi_items())
    currency = worker_of(request).settings.currency
    return HTMLResponse(await asyncio.to_thread(_part, judged, currency))


async def chosen_passengers(request: Request) -> Response:
    """The best of an uploaded list with the value to bid for each, as CSV.

    The list is sent again: the service keeps none, so that any worker can answer.
    """
    query = request.query_params.multi_items()
    own = ChosenIn.model_fields
    wanted = from_query(ChosenIn, [pair for pair in query if pair[0] in own])
    judged = await judge_upload(request, [pair for pair in query if pair[0] not in own])
    content = await asyncio.to_thread(_csv, judged, wanted)
    return Response(
        content,
        media_type="text/csv",
        headers={"content-disposition": 'attachment; filename="chosen-passengers.csv"'},
    )


def _part(judged: Judged, currency: str) -> str:
    """In a thread: what draws takes long to import, and most services never draw."""
    from clv.campaign.page import verdict_part  # noqa: PLC0415

    return verdict_part(
        judged.evaluation, judged.segment, judged.customers, judged.model_version, currency
    )


def _csv(judged: Judged, wanted: ChosenIn) -> bytes:
    """In a thread, as `_part`."""
    from clv.data.output import csv_bytes  # noqa: PLC0415

    evaluation = judged.evaluation
    customers = number_chosen(evaluation) if wanted.customers is None else wanted.customers
    try:
        table = chosen(
            judged.customers.ids, judged.segment, evaluation.campaign, customers, cap=wanted.cap
        )
    except DataError as error:
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    return csv_bytes(table, raw=wanted.raw)
