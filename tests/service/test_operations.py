"""What operators rely on: readiness, metrics, logs, request ids, the registry over HTTP."""

import json
import os
import shutil
import signal
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from clv.registry import RunRecord, open_registry
from clv.settings import Settings
from support.server import Server, serving

PASSENGER = {"id": 424242, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
REFUSED = [
    ("GET", "/nothing", None, 404),
    ("DELETE", "/api/predict", None, 405),
    ("POST", "/api/predict", {"id": 1}, 422),
    ("GET", "/api/requests/x", None, 422),
    ("POST", "/api/models/99/promote", {}, 404),
    ("POST", "/api/models/1/promote", {}, 409),
    ("POST", "/api/models/99/rollback", None, 409),
    ("POST", "/api/models/x/promote", {}, 422),
]


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Samples of a metric, by their labels in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_a_service_that_is_ready_says_with_which_model(client: httpx.Client) -> None:
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "model_version": "1", "challenger_version": None, "warnings": []},
    )


def test_a_service_without_a_model_lives_and_is_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.client() as client:
        assert client.get("/health").status_code == 200
        answer = client.get("/ready")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        (reason,) = answer.json()["reasons"]
        assert "no model yet" in reason
        assert client.get("/api/models").json() == {"serving": None, "models": []}


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_every_refusal_is_a_problem_without_insides(
    client: httpx.Client, method: str, path: str, body: object, status: int
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    for inside in ("Traceback", "sqlite", "SELECT", "/tmp", "site-packages"):  # noqa: S108
        assert inside not in answer.text
    assert answer.headers["x-request-id"]
    assert {name: answer.headers[name] for name in SECURE} == SECURE


def test_a_request_id_comes_back_and_a_bad_one_is_replaced(client: httpx.Client) -> None:
    mine = {"X-Request-ID": "checkout-7/ab.c"}
    for answer in (client.get("/health", headers=mine), client.get("/nothing", headers=mine)):
        assert answer.headers["x-request-id"] == "checkout-7/ab.c"
    for bad in ("", "two words", "x" * 129, 'quote"', "{}"):
        given = client.get("/health", headers={"X-Request-ID": bad}).headers["x-request-id"]
        assert given != bad
        assert given
    made = [client.get("/health").headers["x-request-id"] for _ in range(50)]
    assert len(set(made)) == 50


def test_answers_carry_the_headers_that_keep_browsers_from_harm(client: httpx.Client) -> None:
    for path in ("/health", "/ready", "/metrics", "/openapi.json"):
        answer = client.get(path)
        assert {name: answer.headers[name] for name in SECURE} == SECURE
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert "content-security-policy" not in client.get("/docs").headers


def lines(server: Server) -> list[dict[str, object]]:
    return [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]


def test_logs_are_json_with_the_request_and_tell_of_failures(
    server: Server, client: httpx.Client
) -> None:
    client.get("/nothing", headers={"X-Request-ID": "log-1"})
    client.get("/health", headers={"X-Request-ID": "log-2"})
    found = lines(server)
    assert len(found) >= len(server.log().splitlines()) - 2  # two lines greet a person
    assert all({"level", "logger", "message", "at"} <= line.keys() for line in found)
    (failed,) = [line for line in found if line.get("request_id") == "log-1"]
    assert (failed["status"], failed["route"], failed["method"]) == (404, "unmatched", "GET")
    assert not [line for line in found if line.get("request_id") == "log-2"]


def test_logs_may_be_text_and_tell_of_every_request(trained_home: Path, tmp_path: Path) -> None:
    with serving(
        trained_home,
        database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
        environment={"CLV_LOG_FORMAT": "text", "CLV_ACCESS_LOG": "1"},
    ) as server:
        with server.client() as client:
            client.post("/api/predict", json=PASSENGER).raise_for_status()
            client.get(f"/api/requests/{PASSENGER['id']}").raise_for_status()
        log = server.log()
    assert "INFO: POST /api/predict 200 in " in log
    assert "INFO: GET /api/requests/{passenger_id} 200 in " in log
    assert str(PASSENGER["id"]) not in log


def test_metrics_are_summed_over_the_workers_and_forget_those_that_died(
    trained_home: Path, tmp_path: Path
) -> None:
    with serving(
        trained_home,
        "--workers",
        "2",
        database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
    ) as server:
        bins: Counter[tuple[str, str]] = Counter()
        for number in range(40):
            # A connection of its own each, so that both workers get some.
            with server.client() as client:
                one = PASSENGER | {"recency_7": 1 + number % 7, "frequency_7": 1 + number % 5}
                answer = client.post("/api/predict", json=one).json()
                bins[answer["model_version"], str(answer["score_bin"])] += 1
        with server.client() as client:
            many = {"passengers": [PASSENGER] * 25}
            for answer in client.post("/api/predict/batch", json=many).json()["predictions"]:
                bins[answer["model_version"], str(answer["score_bin"])] += 1
            client.post("/api/predict", json={})
        for _ in range(5):
            with server.client() as client:
                text = client.get("/metrics").text
            asked = values(text, "clv_requests_total")
            assert asked["POST", "/api/predict", "200"] == 40
            assert asked["POST", "/api/predict", "422"] == 1
            assert asked["POST", "/api/predict/batch", "200"] == 1
            assert values(text, "clv_predictions_total") == bins
            assert values(text, "clv_batch_passengers_sum") == {(): 25.0}
            assert values(text, "clv_commit_rows_sum") == {(): 65.0}
            assert values(text, "clv_request_seconds_count")["/api/predict",] == 41
            assert values(text, "clv_tracking_queue_rows") == {(): 0.0}
        workers(server, 2.0)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        serving_now = [
            int(one)
            for one in children.read_text().split()
            if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()
        ]
        os.kill(serving_now[0], signal.SIGKILL)
        for _ in range(300):
            if str(serving_now[0]) not in children.read_text().split():
                break
            threading.Event().wait(0.1)
        workers(server, 2.0)  # its replacement counts, it does not


def workers(server: Server, expected: float) -> None:
    for _ in range(300):
        try:
            with server.client() as client:
                found = values(client.get("/metrics").text, "clv_model_workers")
        except httpx.TransportError:
            found = {}
        if found.get(("champion", "1")) == expected:
            return
        threading.Event().wait(0.1)
    raise AssertionError(found)


def test_a_version_is_promoted_and_rolled_back_over_http_and_all_workers_follow(
    trained_home: Path, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(trained_home, tmp_path / "home"))
    registry = open_registry(Settings(home=home))
    number = registry.register(registry.bundle("1"), [], RunRecord("again", {}, {}), {})
    with serving(home, "--workers", "2") as server, server.client() as client:

        def all_follow(version: str) -> None:
            agreed = 0
            for _ in range(600):
                with server.client() as new:
                    answer = new.post("/api/predict", json=PASSENGER).json()
                agreed = agreed + 1 if answer["model_version"] == version else 0
                if agreed == 20:
                    return
            raise AssertionError(f"never all of version {version}")

        all_follow("1")
        nothing_before = client.post("/api/models/1/rollback")
        assert nothing_before.status_code == 409
        promoted = client.post(f"/api/models/{number}/promote", json={"reason": "why not"})
        assert promoted.status_code == 200
        assert promoted.json()["aliases"] == ["champion"]
        all_follow(number)
        listed = client.get("/api/models").json()
        assert [one["version"] for one in listed["models"]] == [number, "1"]
        assert listed["models"][0]["reason"] == "why not"
        assert client.post("/api/models/1/rollback").status_code == 409, "1 is not champion"
        back = client.post(f"/api/models/{number}/rollback")
        assert (back.status_code, back.json()["version"]) == (200, "1")
        all_follow("1")
