"""`kill -9` under load: what a client saw answered is kept, once, and the service comes back."""

import itertools
import os
import random
import signal
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from clv.sql import with_driver
from support.server import Server, free_port, start
from support.waiting import until

# Passengers a request, of each client. A statement stores 500: the largest takes ten, so that a
# kill has a chance to fall between two.
SIZES = (1, 1, 1, 1, 7, 5_000)


class Load:
    """Clients that ask for new passengers again and again, and note which were answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = itertools.count()
        self._lock = threading.Condition()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.sent: list[list[int]] = []
        self.answered: list[list[int]] = []
        self.others: list[str] = []  # answers that are none

    def __enter__(self) -> "Load":
        self._stopped.clear()
        self._threads = [threading.Thread(target=self._ask, args=(size,)) for size in SIZES]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answers: int) -> None:
        """Until there are so many more."""
        with self._lock:
            wanted = len(self.answered) + answers
            assert self._lock.wait_for(lambda: len(self.answered) >= wanted, 60), self.others

    def is_kept_in(self, database_url: str) -> None:
        """Every passenger answered stands in the table once, every other once or not at all."""
        assert self.others == []
        table = kept(database_url)
        lost = {one: table[one] for ids in self.answered for one in ids if table[one] != 1}
        assert lost == {}
        assert set(table.values()) == {1}
        assert set(table) <= {one for ids in self.sent for one in ids}
        assert [ids for ids in self.sent if len({one in table for one in ids}) > 1] == []

    def _ask(self, size: int) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            while not self._stopped.is_set():
                with self._lock:
                    ids = list(itertools.islice(self._ids, size))
                    self.sent.append(ids)
                with suppress(httpx.TransportError):  # who was to answer was killed
                    self._note(ids, self._post(client, ids))

    def _post(self, client: httpx.Client, ids: list[int]) -> httpx.Response:
        asked = [{"id": one, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5} for one in ids]
        if len(asked) == 1:
            return client.post("/api/predict", json=asked[0])
        return client.post("/api/predict/batch", json={"passengers": asked})

    def _note(self, ids: list[int], answer: httpx.Response) -> None:
        said = answer.json()
        of = [one["id"] for one in said.get("predictions", [said]) if "id" in one]
        with self._lock:
            if answer.status_code == 200 and of == ids:
                self.answered.append(ids)
            else:
                self.others.append(f"{answer.status_code} {answer.text}")
            self._lock.notify_all()


def kept(database_url: str) -> Counter[int]:
    """How often each passenger stands in the table."""
    engine = create_engine(with_driver(make_url(database_url)), poolclass=NullPool)
    with engine.connect() as connection:
        return Counter(connection.execute(text("SELECT passenger_id FROM requests")).scalars())


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    server = make_url(request.getfixturevalue("postgres_url"))
    engine = create_engine(with_driver(server), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS killed WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE killed"))
    return server.set(database="killed").render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("database_url", "kills"),
    [
        pytest.param("sqlite", 2, id="sqlite"),
        pytest.param("postgresql", 1, id="postgresql"),
        pytest.param("sqlite", 20, id="sqlite, 20 times", marks=pytest.mark.acceptance),
        pytest.param("postgresql", 5, id="postgresql, 5 times", marks=pytest.mark.acceptance),
    ],
    indirect=["database_url"],
)
def test_what_was_answered_is_kept_once_however_often_the_server_is_killed(
    trained_home: Path, tmp_path: Path, database_url: str, kills: int
) -> None:
    port, moments = free_port(), random.Random(7)
    # What a killed process leaves behind goes with the test.
    here = {"TMPDIR": str(tmp_path)}
    server = start(trained_home, port=port, database_url=database_url, environment=here)
    load = Load(server.url)
    try:
        for _ in range(kills):
            with load:
                load.wait_for(moments.randint(1, 300))
                # Answers come as a transaction ends: only later is one in the middle.
                threading.Event().wait(moments.uniform(0, 0.1))
                server.process.kill()
            assert server.process.wait(30) == -signal.SIGKILL, server.log()
            server = start(trained_home, port=port, database_url=database_url, environment=here)
            load.is_kept_in(database_url)
            with server.client() as client:
                assert client.get("/ready").status_code == 200
                (last, *_) = load.answered[-1]
                assert client.get(f"/api/requests/{last}").json() == {"id": last, "count": 1}
        with load:
            load.wait_for(1)
    finally:
        server.process.terminate()
        status = server.process.wait(30)
    assert status == 0, server.log()
    load.is_kept_in(database_url)


@pytest.mark.parametrize(
    "database_url",
    ["postgresql", pytest.param("sqlite", marks=pytest.mark.acceptance)],
    indirect=True,
)
def test_a_worker_that_is_killed_is_replaced_and_nothing_answered_is_lost(
    trained_home: Path, database_url: str
) -> None:
    server = start(trained_home, "--workers", "2", database_url=database_url)
    load = Load(server.url)
    try:
        with load:
            load.wait_for(100)
            before = workers(server)
            assert len(before) == 2
            killed = random.Random(7).choice(before)
            os.kill(killed, signal.SIGKILL)
            load.wait_for(100)
            until(lambda: len(set(workers(server)) - {killed}) == 2)
            load.wait_for(100)
        with server.client() as client:
            assert client.get("/ready").status_code == 200
    finally:
        server.process.terminate()
        status = server.process.wait(30)
    assert status == 0, server.log()
    load.is_kept_in(database_url)


def test_workers_end_with_the_process_that_started_them(trained_home: Path, tmp_path: Path) -> None:
    """Left alone they would serve on unseen, and a restart would find its port taken."""
    url, port = f"sqlite:///{tmp_path / 'tracking.sqlite'}", free_port()
    here = {"TMPDIR": str(tmp_path)}
    options = ("--workers", "2")
    server = start(trained_home, *options, port=port, database_url=url, environment=here)
    orphans = workers(server)
    assert len(orphans) == 2
    server.process.kill()
    server.process.wait(30)
    until(lambda: not any(map(runs, orphans)))
    server = start(trained_home, *options, port=port, database_url=url, environment=here)
    server.process.terminate()
    assert server.process.wait(30) == 0, server.log()


def workers(server: Server) -> list[int]:
    """Processes that serve: living children of the first, not multiprocessing's own."""
    folder = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    children = [int(one) for one in folder.read_text().split()]
    return [
        one
        for one in children
        if runs(one) and b"resource_tracker" not in Path(f"/proc/{one}/cmdline").read_bytes()
    ]


def runs(process: int) -> bool:
    """Whether a process is there and no mere entry of one that ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"
