"""Every error as RFC 9457 problem details: one place where errors become status codes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from clv.errors import (
    BundleError,
    ClvError,
    NoSuchVersionError,
    NotTrainedError,
    PromotionError,
    QueueFullError,
    RegistryError,
    StoreError,
)
from clv.service.messages import field_error
from clv.service.schemas import FieldError, Problem

__all__ = ["RefusedError", "handle_errors", "problem"]

_log = logging.getLogger(__name__)

_MOST_ERRORS = 20
_RETRY = {"Retry-After": "5"}

_STORE_AWAY = (
    "The tracking database cannot store or read rows at the moment, and untracked predictions "
    "are not given. Try again; its operator finds the reason in the log."
)
_BROKEN = (
    "The model that serves gives no usable prediction for this request; the reason is in the log. "
    "Try again once its operator has rolled back to another version."
)
# Errors name files, hosts and users; that is for the log. `None`: the text is for everybody.
_ANSWERS: tuple[tuple[type[ClvError], HTTPStatus, str | None], ...] = (
    (NotTrainedError, HTTPStatus.SERVICE_UNAVAILABLE, None),
    (QueueFullError, HTTPStatus.SERVICE_UNAVAILABLE, None),
    (
        StoreError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        _STORE_AWAY,
    ),
    (NoSuchVersionError, HTTPStatus.NOT_FOUND, None),
    (PromotionError, HTTPStatus.CONFLICT, None),
    (
        BundleError,  # of a version that somebody chose: see `Worker.promote`
        HTTPStatus.SERVICE_UNAVAILABLE,
        _BROKEN,
    ),
    (
        RegistryError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The model registry does not answer just now. Predictions go on; try again.",
    ),
)


class RefusedError(ClvError):
    """A request is refused by the service itself, with a status of its own."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        reasons: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self.reasons = reasons


def handle_errors(app: FastAPI, shown: Callable[[Scope, Exception], Response | None]) -> None:
    """Register the handlers.

    Parameters
    ----------
    app : FastAPI
    shown : callable
        Makes the page that someone with a browser sees, or None for problem details.
    """

    async def handled(request: Request, error: Exception) -> Response:
        return shown(request.scope, error) or problem(error)

    for kind in (RequestValidationError, ClvError, HTTPException, Exception):
        app.exception_handler(kind)(handled)


def problem(error: Exception) -> JSONResponse:
    """The answer to an error; what was raised by mistake is logged."""
    match error:
        case RequestValidationError():
            return _invalid(error)
        case RefusedError():
            return _answer(error.status, str(error), headers=error.headers, reasons=error.reasons)
        case ClvError():
            return _refused(error)
        case HTTPException():
            return _answer(HTTPStatus(error.status_code), str(error.detail), headers=error.headers)
    _log.error("Unexpected error", exc_info=error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "An unexpected error; it was logged.")


def _invalid(error: RequestValidationError) -> JSONResponse:
    found = error.errors()
    errors = [field_error(item) for item in found[:_MOST_ERRORS]]
    first = errors[0]
    return _answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{first.field}: {first.message}"
        + (f" (and {len(found) - 1} more)" if len(found) > 1 else ""),
        errors=errors,
    )


def _refused(error: ClvError) -> JSONResponse:
    for kind, status, detail in _ANSWERS:
        if isinstance(error, kind):
            # Without a model every request says so; once, at the start, is enough for the log.
            quiet = isinstance(error, NotTrainedError | NoSuchVersionError | PromotionError)
            _log.log(logging.DEBUG if quiet else logging.WARNING, "%s", error)
            headers = _RETRY if status is HTTPStatus.SERVICE_UNAVAILABLE else None
            return _answer(status, detail or str(error), headers=headers)
    _log.error("%s", error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "The service could not do that.")


def _answer(
    status: HTTPStatus,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    reasons: Sequence[str] = (),
) -> JSONResponse:
    body = Problem(title=status.phrase, status=int(status), detail=detail)
    if errors:
        body.errors = list(errors)
    if reasons:
        body.reasons = list(reasons)
    return JSONResponse(
        body.model_dump(exclude_unset=True),
        status_code=status,
        media_type="application/problem+json",
        headers=dict(headers) if headers else None,
    )
