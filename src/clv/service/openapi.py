"""The OpenAPI document: what routes have in common is added in one place."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from clv.campaign.verdict import GAINS
from clv.service.access import scope_of
from clv.service.schemas import (
    BatchIn,
    OutcomesIn,
    PredictIn,
    Problem,
    PromoteIn,
    RollbackIn,
    SegmentIn,
    TryOutIn,
)

__all__ = ["describe"]

_BODIES = (PredictIn, TryOutIn, BatchIn, PromoteIn, RollbackIn, SegmentIn, OutcomesIn)
_REF = "#/components/schemas/{model}"

_SAYS = {
    401: "No API key was sent, or it is unknown or revoked",
    403: "The key's scope is too narrow, or a page of another site sent the request, or no API "
    "key exists and this service requires one for this route",
    404: "No such version",
    408: "The request did not arrive completely in time",
    409: "The version cannot be loaded, is already champion, or is not champion",
    413: "The body is too large",
    422: "A field is missing, has the wrong type, is out of range or contradicts another",
    429: "Rate limit of this key exceeded; try again after `Retry-After` seconds",
    503: "No model that gives usable predictions, or the tracking database or the registry is "
    "unavailable; try again",
}
_TAGS = {
    "predictions": "Expected spend by day 30, for one passenger or many.",
    "segments": "Does a campaign for these passengers pay?",
    "monitoring": "Outcomes, and predictions compared with them.",
    "models": "Versions of the model, and the one that serves.",
    "activity": "Tracked predictions.",
    "operations": "Health, readiness, metrics, and a reset for tests.",
}


def describe(api: FastAPI) -> None:
    """Document the bodies, the problem details and the scopes that routes need."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_document(api))
        return made

    api.openapi = openapi  # type: ignore[method-assign]


def _document(api: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=api.title,
        version=api.version,
        summary=api.summary,
        routes=api.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
    )
    # FastAPI documents its own form of a 422 where a path has a parameter; ours is another.
    schemas = {
        name: schema
        for name, schema in document["components"]["schemas"].items()
        if name not in ("HTTPValidationError", "ValidationError")
    }
    for schema in schemas.values():
        if "required" in schema:  # whether there is a lift decides which of these there are
            schema["required"] = [name for name in schema["required"] if name not in GAINS]
    _, inputs = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF)
    _, problem = models_json_schema([(Problem, "serialization")], ref_template=_REF)
    document["components"] = {
        "schemas": schemas | inputs["$defs"] | problem["$defs"],
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key, created with `clv keys create`.",
            }
        },
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method.upper(), operation)
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    scope = scope_of(method, path)
    statuses = {503} if path != "/health" else set()
    if scope is not None:
        operation["security"] = [{"key": [scope.value]}, {}]  # none while no key exists
        statuses |= {401, 403, 429}
    elif path in ("/health", "/ready"):
        operation["security"] = []
    if "requestBody" in operation:
        statuses |= {408, 413, 422}
    if operation.get("parameters"):
        statuses |= {422}
    if path.startswith("/api/models/{"):
        statuses |= {404, 409}
    if path == "/metrics":
        statuses -= {503}
    operation["responses"] |= {str(status): _problem(status) for status in sorted(statuses)}


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _SAYS[status],
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
