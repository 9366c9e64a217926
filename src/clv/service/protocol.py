"""HTTP/1.1 on one connection: uvicorn's, with limits on what a client may send and leave unread.

What uvicorn's parser does alone and this does not:

- It takes what follows a head with `Upgrade` for another protocol, so a body would be lost, or
  parsed as the next request. No upgrade is offered here, and so the header is ignored (RFC 9110,
  section 7.8).
- It parses all that arrives, however many requests that are, and keeps each until its turn. Here
  nothing more is parsed or read while a request waits for its turn.
"""

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clv.service.headers import ALWAYS, NO_PAGE
from clv.service.logs import new_request_id
from clv.service.problems import RefusedError, problem

if TYPE_CHECKING:
    from clv.service.connections import Connections

__all__ = ["Protocol"]

_log = logging.getLogger(__name__)

#: Bytes that may come without a head or a part of a body becoming whole.
_MOST_UNPARSED = 64 * 1024
#: Bytes that are parsed at once: the pipelined requests in them are all that wait at a time.
_PART = 2048
_TOO_SLOW = RefusedError(
    HTTPStatus.REQUEST_TIMEOUT,
    "The request did not arrive completely in time. Send it again, faster.",
)
_TOO_LONG = RefusedError(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"The head of the request is larger than {_MOST_UNPARSED:,} bytes. Send fewer and shorter "
    "headers.",
)
_NO_HTTP = RefusedError(HTTPStatus.BAD_REQUEST, "Not a valid HTTP/1.1 request. Correct its syntax.")


class _Flow(FlowControl):
    """Reads on only if no request waits for its turn, whatever the one being answered needs."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Protocol(HttpToolsProtocol):
    """uvicorn's, which reports to the `Connections` of its worker."""

    flow: _Flow
    cycle: Any  # of the request that came last; None until the first
    _answering: Any = None  # of the request that is being answered, or was last
    _unparsed = 0
    _kept = b""  # read, but not parsed yet

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
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
        """Take what came."""
        self._unset_keepalive_if_required()
        if self._kept or self.pipeline or len(data) > _PART:
            self._parse(self._kept + data)
        elif (parsed := self._feed(data)) < len(data) or self.pipeline:
            self._parse(data[parsed:])

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        if self.flow.held and not self.pipeline:
            self._parse(self._kept)
            self.flow.resume_reading()

    def _parse(self, data: bytes) -> None:
        """Parse as far as the first request that has to wait for its turn."""
        rest = memoryview(data)
        while rest and not self.pipeline and not self.transport.is_closing():
            rest = rest[self._feed(rest[:_PART]) :]
        waits = bool(self.pipeline) and not self.transport.is_closing()
        self._kept = bytes(rest) if waits else b""
        self.flow.held = waits
        if waits:
            self.flow.pause_reading()

    def _feed(self, part: bytes | memoryview) -> int:
        """Parse a part; returns how much of it was parsed."""
        self._unparsed += len(part)
        parsed = len(part)
        try:
            try:
                self.parser.feed_data(part)
            except httptools.HttpParserUpgrade as stopped:
                parsed = stopped.args[0]
                self._ignore_upgrade()
        except httptools.HttpParserError:
            self.send_400_response("")
        # The parser keeps what is not whole yet, whatever its size.
        if self._unparsed > _MOST_UNPARSED and not self.transport.is_closing():
            self._hang_up(_TOO_LONG)
        return parsed

    def _ignore_upgrade(self) -> None:
        """Parse the same head once more, without `Upgrade`: what follows is its body."""
        if self.scope["method"] == "CONNECT":
            self.send_400_response("")
            return
        lines = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        version = self.scope["http_version"]
        head = b"%s %s HTTP/%s" % (self.scope["method"].encode(), self.url, version.encode())
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"\r\n".join([head, *lines, b"", b""]))

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._unparsed = 0
        if self.parser.should_upgrade():  # it is parsed once more
            self.scope["method"] = self.parser.get_method().decode()
            self.scope["http_version"] = self.parser.get_http_version()
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

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
        if self.flow.held:
            return None
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
        if error and not self.pipeline and (now is None or now.response_complete or unanswered):
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
