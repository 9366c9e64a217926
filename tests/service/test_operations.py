"""What operators rely on: readiness, ids, headers, problems, logs, metrics, and the registry."""

import contextlib
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from clv.cli import main
from clv.registry import open_registry
from clv.settings import Settings
from clv.training import TrainingResult, release
from conftest import NOW
from support.server import Server, serving

PASSENGER = {"id": 987650123, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
# Of code, of SQL, and of this machine.
TELLTALE = re.compile(
    r'Traceback|File "|\.py\b|SELECT|INSERT|sqlite|0x[0-9a-f]{6}|/(tmp|work|home)/'
)


def until(holds: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError, FileNotFoundError):
            if holds():
                return
        time.sleep(0.05)
    raise AssertionError(f"never {what}")


def anew(server: Server) -> httpx.Client:
    """A client that connects anew for each request, so that every worker gets some."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=server.url, timeout=30, trust_env=False, limits=limits)


def worker_of(answer: httpx.Response) -> str:
    """Who answered: ids that a worker makes begin alike."""
    return answer.headers["x-request-id"].split("-")[0]


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The problem details, which tell nothing of the inside."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"title", "status", "detail"} <= set(problem)
    assert set(problem) <= {"type", "title", "status", "detail", "errors", "reasons"}
    assert problem["status"] == answer.status_code
    assert not TELLTALE.search(answer.text), answer.text
    return dict(problem)


# ------------------------------------------------------------ a service without a model


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server without a model that asks for keys and logs every request as text; and its key."""
    home, printed = tmp_path_factory.mktemp("untrained"), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(SystemExit),
    ):
        patch.setenv("CLV_HOME", str(home))
        patch.setattr(sys, "argv", ["clv", "keys", "create", "all", "--scope", "admin"])
        main()
    environment = {
        "CLV_LOG_FORMAT": "text",
        "CLV_ACCESS_LOG": "true",
        "CLV_MAX_BODY_BYTES": "4096",
    }
    with serving(home, environment=environment) as running:
        yield running, printed.getvalue().strip()


@pytest.fixture
def keyed(untrained: tuple[Server, str]) -> Iterator[httpx.Client]:
    server, key = untrained
    with server.client() as client:
        client.headers["authorization"] = f"Bearer {key}"
        yield client


def test_a_service_with_a_model_is_ready_and_says_with_which(client: httpx.Client) -> None:
    answer = client.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "model_version": "1",
        "challenger_version": None,
        "warnings": [],
    }


def test_a_service_without_a_model_lives_is_not_ready_and_says_why(keyed: httpx.Client) -> None:
    answer = keyed.get("/ready")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    problem = problem_of(answer)
    (reason,) = problem["reasons"]
    assert "There is no model yet" in reason
    assert "clv train" in reason
    assert reason in problem["detail"]
    assert keyed.get("/health").json() == "healthy"
    assert keyed.get("/api/models").json() == {"serving": None, "models": []}


# ------------------------------------------------------------ every answer


def answers(
    client: httpx.Client, keyed: httpx.Client, **headers: str
) -> list[tuple[int, httpx.Response]]:
    """One request of each kind, with the status that it should be answered with."""
    asked: list[tuple[int, httpx.Client, str, str, dict[str, Any]]] = [
        (200, client, "GET", "/health", {}),
        (200, client, "GET", "/ready", {}),
        (200, client, "GET", "/metrics", {}),
        (200, client, "GET", "/docs", {}),
        (200, client, "GET", "/openapi.json", {}),
        (200, client, "POST", "/api/predict", {"json": PASSENGER}),
        (200, client, "POST", "/api/predict/batch", {"json": {"passengers": [PASSENGER]}}),
        (401, keyed, "GET", "/api/models", {"headers": {"authorization": "Bearer x"}}),
        (403, client, "POST", "/reset", {"headers": {"sec-fetch-site": "cross-site"}}),
        (404, client, "GET", "/nothing", {}),
        (404, client, "POST", "/api/models/999/promote", {}),
        (405, client, "DELETE", "/reset", {}),
        (405, client, "GET", "/api/predict", {}),
        (409, client, "POST", "/api/models/1/promote", {}),
        (413, keyed, "POST", "/api/predict", {"content": b" " * 9_000}),
        (422, client, "POST", "/api/predict", {"json": {}}),
        (422, client, "POST", "/api/predict", {"content": b"\xff"}),
        (422, client, "POST", "/api/predict", {"data": {"id": "1"}}),
        (422, client, "GET", "/api/requests/x", {}),
        (422, client, "POST", "/api/models/x/promote", {}),
        (503, keyed, "GET", "/ready", {}),
        (503, keyed, "POST", "/api/predict", {"json": PASSENGER}),
        (503, keyed, "POST", "/api/predict/batch", {"json": {"passengers": [PASSENGER]}}),
    ]
    return [
        (
            status,
            asking.request(method, path, **{**more, "headers": more.get("headers", {}) | headers}),
        )
        for status, asking, method, path, more in asked
    ]


