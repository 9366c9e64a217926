"""Predictions: parse, call, keep, answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from clv.bundle import Prediction, Predictor
from clv.clock import utc_now
from clv.schema import Activity
from clv.service.body import FEW_VALUES, documented, parsed
from clv.service.predicting import in_shadow, note, predict_passenger
from clv.service.schemas import (
    BatchIn,
    BatchOut,
    PredictIn,
    PredictionOut,
    TryOutIn,
    TryOutOut,
    answer,
    tracked,
)
from clv.service.worker import worker_of
from clv.tracking import Source

__all__ = ["router"]

router = APIRouter(tags=["predictions"])


@router.post(
    "/api/predict",
    summary="Predict one passenger",
    response_model=PredictionOut,
    openapi_extra=documented(PredictIn),
)
async def predict(request: Request) -> Response:
    """Expected spend by day 30 of one passenger, and how sure that is.

    Returns once the request is tracked.
    """
    return await _predict(request, await parsed(PredictIn, request, values=FEW_VALUES), "api")


@router.post(
    "/api/predict/tryout",
    summary="Try out a prediction",
    response_model=TryOutOut,
    openapi_extra=documented(TryOutIn),
)
async def try_out(request: Request) -> Response:
    """The same prediction, for people who try values out, as on the page Predict.

    It is tracked with the source `page` and never counts as the prediction of a passenger: not in
    `/api/requests/{passenger_id}`, the monitoring or the metrics. `id` may be left out.
    """
    return await _predict(request, await parsed(TryOutIn, request, values=FEW_VALUES), "page")


async def _predict(request: Request, asked: PredictIn | TryOutIn, source: Source) -> Response:
    worker = worker_of(request)
    found = await predict_passenger(worker, asked, source)
    return _json(answer(asked.id, found.said, found.note, found.version))


@router.post(
    "/api/predict/batch",
    summary="Predict up to 10,000 passengers",
    response_model=BatchOut,
    openapi_extra=documented(BatchIn),
)
async def predict_batch(request: Request) -> Response:
    """Expected spend of each passenger, in order; all are answered and tracked, or none."""
    worker = worker_of(request)
    body = await parsed(BatchIn, request)
    models = worker.models.current()
    version = models.champion.version
    passengers = body.passengers
    columns = np.array([(one.recency_7, one.frequency_7, one.monetary_7) for one in passengers]).T

    def ask(model: Predictor) -> list[Prediction]:
        return model.predict(Activity(*columns), level=body.level).in_cents().rows()

    said = ask(models.champion)
    shadows: Sequence[Prediction | None] = in_shadow(worker, models, ask) or [None] * len(said)
    now = utc_now()
    await worker.request_log.append(
        [
            tracked(asked, one, version, now, shadow, models.shadow_version, "batch")
            for asked, one, shadow in zip(passengers, said, shadows, strict=True)
        ]
    )
    worker.metrics.predicted_batch(version, said)
    answers = [
        answer(asked.id, one, note(asked, one, models.champion), version)
        for asked, one in zip(passengers, said, strict=True)
    ]
    return _json({"predictions": answers})


def _json(answered: dict[str, Any]) -> Response:
    return Response(to_json(answered), media_type="application/json")
