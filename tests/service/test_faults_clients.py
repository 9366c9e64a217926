"""Clients that are slow, many, or ask for too much: what they see; others do not suffer."""

import contextlib
import json
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.server import Server, serving
from support.waiting import PAUSE, until

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
MOST_CONNECTIONS = 200
HEAD = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"id": 8, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}'
# What a shell allows by default.
FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""


@pytest.fixture(scope="module")
def patient(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits a second for a request."""
    file = tmp_path_factory.mktemp("clients") / "tracking.sqlite"
    with serving(
        trained_home,
        database_url=f"sqlite:///{file}",
        environment={
            "CLV_READ_TIMEOUT_S": "1",
            "CLV_MAX_CONNECTIONS": str(MOST_CONNECTIONS),
            "CLV_MAX_BODY_BYTES": "4096",
        },
    ) as running:
        yield running


@contextlib.contextmanager
def connected(server: Server, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), 15, (source, 0)) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """What comes until the server hangs up."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            found += part
    return found


def is_a_problem(said: bytes) -> None:
    """Whoever gives an answer, it has what all have."""
    head, _, body = said.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-request-id"]
    assert int(headers["content-length"]) == len(body)
    assert status == "HTTP/1.1 {status} {title}".format(**json.loads(body))


def predicts(server: Server) -> bool:
    with server.client() as client:
        return client.post("/api/predict", json=PASSENGER).status_code == 200


def test_a_client_that_stalls_in_its_body_is_told_408_and_nobody_waits_for_it(
    patient: Server,
) -> None:
    with connected(patient) as connection:
        connection.sendall(HEAD + b"Content-Length: 70\r\n\r\n" + BODY[:20])
        assert predicts(patient)
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    is_a_problem(said)
    with patient.client() as client:
        assert client.get("/api/requests/8").json()["count"] == 0
    assert "Traceback" not in patient.log()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS, where there is none
        b"BREW / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        HEAD + b"Content-Length: minus one\r\n\r\n",
    ],
    ids=["TLS", "method", "header", "length"],
)
def test_what_is_no_http_is_a_400_like_any_problem(patient: Server, sent: bytes) -> None:
    with connected(patient) as connection:
        connection.sendall(sent)
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    is_a_problem(said)
    assert predicts(patient)
    assert "Traceback" not in patient.log()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health?" + b"x" * 1_000_000,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 1_000_000,
        b"GET /health HTTP/1.1\r\n" + b"X-Many: x\r\n" * 100_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-Trailer: x\r\n" * 100_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000,
    ],
    ids=["address", "header", "headers", "trailers", "chunk extension"],
)
def test_a_head_without_end_is_431_and_not_kept(patient: Server, head: bytes) -> None:
    with connected(patient) as connection:
        taken, said = 0, b""
        connection.settimeout(0.05)
        while not said and taken < len(head):
            with contextlib.suppress(ConnectionError):
                taken += connection.send(head[taken : taken + 8192])
            with contextlib.suppress(TimeoutError, ConnectionError):
                said = everything(connection)
        assert said.startswith(b"HTTP/1.1 431 ")
        is_a_problem(said)
        assert taken < 300_000
    assert predicts(patient)
    assert "Traceback" not in patient.log()


def test_a_head_of_many_parts_below_the_limit_is_answered(patient: Server) -> None:
    many = b"".join(b"X-Header-%d: %s\r\n" % (k, b"x" * 100) for k in range(400))
    with connected(patient) as connection:
        for _ in range(3):  # each request begins to count anew
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")
            said = b""
            while b'"healthy"' not in said:
                said += connection.recv(65536)
            assert said.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_does_not_read_its_answers_is_hung_up_on(patient: Server) -> None:
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", int(patient.url.rsplit(":", 1)[1])))
        connection.settimeout(5)
        # More than the buffers of both sockets hold.
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(ask * 2_000)
        connection.setblocking(False)
        until(lambda: is_hung_up(connection))
    assert predicts(patient)
    assert "Traceback" not in patient.log()


def test_clients_that_stall_before_a_head_is_whole_are_hung_up_on(patient: Server) -> None:
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    with contextlib.ExitStack() as stalled:
        silent, begun, second = [stalled.enter_context(connected(patient)) for _ in range(3)]
        begun.sendall(HEAD)
        second.sendall(whole + HEAD[:30])
        assert predicts(patient)
        assert everything(silent) == b""
        assert everything(begun) == b""
        answered = everything(second)
    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answered.count(b"HTTP/1.1") == 1
    assert predicts(patient)


