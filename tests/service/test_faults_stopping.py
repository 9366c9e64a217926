"""Being asked to stop, and being asked for more than the database takes."""

import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from support.server import start

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
WAIT = threading.Event()


def test_readiness_fails_first_then_accepted_requests_finish_and_the_queue_is_written(
    trained_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tracking.sqlite"
    server = start(trained_home, database_url=f"sqlite:///{file}", environment={"CLV_DRAIN_S": "3"})
    with server.client() as client, ThreadPoolExecutor(8) as clients:
        assert client.get("/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        for _ in range(300):
            answer = client.get("/ready")
            if answer.status_code == 503:
                break
            WAIT.wait(0.01)
        assert answer.json()["reasons"] == ["The service is shutting down."]
        assert client.get("/health").status_code == 200

        def ask(number: int) -> int | None:
            """The passenger, where the answer came."""
            try:
                said = httpx.post(
                    f"{server.url}/api/predict", json=PASSENGER | {"id": number}, trust_env=False
                )
            except httpx.TransportError:
                return None
            assert said.status_code == 200
            return number

        asked = [clients.submit(ask, number) for number in range(300)]
        answered = [number for one in asked if (number := one.result()) is not None]
        assert answered, "a service that drains still takes requests"
    assert server.process.wait(30) == 0, server.log()
    with sqlite3.connect(file) as table:
        kept = [number for (number,) in table.execute("SELECT passenger_id FROM requests")]
    assert set(answered) <= set(kept)
    assert len(kept) == len(set(kept))


def test_a_full_queue_is_503_at_once_and_what_waited_is_kept_when_the_lock_goes(
    trained_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tracking.sqlite"
    server = start(
        trained_home,
        database_url=f"sqlite:///{file}",
        environment={"CLV_TRACKING_QUEUE_ROWS": "10000"},
    )
    batch = {"passengers": [PASSENGER | {"id": number} for number in range(6_000)]}
    holder = sqlite3.connect(file, isolation_level=None)
    try:
        with server.client() as client, ThreadPoolExecutor(1) as clients:
            holder.execute("BEGIN IMMEDIATE")
            waits = clients.submit(client.post, "/api/predict/batch", json=batch)
            refused = None
            while refused is None and not waits.done():
                answer = httpx.post(
                    f"{server.url}/api/predict/batch", json=batch, trust_env=False, timeout=30
                )
                if "tracking queue is full" in answer.text:
                    refused = answer
            assert refused is not None, waits.result().text
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            holder.execute("ROLLBACK")
            status = waits.result().status_code
            assert client.get("/health").status_code == 200
            assert client.get("/ready").status_code == 200
            count = client.get("/api/requests/5999").json()["count"]
        # Who waited longer than the lock timeout was told so, and is not in the table.
        assert (status, count > 0) in ((200, True), (503, False))
    finally:
        holder.close()
        server.process.terminate()
        assert server.process.wait(30) == 0, server.log()
