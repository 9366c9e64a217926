"""Bodies as they arrive: JSON straight into a model, and how the documentation tells of it.

FastAPI parses to Python objects first and then validates those; to validate the bytes takes a
fifth of the time (docs/decisions/0009-the-hot-path.md), and tells NaN and infinities from numbers
by itself.
"""

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from clv.service.receiving import chunks
from clv.service.worker import worker_of

__all__ = ["documented", "parsed"]

_Body = TypeVar("_Body", bound=BaseModel)


async def parsed(kind: type[_Body], request: Request, *, required: bool = True) -> _Body:
    """Parse and validate the body.

    Raises
    ------
    RequestValidationError
        As FastAPI would; places begin with `body`.
    RefusedError
        413 where it is too large, 408 where the client left before it was whole.
    """
    content = await _content(request, worker_of(request).settings.max_body_bytes)
    if not content and not required:
        return kind()
    sent_as = request.headers.get("content-type", "")
    # Other kinds are refused because a page of another site may send them without being asked.
    if not sent_as.startswith("application/json"):
        raise RequestValidationError(
            [
                {
                    "type": "content_type",
                    "loc": ("header", "content-type"),
                    "msg": "expected application/json",
                    "input": sent_as,
                }
            ]
        )
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in errors]
        ) from None


async def _content(request: Request, most: int) -> bytes:
    return b"".join([chunk async for chunk in chunks(request, most, "CLV_MAX_BODY_BYTES")])


def documented(kind: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Describe the body for OpenAPI; `openapi.complete` adds the schema that is referred to."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }
