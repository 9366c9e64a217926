"""What somebody with a browser sees who may not see a page."""

from http import HTTPStatus
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from clv.service.access import PAGES
from clv.service.pages.rendering import page
from clv.service.problems import RefusedError

__all__ = ["refused_page"]


def refused_page(scope: Scope, error: Exception) -> Response | None:
    """The way to sign in, or why a key does not do; None where no page was asked for."""
    if scope["path"] not in PAGES or scope["method"] not in ("GET", "HEAD"):
        return None
    if not isinstance(error, RefusedError):
        return None
    request = Request(scope)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    way = f"/signin?next={quote(asked, safe='')}"
    if error.status is HTTPStatus.UNAUTHORIZED:
        return RedirectResponse(way, HTTPStatus.SEE_OTHER)
    answer = page(
        request,
        "refused.html",
        status=error.status,
        title=error.status.phrase,
        detail=str(error),
        way=way if error.status is HTTPStatus.FORBIDDEN else None,
    )
    answer.headers.update(error.headers or {})
    return answer
