"""Who may do what: every route is closed but those named here, and no key is ever written down."""

import contextlib
import html
import io
import itertools
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clv.cli import main
from clv.service.app import create_api
from clv.settings import Settings
from support.routes import routes_of
from support.server import Server, serving
from support.waiting import until as hold

OPEN = {"/health", "/ready", "/docs", "/redoc", "/openapi.json", "/signin"}
#: Open as well; how one signs in and out is in test_pages.py.
LEAVE, STATIC = ("POST", "/signout"), ("GET", "/static/{name}")

#: The narrowest scope for each route; a new one has to be added here.
NEEDED = {
    ("POST", "/api/predict"): "predict",
    ("POST", "/api/predict/batch"): "predict",
    ("POST", "/api/predict/tryout"): "predict",
    ("GET", "/api/requests/{passenger_id}"): "read",
    ("GET", "/api/models"): "read",
    ("GET", "/metrics"): "read",
    ("GET", "/api/models/history"): "read",
    ("POST", "/api/models/{version}/promote"): "admin",
    ("POST", "/api/models/{version}/rollback"): "admin",
    ("POST", "/reset"): "admin",
    ("GET", "/api/explain"): "predict",
    ("GET", "/api/activity"): "read",
    ("GET", "/api/requests/{passenger_id}/latest"): "read",
    ("POST", "/api/segments/evaluate"): "predict",
    ("POST", "/campaign/preview"): "predict",
    ("POST", "/campaign/judge"): "predict",
    ("POST", "/campaign/chosen"): "predict",
    ("GET", "/"): "predict",
    ("GET", "/campaign"): "predict",
    ("GET", "/predict"): "predict",
    ("POST", "/api/outcomes"): "outcomes",
    ("GET", "/api/monitoring"): "read",
    ("GET", "/monitoring"): "read",
    ("GET", "/reality"): "read",
    ("POST", "/predict"): "predict",
    ("GET", "/model"): "read",
    ("GET", "/model/report"): "read",
    ("GET", "/activity"): "read",
}
#: Their visitors are sent to sign in, where others get a 401.
PAGES = {
    "/",
    "/campaign",
    "/predict",
    "/model",
    "/model/report",
    "/monitoring",
    "/reality",
    "/activity",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
#: No routes, however much like an open one they look.
UNKNOWN = (
    "/nothing", "/health/", "/ready/", "/docs/", "/docs/x", "//health", "/HEALTH",
    "/health%2f", "/health;x", "/openapi.json/", "/api/predict/", "/api/models/", "/metrics/",
    "/static", "/signin/", "/model/", "/campaign/x",
)  # fmt: skip
PASSENGER = {"id": 987650123, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
PUBLIC = {"id", "name", "scopes", "requests_per_s", "created_at", "last_used_at", "revoked_at"}


@dataclass(frozen=True)
class Guarded:
    """A running server and the database of its keys."""

    server: Server
    file: Path
    keys: dict[str, str]

    def ask(self, client: httpx.Client, method: str, path: str, key: str = "") -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        if path.startswith("//"):
            path = self.server.url + path  # httpx takes the first part for the name of a host
        if path.startswith("/api/predict"):
            body = PASSENGER if not path.endswith("batch") else {"passengers": [PASSENGER]}
            return client.request(method, path, headers=headers, json=body)
        if path.startswith("/api/outcomes"):
            outcomes = [{"id": PASSENGER["id"], "monetary_30": 50}]
            return client.request(method, path, headers=headers, json={"outcomes": outcomes})
        if path.startswith("/api/explain"):
            asked = {name: PASSENGER[name] for name in ("recency_7", "frequency_7", "monetary_7")}
            return client.request(method, path, headers=headers, params=asked)
        return client.request(method, path, headers=headers)


def clv_keys(file: Path, *arguments: str) -> str:
    """What `clv keys ...` prints."""
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(SystemExit),
    ):
        patch.setenv("CLV_DATABASE_URL", f"sqlite:///{file}")
        patch.setattr(sys, "argv", ["clv", "keys", *arguments])
        main()
    return printed.getvalue()


def create(file: Path, name: str, *options: str) -> str:
    key = clv_keys(file, "create", name, *options).strip()
    assert key.startswith("clv_")
    return key


def revoke(file: Path, key: str) -> None:
    assert "is revoked" in clv_keys(file, "revoke", key.split("_")[1])


def until(ask: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """Ask until the answer has this status; the service looks at its keys every 0.2 s."""
    for _ in range(600):
        answer = ask()
        if answer.status_code == status:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never {status}; last: {answer.status_code} {answer.text}")


def secrets_of(file: Path, keys: Sequence[str]) -> set[str]:
    """What nobody may read of the keys: their secrets, and what is kept of these."""
    with closing(sqlite3.connect(file)) as connection:
        digests = [row[0] for row in connection.execute("SELECT digest FROM api_keys")]
    assert len(digests) >= len(keys)
    return {key.split("_", 2)[2] for key in keys} | {digest.hex() for digest in digests}


@pytest.fixture(scope="module")
def guarded(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that logs all it can, with a key of each kind."""
    file = tmp_path_factory.mktemp("access") / "tracking.sqlite"
    keys = {
        scope: create(file, f"key to {scope}", "--scope", scope)
        for scope in ("predict", "read", "outcomes", "admin")
    }
    keys["revoked"] = create(file, "former admin", "--scope", "admin")
    revoke(file, keys["revoked"])
    chatty = {"CLV_LOG_LEVEL": "DEBUG", "CLV_ACCESS_LOG": "true"}
    with serving(trained_home, database_url=f"sqlite:///{file}", environment=chatty) as running:
        yield Guarded(running, file, keys)
        log = running.log()
    # All that the tests below did to it; the first line shows that anything was logged.
    assert '"route": "/api/predict"' in log
    assert "Traceback" not in log
    assert not [one for one in secrets_of(file, list(keys.values())) if one in log]
    assert str(PASSENGER["id"]) not in log


@pytest.fixture(scope="module")
def asking(guarded: Guarded) -> Iterator[httpx.Client]:
    with guarded.server.client() as client:
        yield client


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Every method and path that the application knows, documented or not."""
    api = create_api(Settings(home=tmp_path_factory.mktemp("none")))
    documented = {
        (method.upper(), path)
        for path, methods in api.openapi()["paths"].items()
        for method in methods
    }
    known = set(routes_of(api.routes))
    assert documented <= known
    return known


def filled(path: str) -> str:
    return path.replace("{passenger_id}", "1").replace("{version}", "1")


def test_every_route_is_open_by_name_or_has_a_scope(operations: set[tuple[str, str]]) -> None:
    closed = {(method, path) for method, path in operations if path not in OPEN}
    assert closed == {*NEEDED, LEAVE, STATIC}


def test_the_documentation_tells_the_scope_of_every_route(tmp_path: Path) -> None:
    paths = create_api(Settings(home=tmp_path)).openapi()["paths"]
    assert not PAGES & set(paths), "pages are for people"
    for (method, path), scope in NEEDED.items():
        if path in PAGES or path.startswith("/campaign/"):
            continue
        operation = paths[path][method.lower()]
        assert operation["security"] == [{"key": [scope]}, {}]
        assert {"401", "403", "429"} <= set(operation["responses"])
    assert paths["/health"]["get"]["security"] == paths["/ready"]["get"]["security"] == []


@pytest.mark.parametrize("kind", ["none", "wrong secret", "wrong id", "revoked"])
def test_without_a_usable_key_every_method_of_every_path_is_401(
    guarded: Guarded, asking: httpx.Client, operations: set[tuple[str, str]], kind: str
) -> None:
    admin = guarded.keys["admin"]
    key = {
        "none": "",
        "wrong secret": admin[:13] + guarded.keys["read"][13:],
        "wrong id": "clv_00000000" + admin[12:],
        "revoked": guarded.keys["revoked"],
    }[kind]
    closed = {filled(path) for method, path in NEEDED} | set(UNKNOWN)
    assert len(closed) > len(NEEDED)
    for method, path in itertools.product(METHODS, sorted(closed)):
        answer = guarded.ask(asking, method, path, key)
        if path in PAGES and (method in ("GET", "HEAD") or (method, path) == ("POST", "/predict")):
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/signin?next=%2F")
            assert not answer.content
            continue
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
    counted = guarded.ask(asking, "GET", f"/api/requests/{PASSENGER['id']}", guarded.keys["read"])
    assert counted.json()["count"] == 0, "what was refused is not tracked"


@pytest.mark.parametrize("path", sorted(OPEN))
def test_health_readiness_and_documentation_are_open_to_all(
    guarded: Guarded, asking: httpx.Client, path: str
) -> None:
    for key in ("", guarded.keys["revoked"], guarded.keys["predict"]):
        answer = guarded.ask(asking, "GET", path, key)
        assert answer.status_code == (308 if path == "/redoc" else 200)


@pytest.mark.parametrize("scope", ["predict", "read", "admin"])
def test_a_key_may_do_what_its_scope_says_and_no_more(
    guarded: Guarded, asking: httpx.Client, operations: set[tuple[str, str]], scope: str
) -> None:
    for method, path in sorted(operations):
        if (method, path) in (LEAVE, STATIC, ("POST", "/signin")):
            continue
        answer = guarded.ask(asking, method, filled(path), guarded.keys[scope])
        if path in OPEN or NEEDED[method, path] == scope or scope == "admin":
            # Version 1 is champion already, and the first: that is 409, past the gate.
            # What is judged is no passenger: 422, past it too.
            past = 422 if method == "POST" and ("segments" in path or "/campaign/" in path) else 200
            past = 415 if (method, path) == ("POST", "/predict") else past  # a form, not JSON
            past = 308 if path in ("/redoc", "/campaign", "/reality") else past
            assert answer.status_code == (409 if "{version}" in path else past), f"{method} {path}"
        else:
            assert answer.status_code == 403, f"{method} {path}"
            assert f"scope '{NEEDED[method, path]}'" in html.unescape(answer.text)
    for path in UNKNOWN:
        answer = guarded.ask(asking, "POST", path, guarded.keys[scope])
        assert (answer.status_code == 403) == (scope != "admin"), path
    guarded.ask(asking, "POST", "/reset", guarded.keys["admin"]).raise_for_status()


def test_a_key_of_two_scopes_may_do_both_and_not_the_third(
    guarded: Guarded, asking: httpx.Client
) -> None:
    key = create(guarded.file, "two", "--scope", "predict", "--scope", "read")
    until(lambda: guarded.ask(asking, "GET", "/api/models", key), 200)
    assert guarded.ask(asking, "POST", "/api/predict/batch", key).status_code == 200
    assert guarded.ask(asking, "POST", "/reset", key).status_code == 403


def test_a_key_works_from_its_creation_until_it_is_revoked_without_a_restart(
    guarded: Guarded, asking: httpx.Client
) -> None:
    key = create(guarded.file, "for an hour", "--scope", "read")
    until(lambda: guarded.ask(asking, "GET", "/api/models", key), 200)
    revoke(guarded.file, key)
    until(lambda: guarded.ask(asking, "GET", "/api/models", key), 401)
    for _ in range(20):
        assert guarded.ask(asking, "GET", "/api/models", key).status_code == 401


# What HTTP allows in the value of a header: tabs, spaces, what can be seen, and bytes beyond ASCII.
VALUES = st.binary(max_size=200).map(
    lambda raw: bytes(one for one in raw if one == 9 or (one >= 32 and one != 127)).strip()
)


@given(value=VALUES)
@example(value=b"")
@example(value=b"Bearer")
@example(value=b"Bearer  ")
@example(value=b"bearer")
@example(value=b"Basic dXNlcjpwYXNz")
@example(value=b"Bearer clv_")
@example(value=b"Bearer clv_0123abcd_" + b"A" * 42)
@example(value=b"Bearer clv_0123abcd_" + b"A" * 43)
@example(value=b"Bearer clv_0123abcd_" + b"A" * 44)
@example(value=b"Bearer clv_0123abcd_" + b"\xff" * 43)
@example(value=b"Bearer \xff\xfe\x80")
@example(value="Bearer clv_０１２３abcd_".encode() + b"A" * 43)
@example(value=b"Bearer " + b"A" * 8000)
@example(value=b"Bearer clv_' OR 1=1 --_")
def test_whatever_stands_in_the_header_that_is_no_key_is_401(
    asking: httpx.Client, value: bytes
) -> None:
    for sent in (value, b"Bearer " + value):
        answer = asking.get("/api/models", headers=[(b"authorization", sent.strip())])
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


CHANGES: dict[str, Callable[[str], list[str]]] = {
    "without its kind": lambda key: [key],
    "as another kind": lambda key: [f"Basic {key}"],
    "with a colon": lambda key: [f"Bearer: {key}"],
    "in quotes": lambda key: [f'Bearer "{key}"'],
    "twice in one header": lambda key: [f"Bearer {key}, Bearer {key}"],
    "in two headers": lambda key: [f"Bearer {key}"] * 2,
    "beside another header": lambda key: ["Basic dXNlcjpwYXNz", f"Bearer {key}"],
    "with something behind": lambda key: [f"Bearer {key} x"],
    "a character short": lambda key: [f"Bearer {key[:-1]}"],
    "a character long": lambda key: [f"Bearer {key}A"],
    "in capitals": lambda key: [f"Bearer {key.upper()}"],
    "its id in capitals": lambda key: [f"Bearer clv_{key[4:12].upper()}_A{key[14:]}"],
    "its last character another": lambda key: [
        f"Bearer {key[:-1]}{'A' if key[-1] != 'A' else 'B'}"
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_good_key_that_is_sent_wrongly_is_401(
    guarded: Guarded, asking: httpx.Client, change: str
) -> None:
    values = CHANGES[change](guarded.keys["admin"])
    headers = [(b"authorization", value.encode()) for value in values]
    answer = asking.get("/api/models", headers=headers)
    assert answer.status_code == 401
    assert guarded.keys["admin"] not in answer.text


def test_the_kind_is_read_in_any_case_as_http_has_it(
    guarded: Guarded, asking: httpx.Client
) -> None:
    for kind in ("Bearer", "bearer", "BEARER"):
        headers = {"authorization": f"{kind} {guarded.keys['read']}"}
        assert asking.get("/api/models", headers=headers).status_code == 200


def test_unknown_and_revoked_keys_get_the_same_answer(
    guarded: Guarded, asking: httpx.Client
) -> None:
    known = guarded.keys["admin"]
    answers = {
        guarded.ask(asking, "GET", "/api/models", key).text
        for key in (guarded.keys["revoked"], known[:13] + "A" * 43, "clv_00000000_" + "A" * 43)
    }
    assert len(answers) == 1, "nobody learns which ids there are"


def test_when_a_key_was_last_used_is_listed(guarded: Guarded, asking: httpx.Client) -> None:
    key = create(guarded.file, "for last use", "--scope", "read")

    def listed() -> dict[str, Any]:
        out = clv_keys(guarded.file, "list", "--json")
        assert not [one for one in secrets_of(guarded.file, [key]) if one in out]
        (found,) = [one for one in json.loads(out) if one["name"] == "for last use"]
        assert set(found) == PUBLIC
        return dict(found)

    assert listed()["last_used_at"] is None
    until(lambda: guarded.ask(asking, "GET", "/api/models", key), 200)
    for _ in range(600):
        if (used := listed())["last_used_at"]:
            break
        time.sleep(0.05)
    assert used["last_used_at"] > used["created_at"]


def test_a_key_that_comes_too_often_is_429_and_the_others_do_not_suffer(
    guarded: Guarded, asking: httpx.Client
) -> None:
    key = create(guarded.file, "slow", "--scope", "read", "--requests-per-s", "1")
    until(lambda: guarded.ask(asking, "GET", "/api/models", key), 200)
    refused = until(lambda: guarded.ask(asking, "GET", "/metrics", key), 429)
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) in (1, 2)
    assert "1 requests per second" in refused.json()["detail"]
    for _ in range(50):
        assert guarded.ask(asking, "GET", "/metrics", guarded.keys["read"]).status_code == 200
    assert guarded.ask(asking, "POST", "/reset", key).status_code == 403, "refused ones cost none"
    until(lambda: guarded.ask(asking, "GET", "/metrics", key), 200)


def test_keys_and_passengers_never_appear_in_a_log_or_an_answer(
    guarded: Guarded, asking: httpx.Client
) -> None:
    admin, passenger = guarded.keys["admin"], PASSENGER["id"]
    sent = {"authorization": f"Bearer {admin}"}
    answers = [
        asking.post("/api/predict", json=PASSENGER, headers=sent),
        asking.post("/api/predict/batch", json={"passengers": [PASSENGER]}, headers=sent),
        asking.get(f"/api/requests/{passenger}", headers=sent),
        asking.get(f"/api/requests/{passenger}x", headers=sent),
        asking.get("/api/models", headers=sent),
        asking.get("/metrics", headers=sent),
        asking.post("/api/predict", content=b"{", headers=sent),
        asking.post("/api/predict", json=PASSENGER | {"recency_7": 99}, headers=sent),
        asking.post("/api/predict", json=PASSENGER | {"frequency_7": 0}, headers=sent),
        asking.put("/reset", headers=sent),
        asking.get("/nothing", headers=sent),
        asking.get("/api/models", headers={"authorization": admin}),
        asking.get("/api/models", headers={"authorization": f"Bearer {admin}x"}),
        asking.get("/health", headers=sent),
        asking.get(f"/api/models?key={admin}&passenger={passenger}"),
        asking.post("/reset", headers={"authorization": f"Bearer {guarded.keys['read']}"}),
    ]
    asking.get(f"/{admin}", headers=sent)
    asking.get(f"/api/requests/{admin}", headers=sent)  # it is told what it sent
    assert {answer.status_code for answer in answers} == {200, 401, 403, 404, 405, 422}
    secret = secrets_of(guarded.file, list(guarded.keys.values()))
    for answer in answers:
        said = answer.text + str(answer.headers)
        assert not [one for one in secret if one in said], str(answer.request.url)
    log = guarded.server.log()
    assert not [one for one in secret if one in log]
    assert str(passenger) not in log


def test_the_first_key_closes_a_running_service_and_none_opens_it_again(
    trained_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tracking.sqlite"
    with serving(trained_home, database_url=f"sqlite:///{file}") as server:
        said = server.log()
        assert "open to everyone on this machine, and to nobody else" in said
        assert "clv keys create" in said
        with server.client() as client:
            here = Guarded(server, file, {})
            assert here.ask(client, "POST", "/api/predict").status_code == 200
            key = create(file, "first", "--scope", "read")
            until(lambda: here.ask(client, "GET", "/api/models"), 401)
            assert here.ask(client, "POST", "/api/predict").status_code == 401
            assert here.ask(client, "GET", "/api/models", key).status_code == 200
            revoke(file, key)
            until(lambda: here.ask(client, "GET", "/api/models", key), 401)
            assert here.ask(client, "GET", "/api/models").status_code == 401
            assert client.get("/health").status_code == 200
            # As after restoring a backup of before there were keys.
            with contextlib.closing(sqlite3.connect(file)) as database, database:
                kept = database.execute("SELECT * FROM api_keys").fetchall()
                database.execute("DELETE FROM api_keys")
            hold(lambda: "The keys are gone" in server.log())
            assert here.ask(client, "GET", "/api/models").status_code == 401
            with contextlib.closing(sqlite3.connect(file)) as database, database:
                places = ", ".join("?" * len(kept[0]))
                database.executemany(f"INSERT INTO api_keys VALUES ({places})", kept)
    with serving(trained_home, database_url=f"sqlite:///{file}") as server:
        assert "No API key" not in server.log()
        with server.client() as client:
            assert client.get("/api/models").status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_origin_may_not_have_a_visitor_do_anything(
    client: httpx.Client, guarded: Guarded, asking: httpx.Client, site: str
) -> None:
    """Even where there are no keys: its visitor's browser reaches a service on loopback."""
    foreign = {"sec-fetch-site": site}
    client.post("/api/predict", json=PASSENGER).raise_for_status()
    for method, path in NEEDED:
        if method == "POST":
            answer = client.request(method, filled(path), headers=foreign, json=PASSENGER)
            assert answer.status_code == 403, path
            if path.startswith("/api/"):  # forms of pages get a page
                assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(f"/api/requests/{PASSENGER['id']}", headers=foreign).json()["count"] == 1
    for origin in ("same-origin", "none"):
        own = {"sec-fetch-site": origin}
        assert client.post("/api/predict", json=PASSENGER, headers=own).status_code == 200
    keyed = foreign | {"authorization": f"Bearer {guarded.keys['admin']}"}
    assert asking.post("/reset", headers=keyed).status_code == 403


def test_a_name_that_was_made_to_lead_here_is_not_answered_without_keys(
    client: httpx.Client, guarded: Guarded, asking: httpx.Client
) -> None:
    """A page of another site may point its own name to 127.0.0.1; the browser then calls it own."""
    path = f"/api/requests/{PASSENGER['id']}"
    port = client.base_url.port
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "10.0.0.7", ":"):
        refused = client.get(path, headers={"host": host})
        assert refused.status_code == 403, host
        assert "localhost" in refused.json()["detail"]
        assert client.post("/api/predict", json=PASSENGER, headers={"host": host}).is_client_error
        assert client.get("/health", headers={"host": host}).status_code == 200
    assert client.get(path).json()["count"] == 0
    for host in ("localhost", f"LocalHost:{port}", "clv.localhost", "127.8.8.8:1", "[::1]:8080"):
        assert client.get(path, headers={"host": host}).status_code == 200, host
    # Whoever has a key may ask by any name.
    key = {"host": "clv.example", "authorization": f"Bearer {guarded.keys['admin']}"}
    assert asking.get(path, headers=key).status_code == 200
