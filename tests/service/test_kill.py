"""`kill -9` under load: what a client saw answered is kept, once, and the service comes back."""

import itertools
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, make_url, select, text

from clv.sql import with_driver
from clv.tracking import requests
from support.server import Server, free_port, start

CLIENTS = 6
BATCH = 7


class Load:
    """Clients that ask for new passengers again and again, and note which were answered."""

    def __init__(self, url: str, ids: Iterator[int]) -> None:
        self._url = url
        self._ids = ids
        self._lock = threading.Lock()
        self._enough = threading.Condition()
        self._stopped = threading.Event()
        self.answered: list[int] = []
        self.batches: list[list[int]] = []  # every batch that was sent
        self.others: list[str] = []  # answers that are none
        self._threads = [threading.Thread(target=self._ask, args=(k,)) for k in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answers: int) -> None:
        with self._enough:
            assert self._enough.wait_for(lambda: len(self.answered) >= answers, 60)

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            while not self._stopped.is_set():
                with self._lock:
                    size = BATCH if number == 0 else 1
                    ids = list(itertools.islice(self._ids, size))
                passengers = [
                    {"id": one, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5} for one in ids
                ]
                if size > 1:
                    self.batches.append(ids)
                path, body = ("", passengers[0]) if size == 1 else ("/batch", {})
                try:
                    answer = client.post(
                        f"/api/predict{path}", json=body or {"passengers": passengers}
                    )
                except httpx.TransportError:
                    return  # it was killed
                if answer.status_code != 200:
                    self.others.append(f"{answer.status_code} {answer.text}")
                    return
                with self._enough:
                    self.answered += ids
                    self._enough.notify_all()


def kept(database_url: str) -> Counter[int]:
    """How often each passenger stands in the table."""
    engine = create_engine(with_driver(make_url(database_url)))
    with engine.connect() as connection:
        found = Counter(connection.execute(select(requests.c.passenger_id)).scalars())
    engine.dispose()
    return found


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    server = make_url(request.getfixturevalue("postgres_url"))
    engine = create_engine(with_driver(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS killed WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE killed"))
    engine.dispose()
    return server.set(database="killed").render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("database_url", "kills"),
    [
        pytest.param("sqlite", 1, id="sqlite"),
        pytest.param("sqlite", 20, id="sqlite, 20 times", marks=pytest.mark.acceptance),
        pytest.param("postgresql", 5, id="postgresql, 5 times", marks=pytest.mark.acceptance),
    ],
    indirect=["database_url"],
)
def test_what_was_answered_is_kept_once_however_often_the_server_is_killed(
    trained_home: Path, database_url: str, kills: int
) -> None:
    port, moments, ids = free_port(), random.Random(7), itertools.count()
    answered: list[int] = []
    batches: list[list[int]] = []
    for _ in range(kills):
        server = start(trained_home, port=port, database_url=database_url)
        with Load(server.url, ids) as load:
            load.wait_for(moments.randint(1, 400))
            server.process.kill()
        assert server.process.wait(30) == -signal.SIGKILL
        assert load.others == []
        answered += load.answered
        batches += load.batches
    server = start(trained_home, port=port, database_url=database_url)
    with server.client() as client:
        assert client.get("/ready").status_code == 200
        assert client.get(f"/api/requests/{answered[-1]}").json()["count"] == 1
    server.process.terminate()
    assert server.process.wait(30) == 0
    table = kept(database_url)
    assert {number: table[number] for number in answered} == dict.fromkeys(answered, 1)
    assert set(table.values()) == {1}, "what was not answered may be there, but not twice"
    assert all(len({number in table for number in batch}) == 1 for batch in batches)


@pytest.mark.acceptance
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_is_killed_is_replaced_and_nothing_answered_is_lost(
    trained_home: Path, database_url: str
) -> None:
    server = start(trained_home, "--workers", "2", database_url=database_url)
    try:
        with Load(server.url, itertools.count()) as load:
            load.wait_for(100)
            before = _workers(server)
            assert len(before) == 2
            os.kill(before[0], signal.SIGKILL)
        _until(lambda: len(set(_workers(server)) - {before[0]}) == 2)
        with server.client() as client:
            _until(lambda: client.get("/ready").status_code == 200)
    finally:
        server.process.terminate()
        assert server.process.wait(30) == 0, server.log()
    table = kept(database_url)
    assert {number: table[number] for number in load.answered} == dict.fromkeys(load.answered, 1)


def _workers(server: Server) -> list[int]:
    """Processes that serve: living children of the first, not multiprocessing's own."""
    folder = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    children = [int(one) for one in folder.read_text().split()]
    return [
        one
        for one in children
        if b"resource_tracker" not in Path(f"/proc/{one}/cmdline").read_bytes()
        and Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    ]


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(300):
        try:
            if holds():
                return
        except (httpx.TransportError, FileNotFoundError):
            pass
        threading.Event().wait(0.1)
    raise AssertionError("never as expected")
