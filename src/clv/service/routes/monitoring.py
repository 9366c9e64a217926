"""Promise against reality: outcomes taken in, and what became of the predictions."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from clv.monitoring import Monitoring
from clv.service.body import documented, parsed
from clv.service.schemas import OutcomesIn, OutcomesOut
from clv.service.worker import worker_of

__all__ = ["router"]

router = APIRouter(tags=["monitoring"])


@router.post(
    "/api/outcomes",
    summary="Send what passengers spent in the end",
    openapi_extra=documented(OutcomesIn),
)
async def send_outcomes(request: Request) -> OutcomesOut:
    """Store up to 10,000 outcomes; returns once they are committed.

    If one is invalid, or if two of one passenger differ that were drawn up at the same time, none
    is stored. Sending outcomes again is safe: after a 503, when some may
    be stored already, or if no response arrives, send all of them again.
    """
    worker = worker_of(request)
    body = await parsed(OutcomesIn, request)
    found = await worker.reality.record([one.outcome() for one in body.outcomes])
    worker.metrics.recorded(found)
    return OutcomesOut.of(found)


@router.get("/api/monitoring", summary="Predictions against outcomes", response_model=Monitoring)
async def monitoring(request: Request) -> Response:
    """Live quality by version, cohort and score bin; shadow, drift and alarms.

    What takes long to compute is kept for a while: at most twenty times as long as it took.
    """
    found = await worker_of(request).reality.now()
    return Response(to_json(found, inf_nan_mode="null"), media_type="application/json")
