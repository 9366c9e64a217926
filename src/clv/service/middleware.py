"""The one middleware: what happens to every request, whatever it asks.

Pure ASGI, and one instead of five: each layer takes a twelfth of what an empty route takes.
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clv.service.access import KEY, scope_of
from clv.service.anonymous import AnonymousAccess
from clv.service.headers import ALWAYS, NO_PAGE
from clv.service.logs import REQUEST_ID, new_request_id
from clv.service.pages import refused_page
from clv.service.problems import RefusedError, problem
from clv.service.sessions import cookie_name
from clv.service.worker import Worker

__all__ = ["Gate"]

_log = logging.getLogger(__name__)
_access = logging.getLogger("clv.access")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}").fullmatch
_SAFE = ("GET", "HEAD", "OPTIONS")


class Gate:
    """Identifies, admits, counts and logs each request, and adds the headers to its answer.

    Parameters
    ----------
    app : ASGI application
        Its lifespan puts the `worker` into the state.
    direct : mapping
        What is answered without `app`, by method and path.
    access_log : bool
        Whether requests are logged that did not fail.
    anonymous : AnonymousAccess
        What is answered as long as no key exists.
    """

    def __init__(
        self,
        app: ASGIApp,
        direct: Mapping[tuple[str, str], Callable[[Request], Awaitable[Response]]],
        *,
        access_log: bool,
        anonymous: AnonymousAccess,
    ) -> None:
        self._app = app
        self._direct = direct
        self._level = logging.INFO if access_log else logging.DEBUG
        self._anonymous = anonymous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            # As GET is answered; uvicorn knows what was asked, and leaves the body out.
            scope = {**scope, "method": "GET"}
        began = time.perf_counter()
        worker: Worker = scope["state"]["worker"]
        sent = _read(scope)
        request_id = sent.id if _REQUEST_ID(sent.id) else new_request_id()
        token = REQUEST_ID.set(request_id.decode())
        added = [(b"x-request-id", request_id), *ALWAYS, NO_PAGE]
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = message.get("headers", ())
                # A page says itself what it may load, and a script how long it is good for.
                said = {name for name, _ in own}
                message["headers"] = [*own, *(one for one in added if one[0] not in said)]
            await send(message)

        try:
            try:
                await self._admit(worker, scope, sent)
            except Exception as error:  # noqa: BLE001 - whatever it was, the client is told
                await (refused_page(scope, error) or problem(error))(scope, receive, answer)
            else:
                await self._answer(scope, receive, answer)
        except Exception:  # noqa: BLE001
            # It was answered and logged already; the worker goes on.
            _log.debug("Answered %d", status)
        finally:
            self._count(worker, scope, status, time.perf_counter() - began)
            REQUEST_ID.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._direct.get((scope["method"], scope["path"]))
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await endpoint(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 - whatever it was, the client gets an answer
            response = problem(error)
        await response(scope, receive, send)

    async def _admit(self, worker: Worker, scope: Scope, sent: "_Sent") -> None:
        if sent.foreign and scope["method"] not in _SAFE:
            # A page of another origin that a visitor of this machine opened; browsers say so, and
            # pages cannot say otherwise.
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "Pages of other sites may not ask this service to do anything.",
            )
        needed = scope_of(scope["method"], scope["path"])
        if needed is None:
            return
        await worker.knows_models()
        if worker.keyring.required:
            scope[KEY] = await worker.keyring.admit(sent.keys, sent.sessions, needed)
        else:
            self._anonymous.check(sent.host, needed)

    def _count(self, worker: Worker, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"]
        if (scope["method"], path) in self._direct:
            route = path
        else:
            route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if route != "unmatched" else "any"
        worker.metrics.answered(route, method, status, seconds)
        level = self._level
        if status >= HTTPStatus.BAD_REQUEST:
            level = logging.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO
        if _access.isEnabledFor(level):
            # The route and not the path: whom somebody asked about does not belong into a log.
            seen: dict[str, Any] = {"method": scope["method"], "route": route, "status": status}
            _access.log(
                level,
                "%s %s %d in %.1f ms",
                scope["method"],
                route,
                status,
                seconds * 1e3,
                extra=seen | {"seconds": round(seconds, 6)},
            )


class _Sent(NamedTuple):
    """What the headers of a request say."""

    id: bytes
    keys: list[bytes]
    sessions: list[bytes]
    host: bytes
    foreign: bool  # a page of another origin asks


def _read(scope: Scope) -> _Sent:
    sent_id, keys, host = b"", [], b""
    origin, cookies = b"", []
    site: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            keys.append(value)
        elif name == b"x-request-id":
            sent_id = value
        elif name == b"host":
            host = value
        elif name == b"sec-fetch-site":
            site = value
        elif name == b"origin":
            origin = value
        elif name == b"cookie":
            cookies.append(value)
    foreign = site not in (None, b"same-origin", b"none")
    if not keys:
        # Whoever signed in sends a cookie, and a browser does that whichever page makes it ask.
        # Without https it does not say which page, but it names the origin.
        foreign |= site is None and origin != b"" and origin.partition(b"://")[2] != host
    sessions = _sessions(cookies, scope["scheme"]) if cookies else []
    return _Sent(sent_id, keys, sessions, host, foreign)


def _sessions(cookies: Iterable[bytes], scheme: str) -> list[bytes]:
    """Tokens of sessions among the cookies; more than one is as good as none."""
    wanted = cookie_name(scheme).encode()
    pairs = (pair.strip().partition(b"=") for value in cookies for pair in value.split(b";"))
    return [value for name, _, value in pairs if name == wanted]
