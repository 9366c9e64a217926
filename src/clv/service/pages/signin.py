"""Signing in: an API key begins a session, whose token is what the browser keeps in a cookie."""

from http import HTTPStatus
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clv.service.access import KEY, PAGES
from clv.service.audit import audit
from clv.service.pages.forms import form_fields
from clv.service.pages.rendering import page
from clv.service.problems import RefusedError
from clv.service.sessions import cookie_name
from clv.service.worker import worker_of

__all__ = ["local", "show_form", "sign_in", "sign_out"]


async def show_form(request: Request) -> Response:
    """The form; where there are no keys there is nothing to sign in to."""
    way = local(request.query_params.get("next", ""))
    if not worker_of(request).keyring.required:
        return RedirectResponse(way, HTTPStatus.SEE_OTHER)
    return page(request, "signin.html", next=way, complaint="")


async def sign_in(request: Request) -> Response:
    """Begin a session if the key can be used, and show the form again if it cannot."""
    form = await form_fields(request)
    way = local(form.get("next", ""))
    worker = worker_of(request)
    if not worker.keyring.required:
        return RedirectResponse(way, HTTPStatus.SEE_OTHER)
    text = form.get("key", "").strip()
    try:
        key = await worker.keyring.identified([f"Bearer {text}".encode("latin-1", "replace")])
    except RefusedError:
        if text and not await worker.guesses.wait():
            raise RefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "Too many wrong keys are being tried. Try again in a few seconds.",
                headers={"Retry-After": "10"},
            ) from None
        # The key is not repeated: whoever looks over a shoulder, or into a cache, learns nothing.
        said = "This key is unknown or was revoked." if text else "Enter your API key."
        return page(
            request, "signin.html", status=HTTPStatus.UNAUTHORIZED, next=way, complaint=said
        )
    token = await worker.keyring.sessions.begin(key.id)
    request.scope[KEY] = key
    audit(request, "sign in", key.name)
    answer = RedirectResponse(way, HTTPStatus.SEE_OTHER)
    # Without a lifetime the cookie ends with the browser, at the latest with the session.
    name = cookie_name(request.url.scheme)
    answer.set_cookie(name, token, httponly=True, samesite="strict", secure=_tls(request))
    return answer


async def sign_out(request: Request) -> Response:
    """End the session, for whoever may have its token, and clear the cookie."""
    name = cookie_name(request.url.scheme)
    await worker_of(request).keyring.sessions.end(request.cookies.get(name, ""))
    answer = RedirectResponse("/signin", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(name, httponly=True, samesite="strict", secure=_tls(request))
    return answer


def local(way: str) -> str:
    """Where to go after signing in: one of our pages, whatever somebody wrote into a link."""
    try:
        parts = urlsplit(way)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or parts.path not in PAGES:
        return "/"
    query = quote(parts.query, safe="=&%+-._~")
    return f"{parts.path}?{query}" if query else parts.path


def _tls(request: Request) -> bool:
    # Behind a proxy, uvicorn believes X-Forwarded-Proto if CLV_TRUSTED_PROXIES names the proxy.
    return request.url.scheme == "https"
