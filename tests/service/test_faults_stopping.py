"""Being asked to stop, and being asked for more than the database takes."""

import json
import signal
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import pytest

from support.server import Server, serving
from support.waiting import until

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
HEAD = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"id": 8, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}'


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), 30)


def refuses_connections(server: Server) -> bool:
    try:
        connected(server).close()
    except ConnectionError:
        return True
    return False


def test_readiness_fails_first_then_accepted_requests_finish_and_the_queue_is_written(
    trained_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tracking.sqlite"
    numbers = count(100)

    def ask_until_refused() -> list[int]:
        """The passengers whose answer came."""
        answered = []
        with server.client() as client:
            for number in numbers:
                try:
                    said = client.post("/api/predict", json=PASSENGER | {"id": number})
                except httpx.TransportError:
                    return answered
                assert said.status_code == 200, said.text
                answered.append(number)
        raise AssertionError

    with (
        serving(
            trained_home, database_url=f"sqlite:///{file}", environment={"CLV_DRAIN_S": "2"}
        ) as server,
        server.client() as client,
        ThreadPoolExecutor(4) as clients,
        connected(server) as in_flight,
    ):
        assert client.get("/ready").status_code == 200
        in_flight.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:9])
        assert client.get("/health").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/ready").status_code == 503)
        assert client.post("/api/predict", json=PASSENGER).status_code == 200
        assert client.get("/ready").json()["reasons"] == ["The service is shutting down."]
        assert client.get("/health").status_code == 200
        asking = [clients.submit(ask_until_refused) for _ in range(4)]
        until(lambda: refuses_connections(server))
        until(lambda: "Waiting for connections to close" in server.log())
        in_flight.sendall(BODY[9:])
        assert in_flight.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        answered = [number for each in asking for number in each.result()]
        assert server.process.wait(30) == 0, server.log()
    assert answered, "a service that drains still takes requests"
    with sqlite3.connect(file) as table:
        kept = [number for (number,) in table.execute("SELECT passenger_id FROM requests")]
    assert {7, 8, *answered} <= set(kept)
    assert len(kept) == len(set(kept))


def test_a_full_queue_is_503_at_once_and_what_waited_is_kept_when_the_lock_goes(
    trained_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tracking.sqlite"
    first, second = (
        {"passengers": [PASSENGER | {"id": k} for k in range(start, start + 6_000)]}
        for start in (0, 6_000)
    )
    with (
        serving(
            trained_home,
            database_url=f"sqlite:///{file}",
            environment={"CLV_TRACKING_QUEUE_ROWS": "10000"},
        ) as server,
        server.client() as client,
        ThreadPoolExecutor(1) as clients,
    ):
        holder = sqlite3.connect(file, isolation_level=None)
        try:
            holder.execute("BEGIN IMMEDIATE")
            waits = clients.submit(
                httpx.post,
                f"{server.url}/api/predict/batch",
                json=first,
                timeout=30,
                trust_env=False,
            )
            until(lambda: "clv_tracking_queue_rows 6000.0" in client.get("/metrics").text)
            refused = client.post("/api/predict/batch", json=second)
            assert not waits.done(), "refused while the others still wait"
            holder.execute("ROLLBACK")
        finally:
            holder.close()
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) > 0
        assert "tracking queue is full" in refused.json()["detail"]
        assert waits.result().status_code == 200
        assert client.get("/ready").status_code == 200
        assert client.get("/api/requests/5999").json()["count"] == 1
        assert client.get("/api/requests/6000").json()["count"] == 0
        assert client.post("/api/predict/batch", json=second).status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_terminal_that_is_closed_ends_the_service_like_any_other_request_to_stop(
    trained_home: Path, tmp_path: Path, workers: str
) -> None:
    file = tmp_path / "tracking.sqlite"
    with serving(
        trained_home,
        database_url=f"sqlite:///{file}",
        environment={"CLV_WORKERS": workers, "CLV_LOG_FORMAT": "json"},
    ) as server:
        with server.client() as client, connected(server) as in_flight:
            in_flight.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:9])
            until(lambda: client.get("/ready").status_code == 200)
            assert client.post("/api/predict", json=PASSENGER).status_code == 200
            server.process.send_signal(signal.SIGHUP)
            until(lambda: server.log().count("Asked to stop") == int(workers))
            in_flight.sendall(BODY[9:])
            assert in_flight.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.process.wait(30) == 0, server.log()
    with sqlite3.connect(file) as table:
        kept = {number for (number,) in table.execute("SELECT passenger_id FROM requests")}
    assert kept == {7, 8}
    for line in server.log().splitlines():
        assert "color_message" not in json.loads(line), "JSON from the first line to the last"


def test_a_service_under_nohup_stays_when_its_terminal_is_closed(
    trained_home: Path, tmp_path: Path
) -> None:
    ignored = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    database = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    with serving(trained_home, database_url=database, prelude=ignored) as server:
        server.process.send_signal(signal.SIGHUP)
        with server.client() as client:
            assert client.get("/health").status_code == 200
        assert "Asked to stop" not in server.log()
