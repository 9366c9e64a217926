"""Request smuggling, on raw sockets: what one request holds is never run as another."""

import contextlib
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.server import Server
from support.waiting import until

PASSENGER = b'{"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}'
HIDDEN = b"POST /reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
NEXT = b"GET /api/requests/7 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    "unknown": b"Connection: upgrade\r\nUpgrade: x\r\n",
    "twice": b"Connection: Upgrade\r\nUpgrade: x\r\nUpgrade: h2c, y\r\n",
}


def post(path: bytes, headers: bytes, body: bytes = b"") -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % path
    return head + headers + b"\r\n" + body


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def chunks(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def talk(server: Server, *segments: bytes) -> bytes:
    """All that is answered until the server hangs up, or rests after the last request."""
    address = "127.0.0.1", int(server.url.rsplit(":", 1)[1])
    said = b""
    with (
        socket.create_connection(address, 15) as connection,
        contextlib.suppress(ConnectionError, TimeoutError),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for segment in segments:
            connection.sendall(segment)
            if len(segments) > 1:
                time.sleep(0.05)
        while part := connection.recv(65536):
            said += part
    return said


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


@pytest.fixture
def kept(client: httpx.Client, tracking_file: Path) -> Iterator[None]:
    """A tracked request, which is still there afterwards."""
    client.post("/api/predict", content=PASSENGER, headers={"content-type": "application/json"})
    yield
    with contextlib.closing(sqlite3.connect(tracking_file)) as database:
        (rows,) = database.execute("SELECT count(*) FROM requests").fetchone()
    assert rows >= 1, "the hidden /reset was run"


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize("cut", [None, "head", "bytes"])
def test_an_upgrade_is_ignored_and_the_body_is_read(
    server: Server, kept: None, upgrade: bytes, cut: str | None, *, chunked: bool
) -> None:
    headers, body = (CHUNKED, chunks(PASSENGER)) if chunked else (sized(PASSENGER), PASSENGER)
    head = post(b"/api/predict", upgrade + headers)
    match cut:
        case None:
            segments = [head + body + NEXT]
        case "head":
            segments = [head, body, NEXT]
        case _:
            whole = head + body
            segments = [whole[:-5], whole[-5:-1], whole[-1:], NEXT]
    said = talk(server, *segments)
    assert statuses(said) == [200, 200]
    assert b'{"id":7,"count":2}' in said


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("together", [True, False])
def test_the_body_of_an_upgrade_is_never_run_as_a_request(
    server: Server, kept: None, upgrade: bytes, *, together: bool
) -> None:
    segments = [post(b"/health", upgrade + sized(HIDDEN)), HIDDEN, NEXT]
    said = talk(server, *([b"".join(segments)] if together else segments))
    assert statuses(said) == [405, 200]
    assert b"Deleted" not in said


def test_requests_with_upgrades_are_pipelined_like_others(server: Server, kept: None) -> None:
    one = post(b"/api/predict", UPGRADES["h2c"] + sized(PASSENGER), PASSENGER)
    get = b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + UPGRADES["websocket"] + b"\r\n"
    said = talk(server, (one + get) * 20 + NEXT)
    assert statuses(said) == [200] * 41
    assert b'{"id":7,"count":21}' in said


def test_an_address_that_cannot_be_is_400_with_an_upgrade_too(server: Server) -> None:
    said = talk(server, b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n" + UPGRADES["h2c"] + b"\r\n")
    assert statuses(said) == [400]


_BOTH = sized(HIDDEN) + CHUNKED
REFUSED = {
    "CL.TE": post(b"/health", _BOTH, b"0\r\n\r\n" + HIDDEN),
    "TE.CL": post(b"/health", CHUNKED + b"Content-Length: 4\r\n", chunks(HIDDEN)),
    "TE.TE": post(b"/health", CHUNKED + b"Transfer-Encoding: identity\r\n", chunks(b"x") + HIDDEN),
    "TE list": post(b"/health", b"Transfer-Encoding: chunked, identity\r\n", chunks(b"") + HIDDEN),
    "TE unknown": post(b"/health", b"Transfer-Encoding: xchunked\r\n", chunks(b"") + HIDDEN),
    "TE tab": post(b"/health", b"Transfer-Encoding:\x0bchunked\r\n", chunks(b"") + HIDDEN),
    "TE space before colon": post(b"/health", b"Transfer-Encoding : chunked\r\n", HIDDEN),
    "CL twice": post(b"/health", b"Content-Length: 0\r\n" + sized(HIDDEN), HIDDEN),
    "CL list": post(b"/health", b"Content-Length: 0, %d\r\n" % len(HIDDEN), HIDDEN),
    "CL signed": post(b"/health", b"Content-Length: +0\r\n", HIDDEN),
    "CL negative": post(b"/health", b"Content-Length: -1\r\n", HIDDEN),
    "CL hexadecimal": post(b"/health", b"Content-Length: 0x0\r\n", HIDDEN),
    "CL huge": post(b"/health", b"Content-Length: 18446744073709551616\r\n", HIDDEN),
    "CL empty": post(b"/health", b"Content-Length:\r\n", HIDDEN),
    "bare CR": post(b"/health", b"X: a\rContent-Length: 9\r\n", HIDDEN),
    "bare LF": b"POST /health HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n" + HIDDEN,
    "obs-fold": post(b"/health", b"X: a\r\n " + sized(HIDDEN), HIDDEN),
    "NUL": post(b"/health", b"X: a\x00b\r\n", HIDDEN),
    "chunk extension with LF": post(b"/health", CHUNKED, b"1;a\nb\r\nx\r\n0\r\n\r\n" + HIDDEN),
    "chunk size signed": post(b"/health", CHUNKED, b"+1\r\nx\r\n0\r\n\r\n" + HIDDEN),
    "chunk size huge": post(b"/health", CHUNKED, b"1" + b"0" * 18 + b"\r\nx" + HIDDEN),
    "chunk size with LF": post(b"/health", CHUNKED, b"1\nx\r\n0\r\n\r\n" + HIDDEN),
    "garbage after a chunk": post(b"/health", CHUNKED, b"1\r\nxx\r\n0\r\n\r\n" + HIDDEN),
    "garbage after the last chunk": post(b"/health", CHUNKED, b"0\r\nxx\x00\r\n" + HIDDEN),
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "CONNECT with a length": b"CONNECT localhost:80 HTTP/1.1\r\n"
    + sized(HIDDEN)
    + b"\r\n"
    + HIDDEN,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
}


@pytest.mark.parametrize("upgrade", [b"", UPGRADES["h2c"]], ids=["plain", "upgrade"])
@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
def test_what_two_parsers_may_read_in_two_ways_is_refused_and_the_connection_closed(
    server: Server, kept: None, request_: bytes, upgrade: bytes
) -> None:
    line, end, rest = request_.partition(b"\r\n")
    said = talk(server, line + end + upgrade + rest)
    assert statuses(said) in ([400], [405, 400], [405])
    assert b"Deleted" not in said


def test_an_expected_continue_is_sent_once_and_the_body_is_its_own(
    server: Server, kept: None
) -> None:
    expects = b"Expect: 100-continue\r\n" + sized(PASSENGER)
    said = talk(server, post(b"/api/predict", UPGRADES["h2c"] + expects), PASSENGER, NEXT)
    assert statuses(said) == [100, 200, 200]
    assert b'{"id":7,"count":2}' in said


def memory(server: Server) -> int:
    """Resident memory in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024


@pytest.mark.parametrize(
    ("clients", "answers"),
    [(3, 10_000), pytest.param(10, 50_000, marks=pytest.mark.nightly)],
    ids=["some", "many"],
)
def test_pipelined_requests_whose_answers_nobody_reads_take_no_memory(
    server: Server, clients: int, answers: int
) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as open_:
        connections = [open_.enter_context(socket.socket()) for _ in range(clients)]
        before = memory(server)
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
            connection.settimeout(1)
            # More than all buffers between the two ends hold.
            with contextlib.suppress(TimeoutError):
                connection.sendall(one * 800_000)
                pytest.fail("the server reads whatever is sent")
        assert memory(server) < before + 50
        # What was sent is answered in its order as soon as it is read.
        first = connections[0].makefile("rb")
        for _ in range(answers):
            assert first.readline() == b"HTTP/1.1 200 OK\r\n"
            while first.readline() != b"\r\n":
                pass
            assert first.read(9) == b'"healthy"'


def test_pipelined_requests_are_answered_in_their_order(server: Server, kept: None) -> None:
    asked = [
        post(b"/api/predict", sized(body), body)
        for body in (PASSENGER.replace(b"7", b"%d" % k, 1) for k in range(1000, 1400))
    ]
    said = talk(server, b"".join(asked) + NEXT)
    assert statuses(said) == [200] * 401
    assert re.findall(rb'{"id":(\d+),"monetary_30"', said) == [b"%d" % k for k in range(1000, 1400)]


def test_a_pipelined_body_that_is_too_slow_is_not_blamed_for_others(server: Server) -> None:
    """The rest of what was sent is read once it is its turn."""
    large = b'{"passengers": [%s]}' % b",".join([PASSENGER] * 5_000)
    batch = post(b"/api/predict/batch", sized(large), large)
    said = talk(server, batch * 3 + NEXT)
    assert statuses(said) == [200] * 4
    until(lambda: "Traceback" not in server.log())
