"""What can fail as a service starts is one clear line and exit 1 or 2, not a traceback."""

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from clv.registry import RunRecord, open_registry
from clv.service.app import _settle
from clv.service.worker import Worker
from clv.settings import Settings
from support.server import Server, serving
from support.waiting import until

PASSENGER = {"id": 5, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}


def start(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clv", "serve"],
        env={**os.environ, "CLV_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def the_complaint(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    complaints = [line for line in finished.stderr.splitlines() if line.startswith("clv: ")]
    assert len(complaints) == 1
    return complaints[0]


def test_a_port_in_use_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        complaint = the_complaint(start(tmp_path, CLV_PORT=port))
    assert port in complaint
    assert "--port" in complaint


def test_a_port_is_tried_before_all_else_is_imported() -> None:
    tried = "import sys, clv.cli.serving, clv.service.listening; print(*sys.modules)"
    imported = subprocess.run(
        [sys.executable, "-c", tried], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"uvicorn", "fastapi", "pyarrow", "sqlalchemy"} & set(imported)


def test_an_unreachable_database_is_said_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://clv:geheim@127.0.0.1:9/clv"
    complaint = the_complaint(start(tmp_path, CLV_PORT="0", CLV_DATABASE_URL=url))
    assert "127.0.0.1:9" in complaint
    assert "geheim" not in complaint


def predict(server: Server) -> httpx.Response:
    with server.client() as client:
        return client.post("/api/predict", json=PASSENGER)


# The registry answers once a file is there.
WAITS = """
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from clv.registry import Registry
from clv.service import app
app._FIRST_LOOK_S = 600
answers = Registry.aliases
def aliases(self):
    while not Path({file!r}).exists():
        time.sleep(0.02)
    return answers(self)
Registry.aliases = aliases
"""


def test_who_asks_before_the_registry_has_answered_waits_and_health_does_not(
    trained_home: Path, tmp_path: Path
) -> None:
    home, file = Path(shutil.copytree(trained_home, tmp_path / "home")), tmp_path / "answers"
    prelude = WAITS.format(file=str(file))
    with (
        serving(home, prelude=prelude, looked=False) as server,
        server.client() as client,
        ThreadPoolExecutor() as threads,
    ):
        predicted = threads.submit(predict, server)
        ready = client.get("/ready")
        assert ready.status_code == 503
        assert "has not answered since the start" in ready.json()["detail"]
        assert client.get("/health").status_code == 200
        assert not predicted.done()
        file.touch()
        assert predicted.result(60).status_code == 200
        until(lambda: client.get("/ready").status_code == 200)


def test_a_restart_answers_before_a_registry_that_nobody_wrote_to(
    trained_home: Path, tmp_path: Path
) -> None:
    home, file = Path(shutil.copytree(trained_home, tmp_path / "home")), tmp_path / "answers"
    prelude = WAITS.format(file=str(file))
    with serving(home):
        pass
    with serving(home, prelude=prelude, looked=False) as server, server.client() as client:
        assert client.post("/api/predict", json=PASSENGER).json()["model_version"] == "1"
        ready = client.get("/ready").json()
        assert ready["model_version"] == "1"
        assert ready["warnings"] == ["The registry has not answered since the start."]
        file.touch()
        until(lambda: client.get("/ready").json()["warnings"] == [])
    file.unlink()
    registry = open_registry(Settings(home=home))
    number = registry.register(registry.bundle("1"), [], RunRecord("again", {}, {}), {})
    registry.promote(number, "newer")
    with (
        serving(home, prelude=prelude, looked=False) as server,
        ThreadPoolExecutor() as threads,
    ):
        predicted = threads.submit(predict, server)
        file.touch()
        assert predicted.result(60).json()["model_version"] == number


def test_importing_mlflow_takes_nothing_from_the_time_that_the_registry_has_to_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr("clv.service.app.load_mlflow", lambda: done.append("imported"))
    monkeypatch.setattr("clv.service.app._keep_what_is_there", lambda: done.append("kept"))

    async def settle() -> None:
        models = SimpleNamespace(wait=lambda _: done.append("waited"), current=lambda: None)
        settled = asyncio.Event()
        worker = SimpleNamespace(
            models=models, settled=settled, warnings=list, pulse=lambda: done.append("counted")
        )
        await _settle(cast("Worker", worker))
        assert settled.is_set()

    asyncio.run(settle())
    assert done == ["imported", "waited", "counted", "kept"]


# Says on which path anything was imported.
SAYS_IMPORTS = """
import sys
from clv.service.middleware import Gate
answered = Gate.__call__
async def answer(self, scope, receive, send):
    before = set(sys.modules)
    await answered(self, scope, receive, send)
    if scope["type"] == "http":
        print("imported for", scope["path"], sorted(set(sys.modules) - before), flush=True)
Gate.__call__ = answer
"""


def test_what_a_prediction_needs_is_imported_before_anybody_asks(
    trained_home: Path, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    with (
        serving(trained_home, database_url=database, prelude=SAYS_IMPORTS, cold=True) as server,
        server.client() as client,
    ):
        assert client.post("/api/predict", json=PASSENGER).status_code == 200
        batch = client.post("/api/predict/batch", json={"passengers": [PASSENGER]})
        assert batch.status_code == 200
    assert "imported for /api/predict []" in server.log()
    assert "imported for /api/predict/batch []" in server.log()


def test_several_workers_serve_and_count_together(trained_home: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    body = {"id": 5, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    with serving(trained_home, "--workers", "2", database_url=database, cold=True) as server:
        for _ in range(40):
            # A new connection each time, so that both workers get some.
            answer = httpx.post(f"{server.url}/api/predict", json=body, trust_env=False, timeout=30)
            assert answer.status_code == 200
        with server.client() as client:
            assert client.get("/api/requests/5").json()["count"] == 40


def test_a_database_that_fails_is_a_503_and_when_it_is_back_all_is_well(
    trained_home: Path, tmp_path: Path
) -> None:
    database = tmp_path / "tracking.sqlite"
    body = {"id": 5, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    with (
        serving(trained_home, database_url=f"sqlite:///{database}", cold=True) as server,
        server.client() as client,
        closing(sqlite3.connect(database, isolation_level=None)) as meddler,
    ):
        assert client.post("/api/predict", json=body).status_code == 200
        meddler.execute("ALTER TABLE requests RENAME TO gone")
        for answer in (
            client.post("/api/predict", json=body),
            client.post("/api/predict/batch", json={"passengers": [body]}),
            client.get("/api/requests/5"),
            client.post("/reset"),
        ):
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200
        meddler.execute("ALTER TABLE gone RENAME TO requests")
        assert client.post("/api/predict", json=body).status_code == 200
        assert client.get("/api/requests/5").json()["count"] == 2


def test_postgresql_tracks_as_sqlite_does(trained_home: Path, postgres_url: str) -> None:
    body = {"id": 2**63 - 1, "recency_7": 7, "frequency_7": 3, "monetary_7": 60}
    with (
        serving(trained_home, database_url=postgres_url, cold=True) as server,
        server.client() as client,
    ):
        client.post("/reset").raise_for_status()
        for expected in (1, 2, 3):
            assert client.post("/api/predict", json=body).status_code == 200
            assert client.get(f"/api/requests/{2**63 - 1}").json()["count"] == expected
