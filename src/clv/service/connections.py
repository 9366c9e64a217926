"""Open connections: none may wait for ever on a client, and idle ones never keep others out.

uvicorn limits how long a connection may rest between two requests, not how long a client may take
to send one. Here a worker looks over its connections once a second, which costs a request nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clv.service.headers import ALWAYS, NO_PAGE
from clv.service.logs import new_request_id
from clv.service.problems import RefusedError, problem

__all__ = ["Connections", "Protocol"]

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
#: Bytes that may come without a head or a part of a body becoming whole.
_MOST_UNPARSED = 64 * 1024
_TOO_SLOW = RefusedError(
    HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive whole in time. Send it again, faster."
)
_TOO_LONG = RefusedError(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"The head of the request is larger than {_MOST_UNPARSED:,} bytes. Send fewer and shorter "
    "headers.",
)
_NO_HTTP = RefusedError(HTTPStatus.BAD_REQUEST, "That is no HTTP/1.1 request. Correct its syntax.")


class Protocol(HttpToolsProtocol):
    """uvicorn's, which reports to the `Connections` of its worker."""

    cycle: Any  # of the request that came last; None until the first
    _answering: Any = None  # of the request that is being answered, or was last
    _unparsed = 0

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        super().connection_made(transport)
        self._watched_by.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._nobody_listens()
        super().connection_lost(exc)
        self._watched_by.remove(self)

    def drop(self) -> None:
        """End at once, whatever was not sent yet."""
        self._nobody_listens()
        self.transport.abort()

    def _nobody_listens(self) -> None:
        # uvicorn tells it to the request that came last, which with pipelining is another.
        if self._answering is not None:
            self._answering.disconnected = True

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Take what came; the parser keeps what is not whole yet, whatever its size."""
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > _MOST_UNPARSED and not self.transport.is_closing():
            self._hang_up(_TOO_LONG)

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._unparsed = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body is whole; how many there may be is for the application to say."""
        self._unparsed = 0
        super().on_body(body)

    @property
    def _watched_by(self) -> "Connections":
        connections: Connections = self.app_state["connections"]
        return connections

    @property
    def waits_for(self) -> object | None:
        """What the client owes us, None where it is our turn.

        Another request, the rest of one, or to read what we sent. Two looks find it equal where
        the client did nothing between them.
        """
        if self.cycle is None:
            return self
        if unread := self.transport.get_write_buffer_size():
            return unread
        return self.cycle if self.cycle.more_body or self.cycle.response_complete else None

    @property
    def never_asked(self) -> bool:
        """Whether no request came yet."""
        return self.cycle is None

    @property
    def at_rest(self) -> bool:
        """Whether all was answered that was asked."""
        return self.cycle is not None and self.cycle.response_complete and not self.pipeline

    def time_out(self) -> None:
        """Hang up; a client that began to ask is told that it was too slow."""
        if self.transport.get_write_buffer_size():
            self.drop()  # it does not read, so there is no telling it anything
        else:
            began = self.cycle is not None and not self.cycle.response_complete
            self._hang_up(_TOO_SLOW if began else None)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Answer what cannot be parsed: uvicorn's hook, with our problem details."""
        self._hang_up(_NO_HTTP)

    def _hang_up(self, error: RefusedError | None) -> None:
        """Close, and say why where that does not mix with another answer."""
        now = self.cycle
        unanswered = now is not None and now.more_body and not now.response_started
        if error and (now is None or now.response_complete or unanswered):
            self._refuse(error)
        self.transport.close()

    def _refuse(self, error: RefusedError) -> None:
        """Answer for the application, which this request does not reach."""
        answer = problem(error)
        request_id = new_request_id()
        extra = {"status": int(error.status), "request_id": request_id.decode()}
        _log.info("%s", error, extra=extra)
        headers = [*answer.raw_headers, *ALWAYS, NO_PAGE]
        headers += [(b"x-request-id", request_id), (b"connection", b"close")]
        lines = [b"%s: %s" % header for header in headers]
        status = f"HTTP/1.1 {error.status.value} {error.status.phrase}".encode()
        self.transport.write(b"\r\n".join([status, *lines, b"", bytes(answer.body)]))


class Connections:
    """The open connections of a worker.

    Parameters
    ----------
    most : int
        Beyond so many the one that came first of those that never sent a request is closed; where
        there is none such, of those whose requests are all answered; then of those that owe us
        the rest of one; or else the new one.
    read_timeout_s : float
        Seconds that a client may take to send a request.
    """

    def __init__(self, most: int, read_timeout_s: float) -> None:
        self._most = most
        self._read_timeout_s = read_timeout_s
        self._open: dict[Protocol, tuple[object, float] | None] = {}  # what it waits for, since
        self._crowded = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Protocol) -> None:
        """A new connection; another may have to go for it."""
        if len(self._open) >= self._most:
            idle = self._first_idle() or connection
            if not self._crowded:
                _log.warning("More than %d connections: idle ones are closed", self._most)
            self._crowded = True
            self._open.pop(idle, None)
            idle.drop()
            if idle is connection:
                return
        self._open[connection] = None

    def remove(self, connection: Protocol) -> None:
        """A connection that has ended."""
        self._open.pop(connection, None)

    def _first_idle(self) -> Protocol | None:
        """Whose going harms least."""
        kinds: tuple[Callable[[Protocol], bool], ...] = (
            lambda one: one.never_asked,
            lambda one: one.at_rest,
            lambda one: one.waits_for is not None,
        )
        found = (next(filter(kind, self._open), None) for kind in kinds)
        return next((one for one in found if one is not None), None)

    async def watch(self) -> None:
        """Close what is too slow, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                self.look(loop.time())
            except Exception:  # noqa: BLE001 - one odd connection must not end the watch
                _log.exception("Looking over the connections failed")

    def look(self, now: float) -> None:
        """Close each connection whose client has owed us the same for too long."""
        self._crowded = len(self._open) >= self._most
        for connection, before in list(self._open.items()):
            owed = connection.waits_for
            if owed is None:
                self._open[connection] = None
            elif before is None or before[0] != owed:
                self._open[connection] = owed, now
            elif now - before[1] > self._read_timeout_s:
                connection.time_out()
