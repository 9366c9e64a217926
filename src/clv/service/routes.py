"""The routes: parse, call, answer."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from clv.bundle import Predictor
from clv.clock import utc_now
from clv.schema import Activity
from clv.service.problems import INVALID, UNAVAILABLE
from clv.service.schemas import (
    BatchIn,
    BatchOut,
    PassengerId,
    PredictIn,
    PredictionOut,
    RequestCount,
    ResetOut,
)
from clv.tracking import RequestLog

__all__ = ["router"]

router = APIRouter()


async def _champion(request: Request) -> Predictor:
    predictor: Predictor = request.app.state.champion.current()
    return predictor


async def _request_log(request: Request) -> RequestLog:
    log: RequestLog = request.app.state.request_log
    return log


Champion = Annotated[Predictor, Depends(_champion)]
Log = Annotated[RequestLog, Depends(_request_log)]


@router.get("/health", summary="Liveness", tags=["operations"])
async def health() -> str:
    """Whether the process is alive; touches neither model nor database."""
    return "healthy"


@router.post(
    "/api/predict",
    summary="Predict one passenger",
    tags=["predictions"],
    responses={**INVALID, **UNAVAILABLE},
)
async def predict(body: PredictIn, champion: Champion, log: Log) -> PredictionOut:
    """Expected spend by day 30 of one passenger, and how sure that is.

    Returns once the request is tracked.
    """
    said = champion.predict_one(body.recency_7, body.frequency_7, body.monetary_7, level=body.level)
    answer = PredictionOut.of(body, said.in_cents(), champion)
    await log.append([answer.tracked(body, utc_now())])
    return answer


@router.post(
    "/api/predict/batch",
    summary="Predict up to 10,000 passengers",
    tags=["predictions"],
    responses={**INVALID, **UNAVAILABLE},
)
async def predict_batch(body: BatchIn, champion: Champion, log: Log) -> BatchOut:
    """Expected spend of each passenger, in order; all are answered and tracked, or none."""
    passengers = body.passengers
    said = champion.predict(
        Activity.of(
            [passenger.recency_7 for passenger in passengers],
            [passenger.frequency_7 for passenger in passengers],
            [passenger.monetary_7 for passenger in passengers],
        ),
        level=body.level,
    ).in_cents()
    answers = [
        PredictionOut.of(passenger, said[row], champion) for row, passenger in enumerate(passengers)
    ]
    now = utc_now()
    await log.append(
        [answer.tracked(asked, now) for asked, answer in zip(passengers, answers, strict=True)]
    )
    return BatchOut(predictions=answers)


@router.get(
    "/api/requests/{passenger_id}",
    summary="How often a passenger was asked about",
    tags=["operations"],
    responses={**INVALID, **UNAVAILABLE},
)
async def count_requests(passenger_id: PassengerId, log: Log) -> RequestCount:
    """Number of tracked predictions; 0 for a passenger never asked about."""
    return RequestCount(id=passenger_id, count=await log.count(passenger_id))


@router.post(
    "/reset",
    summary="Delete the tracked requests",
    tags=["operations"],
    responses={**UNAVAILABLE},
)
async def reset(log: Log) -> ResetOut:
    """Delete every tracked request; for tests."""
    return ResetOut(message=f"Deleted {await log.clear()} tracked requests.")
