"""Signing in: an API key becomes a cookie, because a browser sends no `Authorization` by itself."""

from http import HTTPStatus
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from clv.service.access import PAGES
from clv.service.pages.rendering import KEY, page
from clv.service.problems import RefusedError
from clv.service.worker import worker_of

__all__ = ["COOKIE", "KEY", "local", "show_form", "sign_in", "sign_out"]

#: The name of the cookie that holds the key.
COOKIE = b"clv_key"
_NAME = COOKIE.decode()
_MOST_BYTES = 4096
_FORM = "application/x-www-form-urlencoded"


async def show_form(request: Request) -> Response:
    """The form; where there are no keys there is nothing to sign in to."""
    way = local(request.query_params.get("next", ""))
    if not worker_of(request).keyring.required:
        return RedirectResponse(way, HTTPStatus.SEE_OTHER)
    return page(request, "signin.html", next=way, complaint="")


async def sign_in(request: Request) -> Response:
    """Set the cookie where the key can be used, and show the form again where it cannot."""
    form = await _form(request)
    way = local(form.get("next", ""))
    keyring = worker_of(request).keyring
    if not keyring.required:
        return RedirectResponse(way, HTTPStatus.SEE_OTHER)
    key = form.get("key", "").strip()
    try:
        await keyring.identified([f"Bearer {key}".encode("latin-1", "replace")])
    except RefusedError:
        # The key is not repeated: whoever looks over a shoulder, or into a cache, learns nothing.
        said = "This key is unknown or was revoked." if key else "A key is needed."
        return page(
            request, "signin.html", status=HTTPStatus.UNAUTHORIZED, next=way, complaint=said
        )
    answer = RedirectResponse(way, HTTPStatus.SEE_OTHER)
    # Without a lifetime it ends with the browser; a key that is revoked ends it at once.
    answer.set_cookie(_NAME, key, httponly=True, samesite="strict", secure=_is_https(request))
    return answer


async def sign_out(request: Request) -> Response:
    """Clear the cookie."""
    answer = RedirectResponse("/signin", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(_NAME, httponly=True, samesite="strict", secure=_is_https(request))
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


def _is_https(request: Request) -> bool:
    # Behind a proxy, uvicorn believes its X-Forwarded-Proto where it is of this machine.
    return request.url.scheme == "https"


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, each once; two short ones, so no library is needed for it."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Expected a form, {_FORM}.")
    content = b""
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > _MOST_BYTES:
                raise RefusedError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"The form is larger than {_MOST_BYTES:,} bytes.",
                    headers={"Connection": "close"},
                )
    except ClientDisconnect:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT, "The client left before its request was whole."
        ) from None
    try:
        fields = parse_qs(content.decode("latin-1"), max_num_fields=4)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}
