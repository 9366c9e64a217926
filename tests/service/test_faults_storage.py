"""Disks, databases, registries and clocks that fail: what the client sees; no row is lost."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from clv.registry import RunRecord, open_registry
from clv.settings import Settings
from clv.sql import with_driver
from support.server import Server, serving, start

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}


def ask(server: Server, number: int = 7) -> httpx.Response:
    with server.client() as client:
        return client.post("/api/predict", json=PASSENGER | {"id": number})


def until(holds: Callable[[], bool]) -> None:
    """Wait for what follows by itself; no test asserts how long that takes."""
    for _ in range(600):
        if holds():
            return
        threading.Event().wait(0.05)
    raise AssertionError("never as expected")


def refuses_to_store(server: Server, *secrets: str) -> None:
    """What a client sees while no row can be stored."""
    with server.client() as client:
        answer = client.post("/api/predict", json=PASSENGER | {"id": 666})
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert "nothing untracked is answered" in answer.json()["detail"]
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


def test_a_full_disk_is_503_and_reads_go_on_until_there_is_room(
    trained_home: Path, small_disk: Path
) -> None:
    with serving(
        trained_home, database_url=f"sqlite:///{small_disk / 'tracking.sqlite'}"
    ) as server:
        assert ask(server).status_code == 200
        ballast = small_disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        # What is left in a page that is there already may still take a row or two.
        until(lambda: ask(server, 9).status_code == 503)
        refuses_to_store(server, str(small_disk))
        with server.client() as client:
            assert client.get("/api/requests/7").json() == {"id": 7, "count": 1}
        assert "is full" in server.log()
        ballast.unlink()
        stores_again(server)


def test_a_disk_that_is_read_only_is_said_at_the_start_and_the_rows_wait_there(
    trained_home: Path, small_disk: Path
) -> None:
    url = f"sqlite:///{small_disk / 'tracking.sqlite'}"
    with serving(trained_home, database_url=url) as server:
        assert ask(server).status_code == 200
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(AssertionError, match="that the service may write there") as refused:
        start(trained_home, database_url=url)
    assert "Traceback" not in str(refused.value)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    with serving(trained_home, database_url=url) as server:
        stores_again(server)


@pytest.fixture
def own_database(postgres_url: str) -> Iterator[tuple[str, Callable[[str], None]]]:
    """A database on the server of the tests, and how its administrator speaks to it."""
    url = make_url(postgres_url)
    engine = create_engine(with_driver(url), isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def run(statement: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(statement))

    run("CREATE DATABASE faults")
    yield url.set(database="faults").render_as_string(hide_password=False), run
    run("DROP DATABASE faults WITH (FORCE)")
    engine.dispose()


def test_a_database_that_turns_read_only_is_503_until_it_may_be_written(
    trained_home: Path, own_database: tuple[str, Callable[[str], None]]
) -> None:
    url, administrator = own_database
    disconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'faults'"
    with serving(trained_home, database_url=url) as server:
        assert ask(server).status_code == 200
        administrator("ALTER DATABASE faults SET default_transaction_read_only = on")
        administrator(disconnect)
        until(lambda: ask(server, 9).status_code == 503)
        refuses_to_store(server, "faults", "postgres:")
        assert "is read-only" in server.log()
        administrator("ALTER DATABASE faults SET default_transaction_read_only = off")
        administrator(disconnect)
        stores_again(server)


def test_postgresql_may_stop_and_come_back_under_a_running_service(
    trained_home: Path,
    postgres_server: Any,
    own_database: tuple[str, Callable[[str], None]],
) -> None:
    url, _ = own_database
    with serving(trained_home, database_url=url) as server:
        assert ask(server).status_code == 200
        postgres_server.stop()
        try:
            refuses_to_store(server, "faults", "postgres:")
        finally:
            postgres_server.ensure_postgres_running()
        stores_again(server)


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    """A registry of one's own, with a champion."""
    return Path(shutil.copytree(trained_home, tmp_path / "home"))


def test_without_its_registry_a_service_goes_on_and_starts_again(home: Path) -> None:
    registry = home / "mlflow.sqlite"
    with serving(home) as server:
        version = ask(server).json()["model_version"]
        whole = registry.read_bytes()
        registry.write_bytes(b"not a registry any more " * 1000)
        with server.client() as client:
            until(lambda: client.get("/ready").json()["warnings"] != [])
            ready = client.get("/ready")
            assert ready.status_code == 200
            assert ready.json()["model_version"] == version
            assert "registry is away" in ready.json()["warnings"][0]
            models = client.get("/api/models")
            assert models.status_code == 503
            assert str(home) not in models.text
        assert ask(server).json()["model_version"] == version
    with serving(home) as restarted, restarted.client() as client:
        assert ask(restarted).json()["model_version"] == version
        assert "registry is away" in client.get("/ready").json()["warnings"][0]
        assert "kept from before, serves" in restarted.log()
        registry.write_bytes(whole)
        until(lambda: client.get("/ready").json()["warnings"] == [])
        assert client.get("/api/models").json()["serving"] == version
        assert client.get("/api/requests/7").json()["count"] == 3


def test_a_corrupt_new_champion_is_refused_for_all_to_see_and_the_old_one_serves_on(
    home: Path,
) -> None:
    registry = open_registry(Settings(home=home))
    (champion,) = [one.number for one in registry.versions() if "champion" in one.aliases]
    again = RunRecord("again", {}, {})
    number = registry.register(registry.bundle(champion), [], again, {})
    graph = registry.bundle(number) / "serving.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    with serving(home) as server, server.client() as client:
        refused = client.post(f"/api/models/{number}/promote", json={"reason": "newer"})
        assert refused.status_code == 409
        assert str(home) not in refused.text
        assert registry.number_of("champion") == champion
        # Somebody else does it all the same.
        registry.promote(number, "newer")
        until(lambda: client.get("/ready").json()["warnings"] != [])
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["model_version"]) == (200, champion)
        assert ready.json()["warnings"] == [
            f"Version {number} is champion and was refused: it cannot be loaded."
        ]
        assert "clv_warnings 1.0" in client.get("/metrics").text
        assert f"Version {number} (champion) refused, {champion} stays" in server.log()
        assert ask(server).json()["model_version"] == champion
        registry.rollback()
        until(lambda: client.get("/ready").json()["warnings"] == [])


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
        trained_home, database_url=url, prelude=_SET_BACK.format(file=str(hours))
    ) as server:
        made = subprocess.run(
            [sys.executable, "-m", "clv", "keys", "create", "one", "--scope", "admin"],
            env={**os.environ, "CLV_DATABASE_URL": url},
            capture_output=True,
            text=True,
            check=True,
        )
        key = {"Authorization": f"Bearer {made.stdout.strip()}"}
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
