"""Every error as RFC 9457 problem details: one place where errors become status codes."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from clv.errors import BundleError, ClvError, NotTrainedError, RegistryError, StoreError
from clv.service.schemas import FieldError, Problem

__all__ = ["INVALID", "UNAVAILABLE", "handle_errors"]

_log = logging.getLogger(__name__)

_SHOWN = 100  # characters of a bad value that are repeated
_UNAVAILABLE = (NotTrainedError, StoreError, RegistryError, BundleError)


def _documented(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }


#: For OpenAPI: the answers that routes share.
INVALID: Mapping[int | str, dict[str, Any]] = {
    422: _documented("A field is missing, of the wrong type, out of range or contradicts another")
}
UNAVAILABLE: Mapping[int | str, dict[str, Any]] = {
    503: _documented("There is no model yet, or the tracking database is away")
}


def handle_errors(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [_field_error(item) for item in error.errors()[:20]]
        first = errors[0]
        return _problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{first.field}: {first.message}"
            + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""),
            errors,
        )

    @app.exception_handler(ClvError)
    async def refused(_: Request, error: ClvError) -> JSONResponse:
        if isinstance(error, _UNAVAILABLE):
            # Without a model every request says so; once, at the start, is enough for the log.
            _log.log(
                logging.DEBUG if isinstance(error, NotTrainedError) else logging.WARNING, error
            )
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), retry_after_s=5)
        _log.error("%s", error)
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The service could not do that.")

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        answer = _problem(HTTPStatus(error.status_code), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        _log.exception("Unexpected error", exc_info=error)
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "An unexpected error; it was logged.")


def _problem(
    status: HTTPStatus,
    detail: str,
    errors: list[FieldError] | None = None,
    retry_after_s: int | None = None,
) -> JSONResponse:
    body = Problem(title=status.phrase, status=status, detail=detail, errors=errors or [])
    return JSONResponse(
        body.model_dump(exclude_defaults=True) | {"status": int(status)},
        status_code=status,
        media_type="application/problem+json",
        headers={"Retry-After": str(retry_after_s)} if retry_after_s else None,
    )


def _field_error(item: Mapping[str, Any]) -> FieldError:
    """One of pydantic's errors, safe to send: NaN, infinities and lone surrogates become text."""
    where = ".".join(str(part) for part in item["loc"])
    value = "" if item["type"] == "missing" else ascii(item.get("input"))
    if item["type"] == "contradiction":
        value = ""  # the message names all three
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
    message = str(item["msg"]).encode("ascii", "backslashreplace").decode()
    return FieldError(
        field=where.encode("ascii", "backslashreplace").decode(), value=shown, message=message
    )
