"""What was asked: lately, and of one passenger."""

from fastapi import APIRouter, Request

from clv.clock import utc_now
from clv.service.schemas import ActivityOut, AskedOut, PassengerId, PassengerRequestsOut
from clv.service.worker import worker_of

__all__ = ["router"]

router = APIRouter(tags=["activity"])


@router.get("/api/activity", summary="Latest predictions")
async def activity(request: Request) -> ActivityOut:
    """Tracked predictions over time, and the latest 50."""
    return ActivityOut.of(await worker_of(request).queries.recent(utc_now()))


@router.get("/api/requests/{passenger_id}/latest", summary="Latest predictions of a passenger")
async def latest_requests(passenger_id: PassengerId, request: Request) -> PassengerRequestsOut:
    """The latest 50 tracked predictions of a passenger, and how many there are in all."""
    worker = worker_of(request)
    found = await worker.queries.of_passenger(passenger_id)
    return PassengerRequestsOut(
        id=passenger_id,
        count=await worker.request_log.count(passenger_id),
        latest=[AskedOut.of(row) for row in found],
    )
