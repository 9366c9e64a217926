"""Open connections: none may wait for ever on a client, and idle ones never keep others out.

uvicorn limits how long a connection may rest between two requests, not how long a client may take
to send one. Here a worker looks over its connections once a second, which costs a request nothing.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clv.service.headers import ALWAYS, NO_PAGE
from clv.service.logs import new_request_id
from clv.service.problems import RefusedError, problem

__all__ = ["Connections", "Protocol"]

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
_TOO_SLOW = RefusedError(
    HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive whole in time. Send it again, faster."
)
_NO_HTTP = RefusedError(HTTPStatus.BAD_REQUEST, "That is no HTTP/1.1 request. Correct its syntax.")


class Protocol(HttpToolsProtocol):
    """uvicorn's, which reports to the `Connections` of its worker."""

    cycle: Any  # None until the first request

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        super().connection_made(transport)
        self._watched_by.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._watched_by.remove(self)

    @property
    def _watched_by(self) -> "Connections":
        connections: Connections = self.app_state["connections"]
        return connections

    @property
    def waits_for(self) -> object | None:
        """What the client owes us, None where it is our turn: another request, or the rest of one.

        Each is an object of its own, so that two looks can tell whether it is still the same.
        """
        if self.cycle is None:
            return self
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
        """Tell the client that it was too slow, where it began to speak, and hang up."""
        if self.cycle is not None and not self.cycle.response_started:
            self._refuse(_TOO_SLOW)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Answer what cannot be parsed: uvicorn's hook, with our problem details."""
        self._refuse(_NO_HTTP)
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
        there is none such, of those whose requests are all answered; or else the new one.
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
            idle = next((one for one in self._open if one.never_asked), None)
            idle = idle or next((one for one in self._open if one.at_rest), connection)
            if not self._crowded:
                _log.warning("More than %d connections: idle ones are closed", self._most)
            self._crowded = True
            self._open.pop(idle, None)
            idle.transport.abort()
            if idle is connection:
                return
        self._open[connection] = None

    def remove(self, connection: Protocol) -> None:
        """A connection that has ended."""
        self._open.pop(connection, None)

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
        """Close each connection whose client has owed us the same thing for too long."""
        self._crowded = len(self._open) >= self._most
        for connection, before in list(self._open.items()):
            owed = connection.waits_for
            if owed is None:
                self._open[connection] = None
            elif before is None or before[0] is not owed:
                self._open[connection] = owed, now
            elif now - before[1] > self._read_timeout_s:
                connection.time_out()
