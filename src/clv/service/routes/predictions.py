"""Predictions: parse, call, keep, answer."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from clv.bundle import Prediction, Predictor
from clv.clock import utc_now
from clv.schema import Activity
from clv.service.body import FEW_VALUES, documented, parsed
from clv.service.models import Serving
from clv.service.schemas import (
    BatchIn,
    BatchOut,
    Passenger,
    PredictIn,
    PredictionOut,
    answer,
    tracked,
)
from clv.service.worker import Worker, worker_of

__all__ = ["router"]

_Said = TypeVar("_Said")

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
    worker = worker_of(request)
    asked = await parsed(PredictIn, request, values=FEW_VALUES)
    models = worker.models.current()
    version = models.champion.version

    def ask(model: Predictor) -> Prediction:
        activity = asked.recency_7, asked.frequency_7, asked.monetary_7
        return model.predict_one(*activity, level=asked.level).in_cents()

    said = ask(models.champion)
    row = tracked(
        asked, said, version, utc_now(), _in_shadow(worker, models, ask), models.shadow_version
    )
    await worker.request_log.append([row])
    worker.metrics.predicted(version, said)
    return _json(answer(asked.id, said, _note(asked, said, models.champion), version))


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
        return model.predict(Activity.of(*columns), level=body.level).in_cents().rows()

    said = ask(models.champion)
    shadows: Sequence[Prediction | None] = _in_shadow(worker, models, ask) or [None] * len(said)
    now = utc_now()
    await worker.request_log.append(
        [
            tracked(asked, one, version, now, shadow, models.shadow_version)
            for asked, one, shadow in zip(passengers, said, shadows, strict=True)
        ]
    )
    worker.metrics.predicted_batch(version, said)
    answers = [
        answer(asked.id, one, _note(asked, one, models.champion), version)
        for asked, one in zip(passengers, said, strict=True)
    ]
    return _json({"predictions": answers})


def _in_shadow(worker: Worker, models: Serving, ask: Callable[[Predictor], _Said]) -> _Said | None:
    """What the challenger would answer; its failure is nobody's but its own."""
    if models.challenger is None:
        return None
    try:
        return ask(models.challenger)
    except Exception as error:  # noqa: BLE001 - whatever it is, the champion's answer stands
        worker.models.shadow_failed(models.challenger.version, error)
        worker.metrics.shadow_failed(models.challenger.version)
        return None


def _note(asked: Passenger, said: Prediction, model: Predictor) -> str | None:
    if said.in_support:
        return None
    return model.why_out_of_support(asked.recency_7, asked.frequency_7, asked.monetary_7)


def _json(answered: dict[str, Any]) -> Response:
    return Response(to_json(answered), media_type="application/json")