def test_every_error_is_a_problem_that_tells_nothing_of_the_inside(
    client: httpx.Client, keyed: httpx.Client
) -> None:
    for status, answer in answers(client, keyed):
        assert answer.status_code == status, str(answer.request.url)
        if status >= 400:
            problem_of(answer)


def test_every_answer_has_the_headers_that_keep_browsers_careful(
    client: httpx.Client, keyed: httpx.Client
) -> None:
    for _, answer in answers(client, keyed):
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "server" not in answer.headers
        if answer.request.url.path != "/docs":
            assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_documentation_runs_only_what_the_service_serves(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
    scripts = re.findall(r'<script[^>]*src="([^"]+)"', page.text)
    assert scripts
    assert all(script.startswith("/static/") for script in scripts)
    assert re.findall(r"<script(?![^>]*src=)", page.text) == []
    assert client.get("/redoc", follow_redirects=False).headers["location"] == "/docs"


def test_the_id_of_a_request_comes_back_whatever_the_answer(
    client: httpx.Client, keyed: httpx.Client
) -> None:
    for _, answer in answers(client, keyed, **{"x-request-id": "shop.example/42:a-B_c=+"}):
        assert answer.headers.get_list("x-request-id") == ["shop.example/42:a-B_c=+"]


@pytest.mark.parametrize(
    "bad", [b"", b"a b", b"a\tb", b"x" * 129, b'a"b', b"{}", b"\xe9", "é".encode(), b"a,b", b"%0a"]
)
def test_a_bad_id_is_replaced_by_a_good_one(client: httpx.Client, bad: bytes) -> None:
    for path in ("/health", "/nothing"):
        answer = client.get(path, headers=[(b"x-request-id", bad)])
        (made,) = answer.headers.get_list("x-request-id")
        assert re.fullmatch("[0-9a-f]{16}-[0-9]+", made)
        assert client.get(path, headers={"x-request-id": "x" * 128}).headers["x-request-id"] == (
            "x" * 128
        )


def test_no_two_requests_get_the_same_id(client: httpx.Client, keyed: httpx.Client) -> None:
    made = [
        one.get("/health").headers["x-request-id"] for one in (client, keyed) for _ in range(200)
    ]
    assert len(set(made)) == 400


# ------------------------------------------------------------ logs


def test_as_text_the_log_has_a_line_for_each_request_by_its_route(
    untrained: tuple[Server, str], keyed: httpx.Client
) -> None:
    keyed.get(f"/api/requests/{PASSENGER['id']}").raise_for_status()
    keyed.post("/api/predict", json=PASSENGER)
    keyed.get(f"/{PASSENGER['id']}")
    server, _ = untrained
    for line in (
        r"INFO: GET /api/requests/\{passenger_id\} 200 in [0-9.]+ ms",
        r"WARNING: POST /api/predict 503 in [0-9.]+ ms",
        r"INFO: GET unmatched 404 in [0-9.]+ ms",
        r"WARNING: Started without a model: There is no model yet.*",
    ):
        expected = re.compile(line)
        until(
            lambda expected=expected: any(map(expected.fullmatch, server.log().splitlines())), line
        )
    assert str(PASSENGER["id"]) not in server.log()
    assert "{" not in server.log().replace("{passenger_id}", "").replace("{version}", "")


def read_json_log(file: Path) -> list[dict[str, Any]]:
    greeting = ("Serving on http://", "No API key: ")  # for the person who starts it
    lines = [
        json.loads(line) for line in file.read_text().splitlines() if not line.startswith(greeting)
    ]
    for line in lines:
        assert {"level", "logger", "message", "at"} <= set(line), line
        assert line["level"] in ("DEBUG", "INFO", "WARNING", "ERROR")
    return lines


def test_whatever_a_library_logs_is_json_too() -> None:
    """Otherwise a machine that reads the log stumbles when something is wrong at last."""
    finished = subprocess.run(
        [sys.executable, "-c", _LOGGING],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = [json.loads(line) for line in finished.stderr.splitlines()]
    said = [line["logger"] for line in lines]
    ours, others = ["clv.service", "uvicorn.error"], ["sqlalchemy.pool", "mlflow", "alembic"]
    assert said == [*ours, "asyncio", *others]
    assert "Traceback" in lines[2]["exc_info"]


_LOGGING = """
import logging, logging.config
from clv.service.logs import configuration
from clv.settings import Settings
import clv.registry
logging.config.dictConfig(configuration(Settings()))
for name in ("clv.service", "uvicorn.error"):
    logging.getLogger(name).info("said")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("Task exception was never retrieved")
for name in ("sqlalchemy.pool", "mlflow", "alembic"):
    logging.getLogger(name).warning("said")
"""


# ------------------------------------------------------------ metrics

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: httpx.Client) -> tuple[str, Samples]:
    """Who was asked, and what it answered."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, "each is there once, whatever the number of workers"
            found[key] = sample.value
    return worker_of(answer), found


def value(samples: Samples, name: str, **labels: str) -> float:
    return sum(
        number
        for (named, has), number in samples.items()
        if named == name and labels.items() <= dict(has).items()
    )


def test_whichever_worker_is_asked_the_metrics_are_those_of_all(
    trained_home: Path, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    with (
        serving(trained_home, "--workers", "2", database_url=database) as server,
        anew(server) as client,
    ):
        predicted, asked, workers = [], 0, set()
        until(lambda: value(scrape(client)[1], "clv_model_workers") == 2, "two workers")
        until(lambda: value(scrape(client)[1], "clv_warnings") == 0, "both asked the registry")
        for k in itertools.count():
            body = PASSENGER | {"frequency_7": 1 + k % 9, "monetary_7": 5.0 * (1 + k % 9) ** 2}
            answer = client.post("/api/predict", json=body)
            workers.add(worker_of(answer))
            predicted.append(answer.json())
            asked += 1
            if asked >= 60 and len(workers) == 2:
                break
            assert asked < 5_000, "one worker gets everything"
        sizes = (1, 3, 30)
        for size in sizes:
            batch = client.post("/api/predict/batch", json={"passengers": [PASSENGER] * size})
            predicted += batch.json()["predictions"]
        for _ in range(7):
            assert client.post("/api/predict", json={}).status_code == 422
            assert client.get(f"/api/requests/{PASSENGER['id']}").status_code == 200
            assert client.get(f"/{PASSENGER['id']}").status_code == 404

        expected = {
            ("clv_requests_total", "POST", "/api/predict", "200"): asked,
            ("clv_requests_total", "POST", "/api/predict/batch", "200"): len(sizes),
            ("clv_requests_total", "POST", "/api/predict", "422"): 7,
            ("clv_requests_total", "GET", "/api/requests/{passenger_id}", "200"): 7,
            ("clv_requests_total", "any", "unmatched", "404"): 7,
        }

        def counted(samples: Samples) -> dict[tuple[str, ...], float]:
            return {
                key: value(samples, key[0], method=key[1], route=key[2], status=key[3])
                for key in expected
            }

        # An answer is counted once it is sent: the last may come a moment later, and no more do.
        until(lambda: counted(scrape(client)[1]) == expected, "all counted")
        until(lambda: value(scrape(client)[1], "clv_commit_rows_sum") == len(predicted), "stored")
        scraped_from: set[str] = set()
        for _ in range(2_000):
            worker, samples = scrape(client)
            scraped_from.add(worker)
            assert counted(samples) == expected
            check_predictions(samples, predicted, sizes)
            assert value(samples, "clv_request_seconds_count", route="/api/predict") == asked + 7
            assert str(PASSENGER["id"]) not in str(samples)
            if len(scraped_from) == 2:
                break
        assert scraped_from == workers


def check_predictions(
    samples: Samples, predicted: list[dict[str, Any]], sizes: tuple[int, ...]
) -> None:
    """The metrics say what the answers said."""
    bins = Counter(str(answer["score_bin"]) for answer in predicted)
    assert len(bins) > 1
    assert {
        dict(labels)["score_bin"]: number
        for (name, labels), number in samples.items()
        if name == "clv_predictions_total"
    } == bins
    assert value(samples, "clv_predictions_total", model_version="1") == len(predicted)
    assert value(samples, "clv_predicted_increment_total", model_version="1") == pytest.approx(
        sum(answer["expected_increment"] for answer in predicted)
    )
    assert value(samples, "clv_predictions_out_of_support_total") == sum(
        not answer["in_support"] for answer in predicted
    )
    for most in ("1.0", "5.0", "10000.0", "+Inf"):
        within = sum(size <= float(most) for size in sizes)
        assert value(samples, "clv_batch_passengers_bucket", le=most) == within
    assert value(samples, "clv_batch_passengers_sum") == sum(sizes)
    assert value(samples, "clv_commit_rows_sum") == len(predicted)
    assert value(samples, "clv_commit_failures_total") == 0
    assert value(samples, "clv_model_workers", alias="champion", model_version="1") == 2
    assert value(samples, "clv_model_workers") == 2
    assert value(samples, "clv_tracking_queue_rows") == value(samples, "clv_warnings") == 0


# ------------------------------------------------------------ two workers and three versions


@pytest.fixture(scope="module")
def pair(
    trained_home: Path, result: TrainingResult, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Path]]:
    """Two workers that serve version 1 of 3, and their home; their log is JSON, alone in a file."""
    home = tmp_path_factory.mktemp("pair") / "home"
    shutil.copytree(trained_home, home)
    registry = open_registry(Settings(home=home))
    for _ in range(2):
        release(result, registry, home, now=NOW)
    assert registry.number_of("champion") == "1"
    log = home / "log"
    to_file = f"import os; os.dup2(os.open({str(log)!r}, os.O_WRONLY | os.O_CREAT), 2)\n"
    with serving(home, "--workers", "2", prelude=to_file) as running:
        yield running, home
    read_json_log(log)
    assert "Traceback" not in log.read_text()


@pytest.fixture
def both(pair: tuple[Server, Path]) -> Iterator[httpx.Client]:
    with anew(pair[0]) as client:
        yield client


def serving_versions(client: httpx.Client, requests: int = 40) -> dict[str, str]:
    """The version that each worker answers with; one that starts may have none yet."""
    found = {}
    for _ in range(requests):
        answer = client.post("/api/predict", json=PASSENGER)
        found[worker_of(answer)] = answer.json().get("model_version", "none")
    return found


def all_follow(client: httpx.Client, version: str) -> None:
    until(
        lambda: list(serving_versions(client).values()) == [version] * 2,
        f"both workers answer with version {version}",
    )
    until(lambda: champions(client) == {version: 2}, f"two workers of version {version}")


def champions(client: httpx.Client) -> dict[str, float]:
    """How many workers answer with each version, according to the metrics."""
    return {
        dict(labels)["model_version"]: number
        for (name, labels), number in scrape(client)[1].items()
        if name == "clv_model_workers" and ("alias", "champion") in labels and number
    }


def test_every_line_of_the_log_is_json_and_names_the_request(
    pair: tuple[Server, Path], both: httpx.Client
) -> None:
    both.get("/api/requests/x", headers={"x-request-id": "failed-1"})
    both.get(f"/api/requests/{PASSENGER['id']}", headers={"x-request-id": "fine-1"})
    both.post("/api/predict", json={}, headers={"x-request-id": "failed-2"})

    def of(request_id: str) -> list[dict[str, Any]]:
        lines = read_json_log(pair[1] / "log")
        return [line for line in lines if line.get("request_id") == request_id]

    until(lambda: bool(of("failed-2")), "logged")
    (line,) = of("failed-1")
    assert line["logger"] == "clv.access"
    assert (line["level"], line["method"], line["status"]) == ("INFO", "GET", 422)
    assert line["route"] == "/api/requests/{passenger_id}"
    assert line["seconds"] >= 0
    assert not of("fine-1"), "what went well is logged only with CLV_ACCESS_LOG=true"
    started = [line for line in read_json_log(pair[1] / "log") if "request_id" not in line]
    assert {"clv.service.models"} <= {line["logger"] for line in started}
    assert str(PASSENGER["id"]) not in (pair[1] / "log").read_text()


def test_versions_are_listed_promoted_and_rolled_back_and_all_workers_follow(
    pair: tuple[Server, Path], both: httpx.Client
) -> None:
    registry = open_registry(Settings(home=pair[1]))
    all_follow(both, "1")
    listed = both.get("/api/models").json()
    assert listed["serving"] == "1"
    assert [one["version"] for one in listed["models"]] == ["3", "2", "1"]
    assert [one["aliases"] for one in listed["models"]] == [["challenger"], [], ["champion"]]

    promoted = both.post("/api/models/2/promote", json={"reason": "tried on the pilot city: ✓"})
    assert promoted.status_code == 200
    assert (promoted.json()["version"], promoted.json()["aliases"]) == ("2", ["champion"])
    assert promoted.json()["reason"] == "tried on the pilot city: ✓"
    all_follow(both, "2")
    listed = both.get("/api/models").json()
    assert (listed["serving"], listed["models"][1]) == ("2", promoted.json())
    assert registry.versions()[1].reason == "tried on the pilot city: ✓", "kept for an audit"

    again = both.post("/api/models/2/rollback")
    assert (again.status_code, again.json()["version"]) == (200, "1")
    assert again.json()["aliases"] == ["champion"]
    all_follow(both, "1")
    assert registry.number_of("champion") == "1"

    plain = both.post("/api/models/3/promote")
    assert plain.json()["reason"] == "promoted over HTTP"
    all_follow(both, "3")
    back = both.post("/api/models/3/rollback", json={"reason": "predicts too much"})
    assert back.json()["reason"] == "rolled back from 3: predicts too much"
    all_follow(both, "1")
    decisions = both.get("/api/models/history").json()["decisions"]
    assert [
        (one["action"], one["version"], one["previous"], one["by"], one["reason"])
        for one in decisions[:4]
    ] == [
        ("rollback", "1", "3", "HTTP, without a key", "predicts too much"),
        ("promote", "3", "1", "HTTP, without a key", "promoted over HTTP"),
        ("rollback", "1", "2", "HTTP, without a key", "no reason given"),
        ("promote", "2", "1", "HTTP, without a key", "tried on the pilot city: ✓"),
    ]
    refused = both.post("/api/models/1/rollback", json={"reason": ""})
    assert (refused.status_code, problem_of(refused)["errors"][0]["field"]) == (422, "body.reason")


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ("/api/models/999/promote", 404, "999"),
        ("/api/models/1/promote", 409, "champion already"),
        ("/api/models/2/rollback", 409, "2"),
        ("/api/models/999/rollback", 409, "999"),
        ("/api/models/1/rollback", 409, "before"),
    ],
)
def test_what_cannot_be_promoted_or_rolled_back_is_said_and_changes_nothing(
    pair: tuple[Server, Path], both: httpx.Client, asked: str, status: int, says: str
) -> None:
    answer = both.post(asked)
    assert answer.status_code == status
    assert says in problem_of(answer)["detail"]
    assert open_registry(Settings(home=pair[1])).number_of("champion") == "1"
    assert set(serving_versions(both, 10).values()) == {"1"}


def test_a_version_may_be_written_with_zeros_or_is_refused_but_not_both(
    pair: tuple[Server, Path], both: httpx.Client
) -> None:
    answer = both.post("/api/models/02/promote")
    champion = open_registry(Settings(home=pair[1])).number_of("champion")
    if champion == "2":
        open_registry(Settings(home=pair[1])).rollback()
        all_follow(both, "1")
    assert (answer.status_code, champion) in ((200, "2"), (404, "1"), (422, "1")), answer.text


def test_a_version_that_cannot_be_loaded_is_not_promoted_and_no_path_is_told(
    pair: tuple[Server, Path], both: httpx.Client
) -> None:
    registry = open_registry(Settings(home=pair[1]))
    artefact = registry.bundle("3") / "serving.npz"
    whole = artefact.read_bytes()
    artefact.write_bytes(b"not what it was")
    try:
        answer = both.post("/api/models/3/promote")
        assert answer.status_code == 409
        assert "cannot be loaded" in problem_of(answer)["detail"]
        assert registry.number_of("champion") == "1"
    finally:
        artefact.write_bytes(whole)


def test_a_worker_that_is_killed_is_not_counted_any_more_but_what_it_answered_is(
    pair: tuple[Server, Path], both: httpx.Client
) -> None:
    server, _ = pair
    all_follow(both, "1")
    before: set[str] = set()
    until(lambda: before.update(serving_versions(both)) or len(before) == 2, "both answer")
    counted = value(scrape(both)[1], "clv_predictions_total")
    old = workers(server)
    assert len(old) == 2
    os.kill(old[0], signal.SIGKILL)
    until(lambda: len(set(workers(server)) - {old[0]}) == 2, "two workers again")
    until(lambda: len(set(serving_versions(both)) - before) == 1, "the new worker answers")
    # With the dead one it would be three.
    until(lambda: champions(both) == {"1": 2}, "two workers in the metrics")
    for _ in range(20):
        assert champions(both) == {"1": 2}
    assert value(scrape(both)[1], "clv_predictions_total") > counted


def workers(server: Server) -> list[int]:
    """Processes that serve: living children of the first, not multiprocessing's own."""
    folder = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [
        one
        for one in map(int, folder.read_text().split())
        if b"resource_tracker" not in Path(f"/proc/{one}/cmdline").read_bytes()
        and Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    ]
