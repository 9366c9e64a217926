"""A service without keys: names it answers to, and what it answers when others can reach it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clv.service.access import scope_of
from clv.service.anonymous import AnonymousAccess
from clv.service.problems import RefusedError
from clv.settings import Settings
from clv.tracking import KeyStore, Scope, open_database
from conftest import NOW
from support.server import REACHABLE, Server, serving

PASSENGER = {"id": 9, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
REVEALING = (
    ("POST", "/reset"),
    ("POST", "/api/outcomes"),
    ("POST", "/api/models/1/promote"),
    ("POST", "/api/models/1/rollback"),
    ("GET", "/api/activity"),
    ("GET", "/api/requests/9"),
    ("GET", "/api/requests/9/latest"),
    ("GET", "/api/monitoring"),
    ("GET", "/api/models"),
    ("GET", "/metrics"),
    ("GET", "/activity"),
    ("GET", "/reality"),
    ("GET", "/model"),
    ("GET", "/model/report"),
    ("DELETE", "/nothing"),
)


@pytest.fixture(scope="module")
def reachable(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A fresh database, off loopback, and nothing else said."""
    url = f"sqlite:///{tmp_path_factory.mktemp('reachable') / 'tracking.sqlite'}"
    with serving(trained_home, database_url=url, prelude=REACHABLE) as running:
        yield running


@pytest.fixture(scope="module")
def opened(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same, opened on purpose, as docker-compose.yml does."""
    url = f"sqlite:///{tmp_path_factory.mktemp('opened') / 'tracking.sqlite'}"
    environment = {"CLV_ALLOW_ANONYMOUS": "true", "CLV_ALLOWED_HOSTS": "clv.example, *.internal"}
    with serving(
        trained_home, database_url=url, environment=environment, prelude=REACHABLE
    ) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), REVEALING)
def test_off_loopback_nothing_is_changed_or_revealed_without_a_key(
    reachable: Server, method: str, path: str
) -> None:
    assert scope_of(method, path) is not Scope.PREDICT
    with reachable.client() as client:
        answer = client.request(method, path)
        assert answer.status_code == 403
        assert "clv keys create NAME --scope admin" in answer.text
        assert "CLV_ALLOW_ANONYMOUS=true" in answer.text


def test_off_loopback_predictions_and_probes_are_answered_and_readiness_warns(
    reachable: Server,
) -> None:
    with reachable.client() as client:
        assert client.get("/health").json() == "healthy"
        assert client.post("/api/predict", json=PASSENGER).status_code == 200
        batch = {"passengers": [PASSENGER]}
        assert client.post("/api/predict/batch", json=batch).status_code == 200
        assert client.get("/").status_code == 200
        ready = client.get("/ready").json()
    (warning,) = ready["warnings"]
    assert warning.startswith("No API key exists, so only predictions are answered.")
    assert "CLV_DATABASE_URL" in warning
    assert ready["status"] == "ready"
    assert warning in reachable.log()


def test_a_refusal_reads_well_in_a_browser_and_offers_no_sign_in(reachable: Server) -> None:
    with reachable.client() as client:
        answer = client.get("/activity")
    assert answer.headers["content-type"].startswith("text/html")
    assert "CLV_ALLOW_ANONYMOUS=true" in answer.text
    assert "/signin" not in answer.text


def test_opened_on_purpose_the_published_interface_is_whole_and_readiness_warns(
    opened: Server,
) -> None:
    with opened.client() as client:
        assert client.post("/api/predict", json=PASSENGER).status_code == 200
        assert client.get("/api/requests/9").json() == {"id": 9, "count": 1}
        assert client.post("/reset").status_code == 200
        assert client.get("/api/requests/9").json()["count"] == 0
        assert client.get("/api/monitoring").status_code == 200
        (warning,) = client.get("/ready").json()["warnings"]
        assert "CLV_ALLOW_ANONYMOUS is set" in warning
        client.get("/metrics").raise_for_status()
        assert "clv_warnings 1.0" in client.get("/metrics").text
    assert warning in opened.log()


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "clv.example.evil.example", "internal", "10.0.0.7"],
)
def test_opened_on_purpose_no_foreign_name_is_answered(opened: Server, host: str) -> None:
    """DNS rebinding: the page of another site has its own name resolve to this machine."""
    with opened.client() as client:
        for method, path in (
            *REVEALING,
            ("POST", "/api/predict"),
            ("GET", "/api/explain"),
            ("GET", "/"),
        ):
            answer = client.request(method, path, headers={"host": host})
            assert answer.status_code == 403, path
            assert "CLV_ALLOWED_HOSTS" in answer.text
        for path in ("/health", "/ready"):
            answer = client.get(path, headers={"host": host})
            assert answer.status_code == 200, "probes come by the address of a pod"


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:1", "clv.example:80", "a.b.internal"],
)
def test_names_of_this_machine_and_allowed_ones_are_answered(opened: Server, host: str) -> None:
    with opened.client() as client:
        assert client.get("/api/activity", headers={"host": host}).status_code == 200


def test_with_a_key_a_service_off_loopback_needs_no_setting(
    trained_home: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    with serving(trained_home, database_url=url, prelude=REACHABLE) as server:
        engine = open_database(url)
        key = KeyStore(engine).create("ops", ["admin"], at=NOW)[1]
        engine.dispose()
        sent = {"authorization": f"Bearer {key}", "host": "clv.example"}
        with server.client() as client:
            for method, path in (("GET", "/api/activity"), ("POST", "/reset")):
                # A key that was created a moment ago is looked up at once.
                answer = _until_noticed(client, method, path, sent)
                assert answer.status_code == 200
            assert client.get("/ready").json()["warnings"] == []


def _until_noticed(
    client: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> httpx.Response:
    for _ in range(600):
        answer = client.request(method, path, headers=headers)
        if answer.status_code != 403:
            return answer
    return answer


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "clv.example"])
def test_other_addresses_are_reachable_by_others(host: str) -> None:
    access = AnonymousAccess.of(Settings(host=host))
    assert not access.loopback
    assert access.warning
    access.check(b"localhost", Scope.PREDICT)
    for scope in (Scope.READ, Scope.OUTCOMES, Scope.ADMIN):
        with pytest.raises(RefusedError):
            access.check(b"localhost", scope)
        AnonymousAccess.of(Settings(host=host, allow_anonymous=True)).check(b"localhost", scope)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_loopback_everything_is_answered_and_nothing_warned_of(host: str) -> None:
    access = AnonymousAccess.of(Settings(host=host))
    assert access.warning is None
    for scope in Scope:
        access.check(b"localhost:8080", scope)
