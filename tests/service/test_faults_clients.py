"""Clients that are slow, many, or ask for too much: what they see; others do not suffer."""

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.server import Server, serving

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
MOST_CONNECTIONS = 200
HEAD = b"POST /api/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b'{"id": 8, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}'


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
    assert b"application/problem+json" in said
    assert b"Connection: close" in said.title().replace(b"Close", b"close")
    with patient.client() as client:
        assert client.get("/api/requests/8").json()["count"] == 0
    assert "Traceback" not in patient.log()


@pytest.mark.parametrize("sent", [b"", b"POST /api/predict HTT", HEAD])
def test_a_client_that_stalls_before_its_head_is_whole_is_hung_up_on(
    patient: Server, sent: bytes
) -> None:
    with connected(patient) as connection:
        connection.sendall(sent)
        assert everything(connection) == b""
    assert predicts(patient)


def test_a_client_that_stalls_in_its_second_request_is_hung_up_on_too(patient: Server) -> None:
    with connected(patient) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + HEAD)
        assert everything(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_request_in_pieces_is_answered_like_any_other(patient: Server) -> None:
    whole = HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY
    with connected(patient) as connection:
        for k in range(0, len(whole), 10):
            connection.sendall(whole[k : k + 10])
        assert everything(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_body_in_chunks_is_limited_like_one_of_a_stated_length(patient: Server) -> None:
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


def test_ten_thousand_idle_connections_keep_nobody_out(patient: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 11_000:
        pytest.skip(f"a process here may open {hard} files; 11,000 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with contextlib.ExitStack() as idle:
            for k in range(10_000):
                # Ports of one address run short when a test before used them up.
                idle.enter_context(connected(patient, f"127.0.0.{1 + k // 5_000}"))
            assert predicts(patient)
            with patient.client() as client:
                assert client.get("/health").json() == "healthy"
                assert client.get("/ready").status_code == 200
            held = len(list(Path(f"/proc/{patient.process.pid}/fd").iterdir()))
            assert held < MOST_CONNECTIONS + 100
        assert predicts(patient)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert patient.process.poll() is None
    assert "idle ones are closed" in patient.log()
    assert "Traceback" not in patient.log()


def test_a_connection_that_works_is_not_closed_for_idle_ones(patient: Server) -> None:
    with httpx.Client(base_url=patient.url, trust_env=False) as client:
        for _ in range(3):
            assert client.post("/api/predict", json=PASSENGER).status_code == 200
            with contextlib.ExitStack() as idle:
                for _ in range(MOST_CONNECTIONS + 50):
                    idle.enter_context(connected(patient))
                assert client.post("/api/predict", json=PASSENGER).status_code == 200
