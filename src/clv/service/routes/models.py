"""The registry over HTTP."""

from fastapi import APIRouter, Request

from clv.service.access import KEY
from clv.service.audit import audit
from clv.service.body import documented, parsed
from clv.service.schemas import (
    DecisionOut,
    HistoryOut,
    ModelOut,
    ModelsOut,
    PromoteIn,
    RollbackIn,
    Version,
)
from clv.service.worker import worker_of

__all__ = ["router"]

router = APIRouter(prefix="/api/models", tags=["models"])


@router.get("", summary="Versions of the model")
async def list_models(request: Request) -> ModelsOut:
    """All versions, newest first, and which of them answers."""
    worker = worker_of(request)
    found = await worker.ask_registry(worker.registry.versions)
    return ModelsOut(
        serving=worker.models.versions().get("champion"),
        models=[ModelOut.of(version) for version in found],
    )


@router.get("/history", summary="Changes of the champion and the challenger")
async def history(request: Request) -> HistoryOut:
    """Who changed which version serves, when and why, newest first."""
    worker = worker_of(request)
    found = await worker.ask_registry(worker.registry.history)
    return HistoryOut(decisions=[DecisionOut.of(decision) for decision in found])


@router.post(
    "/{version}/promote",
    summary="Make a version the champion",
    openapi_extra=documented(PromoteIn, required=False),
)
async def promote(version: Version, request: Request) -> ModelOut:
    """Make a version the champion, once it is known to load; all workers follow in seconds."""
    worker = worker_of(request)
    body = await parsed(PromoteIn, request, required=False)
    champion = await worker.ask_registry(worker.promote, version, body.reason, _by(request))
    audit(request, "promote", f"version {version}: {body.reason!r}", version=version)
    return ModelOut.of(champion)


@router.post(
    "/{version}/rollback",
    summary="Return to the previous champion",
    openapi_extra=documented(RollbackIn, required=False),
)
async def rollback(version: Version, request: Request) -> ModelOut:
    """Replace this version, which must be champion, with the previous one; returns that one."""
    worker = worker_of(request)
    body = await parsed(RollbackIn, request, required=False)
    champion = await worker.ask_registry(worker.roll_back, version, body.reason, _by(request))
    audit(request, "roll back", f"from version {version} to {champion.number}", version=version)
    return ModelOut.of(champion)


def _by(request: Request) -> str:
    """Who asks, for the history."""
    key = request.scope.get(KEY)
    return f"key {key.id} ({key.name})" if key else "HTTP, without a key"