def test_a_client_that_trickles_for_ever_is_told_408_however_steady_it_is(patient: Server) -> None:
    said = b""
    with connected(patient) as connection:
        connection.settimeout(0.1)
        connection.sendall(HEAD + b"Content-Length: 4000\r\n\r\n")
        for _ in range(300):
            with contextlib.suppress(TimeoutError):
                said = connection.recv(65536)
                break
            connection.sendall(b" ")
    assert said.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_slow_client_within_the_limit_is_answered_like_any_other(server: Server) -> None:
    whole = HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY
    with connected(server) as connection:
        for k in range(0, len(whole), 12):  # the head alone takes two looks at the connections
            connection.sendall(whole[k : k + 12])
            PAUSE.wait(0.25)
        assert everything(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_body_that_is_too_large_is_413_in_chunks_as_with_a_stated_length(patient: Server) -> None:
    def chunks(number: int) -> Iterator[bytes]:
        yield BODY[:-1]
        for _ in range(number):
            yield b" " * 1000
        yield b"}"

    with patient.client() as client:
        headers = {"content-type": "application/json"}
        fits = client.post("/api/predict", content=chunks(3), headers=headers)
        assert (fits.status_code, fits.json()["id"]) == (200, 8)
        for body in (chunks(9), BODY + b" " * 9000):
            answer = client.post("/api/predict", content=body, headers=headers)
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/problem+json"
            assert "4,096 bytes" in answer.json()["detail"]
        assert client.get("/health").status_code == 200


def is_hung_up(connection: socket.socket) -> bool:
    try:
        connection.send(b"G")
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return False


# A database that is looked at, a registry that is asked: what a server opens beside connections.
OTHER_FILES = 50


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


@contextlib.contextmanager
def ten_thousand_idle(server: Server) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 11_000:
        pytest.skip(f"a process here may open {hard} files; 11,000 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with contextlib.ExitStack() as idle:
            for k in range(10_000):
                # Ports of one address run short when a test before used them up.
                idle.enter_context(connected(server, f"127.0.0.{1 + k // 5_000}"))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def all_is_well(server: Server) -> None:
    assert predicts(server)
    with server.client() as client:
        assert client.get("/health").json() == "healthy"
        assert client.get("/ready").status_code == 200
    assert server.process.poll() is None
    assert "Traceback" not in server.log()


def test_ten_thousand_idle_connections_keep_nobody_out(patient: Server) -> None:
    until(lambda: open_files(patient) < MOST_CONNECTIONS)
    before = open_files(patient)
    with ten_thousand_idle(patient):
        all_is_well(patient)
        assert open_files(patient) <= before + MOST_CONNECTIONS
    until(lambda: open_files(patient) <= before + OTHER_FILES)
    all_is_well(patient)
    assert "idle ones are closed" in patient.log()


def test_ten_thousand_idle_connections_are_held_where_so_many_are_allowed(
    trained_home: Path, tmp_path: Path
) -> None:
    with serving(
        trained_home,
        database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
        environment={"CLV_MAX_CONNECTIONS": "12000"},
        prelude=FEW_FILES,
    ) as server:
        all_is_well(server)
        before = open_files(server)
        with ten_thousand_idle(server):
            all_is_well(server)
            assert open_files(server) >= 10_000
        until(lambda: open_files(server) <= before + OTHER_FILES)
        all_is_well(server)
        assert "idle ones are closed" not in server.log()


def test_a_connection_that_works_is_not_closed_for_idle_ones(patient: Server) -> None:
    with httpx.Client(base_url=patient.url, trust_env=False) as client:
        for _ in range(3):
            assert client.post("/api/predict", json=PASSENGER).status_code == 200
            with contextlib.ExitStack() as idle:
                for _ in range(MOST_CONNECTIONS + 50):
                    idle.enter_context(connected(patient))
                assert client.post("/api/predict", json=PASSENGER).status_code == 200


def test_connections_at_rest_give_way_to_new_ones(patient: Server) -> None:
    """A pool of clients that keep their connections must not shut everybody else out."""
    with contextlib.ExitStack() as resting:
        for _ in range(MOST_CONNECTIONS):
            one = resting.enter_context(connected(patient))
            one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(4096).startswith(b"HTTP/1.1 200 OK")
        for _ in range(20):
            assert predicts(patient)


def test_connections_stalled_within_a_body_give_way_to_new_ones(
    trained_home: Path, tmp_path: Path
) -> None:
    """Whoever may not even ask anything, as with no key, must not shut everybody else out."""
    with serving(
        trained_home,
        database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
        environment={"CLV_MAX_CONNECTIONS": "20"},
    ) as server:
        stall = b"POST /signin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70\r\n\r\nkey="
        with contextlib.ExitStack() as stalled:
            for _ in range(20):
                stalled.enter_context(connected(server)).sendall(stall)
            for _ in range(5):
                assert predicts(server)
        assert "Traceback" not in server.log()


def memory(server: Server) -> int:
    """Resident memory in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def test_bodies_that_are_not_finished_take_bounded_memory(
    trained_home: Path, tmp_path: Path
) -> None:
    size = 2 * 2**20
    with (
        serving(
            trained_home,
            database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
            environment={"CLV_MAX_BUFFERED_BYTES": str(8 * 2**20)},
        ) as server,
        contextlib.ExitStack() as unfinished,
    ):
        until(lambda: predicts(server))
        before = memory(server)
        batch = HEAD.replace(b"predict", b"predict/batch")
        refused = 0
        for _ in range(60):
            connection = unfinished.enter_context(connected(server))
            connection.sendall(batch + b"Content-Length: %d\r\n\r\n" % size + b" " * (size - 1))
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                said = connection.recv(65536)
                assert said.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 5\r\n" in said
                refused += 1
        assert refused >= 50
        assert memory(server) < before + 60
        assert predicts(server), "one passenger needs no room"
        unfinished.close()
        with server.client() as client:
            body = json.dumps({"passengers": [PASSENGER] * 10_000}) + " " * size
            headers = {"content-type": "application/json"}
            until(
                lambda: (
                    client.post("/api/predict/batch", content=body, headers=headers).status_code
                    == 200
                )
            )


def few_files(most: int) -> str:
    return f"import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, ({most}, {most}))\n"


def test_connections_fit_the_limit_of_open_files_and_it_is_said(
    trained_home: Path, tmp_path: Path
) -> None:
    with serving(
        trained_home,
        database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
        prelude=few_files(200),
    ) as server:
        with contextlib.ExitStack() as idle:
            for _ in range(400):
                idle.enter_context(connected(server))
            with server.client() as client:
                assert client.get("/health").status_code == 200
        with server.client() as client:
            warnings = " ".join(client.get("/ready").json()["warnings"])
        assert "at most 72 connections, not 1,000 (CLV_MAX_CONNECTIONS)" in warnings
        assert "ulimit -n" in warnings
        assert server.log().count("at most 72 connections") == 1


# Files are used up by something else than connections.
USED_UP = """
import os, threading, time
from pathlib import Path
def use_up():
    gate = Path(os.environ["TMPDIR"]) / "gate"
    while not gate.exists():
        time.sleep(0.05)
    held = []
    while gate.exists():
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            time.sleep(0.01)
    for one in held:
        os.close(one)
threading.Thread(target=use_up, daemon=True).start()
"""


def test_no_more_open_files_are_one_line_in_the_log_and_idle_connections_give_way(
    trained_home: Path, tmp_path: Path
) -> None:
    with (
        serving(
            trained_home,
            database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
            environment={"TMPDIR": str(tmp_path)},
            prelude=few_files(300) + USED_UP,
        ) as server,
        contextlib.ExitStack() as idle,
        server.client() as resting,
    ):
        for _ in range(40):
            idle.enter_context(connected(server))
        assert resting.get("/health").status_code == 200
        (tmp_path / "gate").touch()
        until(lambda: "No more files can be opened" in server.log())
        until(lambda: answers(server))
        (tmp_path / "gate").unlink()
        assert server.log().count("No more files can be opened") == 1


def answers(server: Server) -> bool:
    try:
        with server.client() as client:
            return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_flood_of_refused_requests_is_a_few_lines_in_the_log(patient: Server) -> None:
    before = len(patient.log().splitlines())
    with patient.client() as client:
        for _ in range(500):
            assert client.get("/api/requests/none").status_code == 422
            assert client.post("/api/predict", content="{").status_code == 422
    assert len(patient.log().splitlines()) - before < 100
