"""What operators ask."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from clv.service.audit import audit
from clv.service.schemas import PassengerId, ReadyOut, RequestCount, ResetOut
from clv.service.worker import Worker, worker_of

__all__ = ["router"]

router = APIRouter(tags=["operations"])

ThisWorker = Annotated[Worker, Depends(worker_of)]


@router.get("/health", summary="Liveness")
async def health() -> str:
    """Whether the process is alive; touches neither model nor database."""
    return "healthy"


@router.get("/ready", summary="Readiness")
async def ready(worker: ThisWorker) -> ReadyOut:
    """Whether predictions are answered: a model is loaded, rows can be stored, nobody stops it.

    Where not, 503 with the reasons.
    """
    return await worker.ready()


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(worker: ThisWorker) -> Response:
    """Counts, latencies and gauges, summed over the workers of this service."""
    worker.pulse()
    worker.reality.refresh()
    body, kind = worker.metrics.exposed()
    return Response(body, headers={"content-type": kind})


@router.get("/api/requests/{passenger_id}", summary="Number of tracked predictions for a passenger")
async def count_requests(passenger_id: PassengerId, worker: ThisWorker) -> RequestCount:
    """Number of tracked predictions; 0 for a passenger never scored."""
    return RequestCount(id=passenger_id, count=await worker.request_log.count(passenger_id))


@router.post("/reset", summary="Delete the tracked requests")
async def reset(worker: ThisWorker, request: Request) -> ResetOut:
    """Delete every tracked request, with outcomes and what was added up; for tests."""
    deleted = await worker.request_log.clear()
    worker.reality.changed()
    message = f"Deleted {deleted} tracked requests."
    audit(request, "reset", message, deleted=deleted)
    return ResetOut(message=message)
