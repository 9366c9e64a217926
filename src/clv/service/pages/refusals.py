"""What someone with a browser sees instead of a page: the way to sign in, or what went wrong."""

from http import HTTPStatus
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from clv.service.access import PAGES
from clv.service.pages.rendering import page
from clv.service.problems import RefusedError
from clv.service.worker import worker_of

__all__ = ["refused_page"]

_SAYS = {
    HTTPStatus.NOT_FOUND: "There is no page at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address is for programs, not for browsers.",
}
#: A browser that sends the form of a page shows what comes back.
_FORMS = frozenset({("POST", "/predict")})


def refused_page(scope: Scope, error: Exception) -> Response | None:
    """A page, or the way to sign in; None if a program asked, which gets problem details."""
    if scope["method"] not in ("GET", "HEAD") and (scope["method"], scope["path"]) not in _FORMS:
        return None
    is_page = scope["path"] in PAGES
    if not is_page and not _wants_html(Headers(scope=scope)):
        return None
    match error:
        case RefusedError():
            status, detail = error.status, str(error)
        case HTTPException() if error.status_code in _SAYS:
            status = HTTPStatus(error.status_code)
            detail = _SAYS[status]
        case _:
            return None
    request = Request(scope)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    sign_in = f"/signin?next={quote(asked, safe='')}"
    if status is HTTPStatus.UNAUTHORIZED and is_page:
        return RedirectResponse(sign_in, HTTPStatus.SEE_OTHER)
    keys = worker_of(request).keyring.required
    with_key = keys and status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    answer = page(
        request,
        "refused.html",
        status=status,
        title="Sign in" if status is HTTPStatus.UNAUTHORIZED else status.phrase,
        detail=detail,
        way=sign_in if with_key else "/",
        way_says="Sign in" if with_key else "Go to the start page",
    )
    answer.headers.update(error.headers or {})
    return answer


def _wants_html(headers: Headers) -> bool:
    """Whether a browser shows the answer to someone, rather than a script reading it."""
    accepted = headers.get("accept", "")
    return "text/html" in accepted and "application/json" not in accepted
