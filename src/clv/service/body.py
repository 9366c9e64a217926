"""Bodies as they arrive: JSON straight into a model, and how the documentation tells of it.

FastAPI parses to Python objects first and then validates those; to validate the bytes takes a
fifth of the time (docs/decisions/0009-the-hot-path.md), and tells NaN and infinities from numbers
by itself.
"""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from clv.service.messages import located
from clv.service.problems import RefusedError
from clv.service.worker import worker_of

__all__ = ["documented", "parsed", "stored"]

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
        raise RequestValidationError(located(error, "body")) from None


async def stored(request: Request, path: Path) -> None:
    """Write an upload to a file as it arrives.

    Raises
    ------
    RefusedError
        413 where it is too large, 408 where the client left before it was whole.
    """
    most = worker_of(request).settings.max_upload_bytes
    with path.open("wb") as file:
        async for chunk in _chunks(request, most, "CLV_MAX_UPLOAD_BYTES"):
            file.write(chunk)


async def _content(request: Request, most: int) -> bytes:
    return b"".join([chunk async for chunk in _chunks(request, most, "CLV_MAX_BODY_BYTES")])


async def _chunks(request: Request, most: int, setting: str) -> AsyncIterator[bytes]:
    """The body as it arrives, as long as it is not too large; what is said to be is not begun."""
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > most:
        raise _too_large(most, setting)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise _too_large(most, setting)
            yield chunk
    except ClientDisconnect:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT, "The client left before its request was whole."
        ) from None


def _too_large(most: int, setting: str) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than {most:,} bytes ({setting}). Send fewer passengers at once; for "
        "very many there are `clv score` and `clv segment`.",
        # What is left of the body is not read.
        headers={"Connection": "close"},
    )


def documented(kind: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Describe the body for OpenAPI; `openapi.complete` adds the schema that is referred to."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }
