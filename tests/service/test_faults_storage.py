"""Disks, databases and clocks that fail: what the client sees; no row is lost."""

import asyncio
import contextlib
import fcntl
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from clv.clock import utc_now
from clv.service import access
from clv.service.problems import RefusedError
from clv.service.sessions import Sessions
from clv.sql import with_driver
from clv.tracking import (
    ApiKey,
    KeyStore,
    Scope,
    SessionStore,
    open_database,
    upgrade,
)
from support.commands import clv
from support.server import Server, serving, start
from support.waiting import until

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
# From <linux/fs.h>, for 64 bits.
GET_FLAGS, SET_FLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10


def ask(server: Server, number: int = 7) -> httpx.Response:
    with server.client() as client:
        return client.post("/api/predict", json=PASSENGER | {"id": number})


def refuses_to_store(server: Server, *secrets: str) -> None:
    """What a client sees while no row can be stored."""
    with server.client() as client:
        answer = client.post("/api/predict", json=PASSENGER | {"id": 666})
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert "untracked predictions are not given" in answer.json()["detail"]
        assert client.get("/health").json() == "healthy"
        until(lambda: client.get("/ready").status_code == 503)
        ready = client.get("/ready").json()
        assert any("tracking database" in reason for reason in ready["reasons"])
    for secret in secrets:
        assert secret not in answer.text + str(ready)
    assert "Traceback" not in server.log()


def stores_again(server: Server) -> None:
    until(lambda: ask(server, 8).status_code == 200)
    with server.client() as client:
        until(lambda: client.get("/ready").status_code == 200)
        assert client.get("/api/requests/7").json()["count"] == 1
        assert client.get("/api/requests/666").json()["count"] == 0
    assert server.process.poll() is None


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own with little room."""
    folder = Path(tempfile.mkdtemp(prefix="clv-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def rows(file: Path) -> Counter[int]:
    """How often each passenger stands in the table."""
    with contextlib.closing(sqlite3.connect(file)) as table:
        return Counter(number for (number,) in table.execute("SELECT passenger_id FROM requests"))


def test_a_full_disk_is_503_and_reads_go_on_until_there_is_room(
    trained_home: Path, small_disk: Path
) -> None:
    file = small_disk / "tracking.sqlite"
    with serving(trained_home, database_url=f"sqlite:///{file}") as server:
        assert ask(server).status_code == 200
        ballast = small_disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as full:
            while True:
                full.write(b"x" * 4096)
        # What is left in a page that is there already may still take a row or two.
        numbers = itertools.count(1000)
        until(lambda: ask(server, next(numbers)).status_code == 503)
        refuses_to_store(server, str(small_disk))
        with server.client() as client:
            batch = client.post("/api/predict/batch", json={"passengers": [PASSENGER] * 500})
            assert batch.status_code == 503
            assert client.get("/api/requests/7").json() == {"id": 7, "count": 1}
        assert "is full" in server.log()
        ballast.unlink()
        stores_again(server)
    kept = rows(file)
    assert all(kept[number] == 1 for number in (7, *range(1000, next(numbers) - 1)))
    assert kept[8] >= 1


def test_a_full_disk_under_the_metrics_ends_nobody(trained_home: Path, tmp_path: Path) -> None:
    """They are mapped into memory, where a disk without room is no error but the end."""
    disk = tempfile.mkdtemp(prefix="clv-disk-")
    mount = ("mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", disk)
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        url = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
        with serving(
            trained_home, "--workers", "2", database_url=url, environment={"TMPDIR": disk}
        ) as server:
            until(lambda: times_started(server) == 2)
            ballast = Path(disk, "ballast")
            with contextlib.suppress(OSError), ballast.open("wb", 0) as full:
                while True:
                    full.write(b"x" * 4096)
            with server.client() as client:
                assert ask(server).status_code == 200
                # Each route is a series of its own, with its buckets.
                for path in ("/api/requests/7", "/api/activity", "/api/models", "/ready"):
                    assert client.get(path).status_code == 200
                until(lambda: 'route="/api/predict"' in client.get("/metrics").text)
            os.kill(workers(server)[0], signal.SIGKILL)
            until(lambda: times_started(server) == 3)
            assert "There is no room" not in server.log()
            assert server.process.poll() is None
            os.truncate(ballast, ballast.stat().st_size - 2**20)  # room for a file, not for four
            with pytest.raises(AssertionError, match="There is no room for metrics") as refused:
                start(trained_home, database_url=url, environment={"TMPDIR": disk})
            assert "Traceback" not in str(refused.value)
        assert [path.name for path in Path(disk).iterdir()] == ["ballast"]
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
        Path(disk).rmdir()


def workers(server: Server) -> list[int]:
    """Processes that serve: the first's living children, not multiprocessing's own."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [one for one in map(int, children.split()) if b"spawn_main" in command_of(one)]


def command_of(process: int) -> bytes:
    """What it runs; nothing once it ended."""
    return Path(f"/proc/{process}/cmdline").read_bytes()


def times_started(server: Server) -> int:
    """How often a worker became ready to serve."""
    return server.log().count("Application startup complete.")


@contextlib.contextmanager
def unchangeable(*files: Path) -> Iterator[None]:
    """Nobody may write to the files: not root, and not who has them open."""

    def become(*, immutable: bool) -> None:
        for file in files:
            with file.open("rb") as opened:
                flags = int.from_bytes(fcntl.ioctl(opened, GET_FLAGS, bytes(8)), sys.byteorder)
                flags = flags | IMMUTABLE if immutable else flags & ~IMMUTABLE
                fcntl.ioctl(opened, SET_FLAGS, flags.to_bytes(8, sys.byteorder))

    with files[0].open("r+b", buffering=0) as opened:
        try:
            become(immutable=True)
        except OSError as error:
            pytest.skip(f"files cannot be made immutable here: {error}")
        try:
            with contextlib.suppress(PermissionError):
                opened.write(b"")
                pytest.skip("this file system lets go on writing who has an immutable file open")
            yield
        finally:
            become(immutable=False)


def test_a_file_that_turns_read_only_is_503_until_it_may_be_written(
    trained_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tracking.sqlite"
    with serving(trained_home, database_url=f"sqlite:///{file}") as server:
        assert ask(server).status_code == 200
        with unchangeable(file, Path(f"{file}-wal")):
            refuses_to_store(server, str(tmp_path))
            with server.client() as client:
                assert client.get("/api/requests/7").json()["count"] == 1
        stores_again(server)
    assert rows(file)[7] == 1


def test_a_disk_that_is_read_only_is_said_at_the_start(
    trained_home: Path, small_disk: Path
) -> None:
    url = f"sqlite:///{small_disk / 'tracking.sqlite'}"
    engine = open_database(url)
    upgrade(engine)
    engine.dispose()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(AssertionError, match="that the service may write there") as refused:
        start(trained_home, database_url=url)
    assert "Traceback" not in str(refused.value)


@dataclass
class OnPostgres:
    """A service on a database of its own, and its administrator."""

    server: Server
    administer: Callable[[str], None]


@pytest.fixture(scope="module")
def on_postgres(trained_home: Path, postgres_url: str) -> Iterator[OnPostgres]:
    url = make_url(postgres_url)
    engine = create_engine(with_driver(url), isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def run(statement: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(statement))

    run("CREATE DATABASE faults")
    own = url.set(database="faults").render_as_string(hide_password=False)
    with serving(trained_home, database_url=own) as server:
        yield OnPostgres(server, run)
    run("DROP DATABASE faults WITH (FORCE)")


def test_a_database_that_turns_read_only_is_503_until_it_may_be_written(
    on_postgres: OnPostgres,
) -> None:
    server, administer = on_postgres.server, on_postgres.administer
    disconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'faults'"
    with server.client() as client:
        client.post("/reset").raise_for_status()
    assert ask(server).status_code == 200
    administer("ALTER DATABASE faults SET default_transaction_read_only = on")
    try:
        administer(disconnect)
        until(lambda: ask(server, 9).status_code == 503)
        refuses_to_store(server, "faults", "postgres:")
        assert "is read-only" in server.log()
    finally:
        administer("ALTER DATABASE faults SET default_transaction_read_only = off")
        administer(disconnect)
    stores_again(server)


def test_postgresql_may_stop_and_come_back_under_a_busy_service(
    postgres_server: Any, on_postgres: OnPostgres
) -> None:
    server = on_postgres.server
    ended = threading.Event()

    def keep_asking() -> tuple[int, int]:
        """How often it was answered, and how often not."""
        answered = refused = 0
        with server.client() as client:
            while not ended.is_set():
                said = client.post("/api/predict", json=PASSENGER | {"id": 5})
                assert said.status_code in (200, 503), said.text
                answered += said.status_code == 200
                refused += said.status_code == 503
        return answered, refused

    with server.client() as client, ThreadPoolExecutor(1) as clients:
        client.post("/reset").raise_for_status()
        assert ask(server).status_code == 200
        asking = clients.submit(keep_asking)
        try:
            until(lambda: client.get("/api/requests/5").json()["count"] > 0)
            postgres_server.stop()
            refuses_to_store(server, "faults", "postgres:")
            assert client.get("/api/requests/7").status_code == 503
            postgres_server.ensure_postgres_running()
            stores_again(server)
        finally:
            postgres_server.ensure_postgres_running()
            ended.set()
        answered, refused = asking.result()
        assert refused > 0
        # At the very moment of the stop a row may be there whose caller saw a 503.
        assert answered <= client.get("/api/requests/5").json()["count"] <= answered + 1


@contextlib.contextmanager
def standing_still(postgres_server: Any) -> Iterator[None]:
    """It takes connections, as the kernel does that for it, and answers nothing."""
    main = postgres_server.get_pid()
    # The parent first, so that it has no more children than these.
    os.kill(main, signal.SIGSTOP)
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    try:
        for child in children:
            os.kill(int(child), signal.SIGSTOP)
        yield
    finally:
        for process in (*map(int, children), main):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


HURRIED = """
import clv.tracking.queries, clv.tracking.writer
clv.tracking.queries.PATIENCE_S = 1.0
clv.tracking.writer.DatabaseRequestLog.__init__.__kwdefaults__["patience_s"] = 1.0
"""


def test_a_database_that_hangs_is_given_up_and_used_again(
    trained_home: Path, postgres_server: Any, on_postgres: OnPostgres
) -> None:
    on_postgres.administer("CREATE DATABASE hangs")
    uri = make_url(postgres_server.get_uri()).set(database="hangs")
    own = uri.render_as_string(hide_password=False)
    try:
        with serving(trained_home, database_url=own, prelude=HURRIED) as server:
            assert ask(server).status_code == 200
            with standing_still(postgres_server), server.client() as client:
                refuses_to_store(server, "postgres:")
                assert client.get("/api/requests/7").status_code == 503
                assert client.get("/api/activity").status_code == 503
                assert client.get("/health").status_code == 200
                assert "neither answers nor fails" in server.log()
            stores_again(server)
        with serving(trained_home, database_url=own, prelude=HURRIED) as server:
            assert ask(server).status_code == 200
            with standing_still(postgres_server):
                assert ask(server).status_code == 503
                server.process.terminate()
                assert server.process.wait(60) == 0, server.log()
    finally:
        on_postgres.administer("DROP DATABASE hangs WITH (FORCE)")


def test_keys_that_cannot_be_read_again_hold_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_LOAD_S", 0.05)
    monkeypatch.setattr(access, "_RELOAD_S", -1.0)
    answers = threading.Event()
    answers.set()

    class Hanging(KeyStore):
        def keys(self) -> list[ApiKey]:
            assert answers.wait(60)
            return super().keys()

    engine = open_database(f"sqlite:///{tmp_path / 'tracking.sqlite'}")
    upgrade(engine)
    store = Hanging(engine)
    key, known = store.create("one", ["predict"], at=utc_now())
    sessions = Sessions(SessionStore(engine), timedelta(hours=1), 0.01)
    keyring = access.Keyring(store, sessions, None, 0.01)
    keyring.start()
    answers.clear()
    try:
        unknown = known.replace(key.id, "00000000")
        with pytest.raises(RefusedError):
            asyncio.run(keyring.admit([f"Bearer {unknown}".encode()], [], Scope.PREDICT))
        admitted = keyring.admit([f"Bearer {known}".encode()], [], Scope.PREDICT)
        assert asyncio.run(admitted) == key
        keyring.stop()
    finally:
        answers.set()
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("key-")])
    engine.dispose()


def test_a_worker_that_dies_while_the_database_is_away_is_replaced_when_it_is_back(
    trained_home: Path, tmp_path: Path
) -> None:
    """The others go on meanwhile: a service that ended would not come back by itself."""
    file, away = tmp_path / "tracking.sqlite", tmp_path / "away.sqlite"
    with serving(trained_home, "--workers", "2", database_url=f"sqlite:///{file}") as server:
        until(lambda: times_started(server) == 2)
        assert ask(server).status_code == 200
        file.rename(away)
        file.mkdir()
        os.kill(workers(server)[0], signal.SIGKILL)
        until(lambda: "Application startup failed" in server.log())
        with server.client() as client:
            assert client.get("/health").status_code == 200
        file.rmdir()
        away.rename(file)
        until(lambda: times_started(server) == 3)
        stores_again(server)


def test_keys_that_vanished_are_still_required_by_a_worker_that_takes_anothers_place(
    trained_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tracking.sqlite"
    url = f"sqlite:///{file}"
    with serving(trained_home, "--workers", "2", database_url=url) as server:
        until(lambda: times_started(server) == 2)
        clv("keys", "create", "one", "--scope", "admin", CLV_DATABASE_URL=url)
        until(lambda: all(ask(server).status_code == 401 for _ in range(20)))
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute("DELETE FROM api_keys")
        for worker in workers(server):
            os.kill(worker, signal.SIGKILL)
        until(lambda: times_started(server) == 4)
        assert {ask(server).status_code for _ in range(20)} == {401}


_SET_BACK = """
import datetime, pathlib
import clv.clock
hours = pathlib.Path({file!r})
told = clv.clock.utc_now
clv.clock.utc_now = lambda: told() - datetime.timedelta(hours=int(hours.read_text()))
"""


def test_a_clock_that_is_set_back_changes_what_is_written_and_nothing_else(
    trained_home: Path, tmp_path: Path
) -> None:
    hours, file = tmp_path / "hours", tmp_path / "tracking.sqlite"
    hours.write_text("0")
    url = f"sqlite:///{file}"
    with serving(
        trained_home, database_url=url, prelude=_SET_BACK.format(file=str(hours)), cold=True
    ) as server:
        limit = ("--requests-per-s", "1000")
        made = clv("keys", "create", "one", "--scope", "admin", *limit, CLV_DATABASE_URL=url)
        key = {"Authorization": f"Bearer {made.strip()}"}
        with server.client() as client:
            for back in (0, 48, 1, 0):
                hours.write_text(str(back))
                answer = client.post("/api/predict", json=PASSENGER, headers=key)
                assert answer.status_code == 200
                assert client.get("/ready").status_code == 200
            assert client.get("/api/requests/7", headers=key).json()["count"] == 4
    with sqlite3.connect(file) as table:
        times = [
            datetime.fromisoformat(at)
            for (at,) in table.execute("SELECT requested_at FROM requests ORDER BY id")
        ]
    apart = [round((one - times[0]).total_seconds() / 3600) for one in times]
    assert apart == [0, -48, -1, 0]
