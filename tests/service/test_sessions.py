"""Signing in begins a session: the browser never holds the key, and a session can be ended."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest

from clv.clock import utc_now
from clv.service.sessions import Guesses
from clv.tracking import KeyStore, open_database, upgrade
from support.server import Server, serving
from support.waiting import until

TOKEN = re.compile("[A-Za-z0-9_-]{43}")
PLAIN, SECURE = "clv_session", "__Host-clv_session"
TLS = {"x-forwarded-proto": "https"}


class Keys:
    """The keys of a database, made and revoked as the command line does."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.engine = open_database(f"sqlite:///{file}")
        upgrade(self.engine)
        self.store = KeyStore(self.engine)

    def make(self, *scopes: str) -> str:
        return self.store.create("visitor", scopes, at=utc_now())[1]

    def revoke(self, key: str) -> None:
        self.store.revoke(key.split("_")[1], at=utc_now())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    found = Keys(tmp_path_factory.mktemp("sessions") / "tracking.sqlite")
    found.make("admin")  # from the first key on, the service is closed
    yield found
    found.engine.dispose()


@pytest.fixture(scope="module")
def closed(trained_home: Path, keys: Keys) -> Iterator[Server]:
    """Two workers, so that a session of one has to be known to the other."""
    url = f"sqlite:///{keys.file}"
    with serving(trained_home, "--workers", "2", database_url=url) as running:
        yield running


def sign_in(server: Server, key: str, **headers: str) -> str:
    """The token in the cookie of somebody who signed in."""
    with server.client() as client:
        answer = signed_in(client, key, headers)
    ((_, cookie),) = SimpleCookie(answer.headers["set-cookie"]).items()
    return str(cookie.value)


def signed_in(client: httpx.Client, key: str, headers: dict[str, str]) -> httpx.Response:
    """The answer to signing in, once the worker knows the key."""
    answers: list[httpx.Response] = []

    def ask() -> bool:
        answers.append(client.post("/signin", data={"key": key}, headers=headers))
        return answers[-1].status_code == 303

    until(ask)
    return answers[-1]


def everywhere(server: Server, path: str, cookie: str, **headers: str) -> set[int]:
    """The statuses of many answers, each on a connection of its own, so of both workers."""
    sent = {"cookie": cookie, "connection": "close", **headers}
    with server.client() as client:
        return {client.get(path, headers=sent).status_code for _ in range(20)}


def test_the_cookie_holds_a_random_token_and_nothing_of_the_key(closed: Server, keys: Keys) -> None:
    key = keys.make("read")
    tokens = set()
    for _ in range(3):
        token = sign_in(closed, key)
        tokens.add(token)
        assert TOKEN.fullmatch(token)
        assert token not in key
        assert key.split("_")[1] not in token
    assert len(tokens) == 3
    with closing(sqlite3.connect(keys.file)) as connection:
        stored = repr(connection.execute("SELECT * FROM sessions").fetchall())
    assert not [token for token in tokens if token in stored], "only hashes are kept"
    assert not [token for token in tokens if token in closed.log()]


@pytest.mark.parametrize(("headers", "name"), [({}, PLAIN), (TLS, SECURE)])
def test_the_cookie_is_as_closed_as_a_browser_can_keep_it(
    closed: Server, keys: Keys, headers: dict[str, str], name: str
) -> None:
    with closed.client() as client:
        answer = signed_in(client, keys.make("read"), headers)
    cookie = SimpleCookie(answer.headers["set-cookie"])[name]
    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "strict"
    assert cookie["path"] == "/"
    assert bool(cookie["secure"]) == (name == SECURE)
    assert not cookie["domain"]
    assert not cookie["max-age"]
    assert not cookie["expires"]


def test_a_session_is_good_in_every_worker_for_what_its_key_is(closed: Server, keys: Keys) -> None:
    token = sign_in(closed, keys.make("read"))
    assert everywhere(closed, "/api/activity", f"{PLAIN}={token}") == {200}
    assert everywhere(closed, "/api/activity", f"a=b; {PLAIN}={token}; c") == {200}
    assert everywhere(closed, "/", f"{PLAIN}={token}") == {403}
    assert everywhere(closed, "/api/activity", f"{PLAIN}={token}", authorization="Bearer x") == {
        401
    }, "the header comes first"


@pytest.mark.parametrize("path", ["/api/activity", "/api/requests/1"])
def test_what_is_no_session_signs_nobody_in(closed: Server, keys: Keys, path: str) -> None:
    key = keys.make("admin")
    token = sign_in(closed, key)
    secret = sign_in(closed, key, **TLS)
    for cookie in (
        f"{PLAIN}={key}",
        f"clv_key={key}",
        f"{PLAIN}={'A' * 43}",
        f"{PLAIN}={token[:-1]}",
        f"{PLAIN}={token}A",
        f"{PLAIN}=",
        f"{PLAIN}={token}; {PLAIN}={token}",
        f"{SECURE}={secret}",  # sent without TLS, a browser did not send it
    ):
        assert everywhere(closed, path, cookie) == {401}, cookie
    assert everywhere(closed, path, f"{PLAIN}={token}", **TLS) == {401}, "planted beside TLS"
    assert everywhere(closed, path, f"{SECURE}={secret}", **TLS) == {200}


def test_signing_out_ends_the_session_and_not_only_the_cookie(closed: Server, keys: Keys) -> None:
    token = sign_in(closed, keys.make("read"))
    cookie = {"cookie": f"{PLAIN}={token}"}
    with closed.client() as client:
        assert client.get("/api/activity", headers=cookie).status_code == 200
        left = client.post("/signout", headers=cookie)
        assert (left.status_code, left.headers["location"]) == (303, "/signin")
    # Another worker asks the database again within the poll interval.
    until(lambda: everywhere(closed, "/api/activity", f"{PLAIN}={token}") == {401})


def test_a_session_dies_with_its_key(closed: Server, keys: Keys) -> None:
    key = keys.make("read")
    token = sign_in(closed, key)
    assert everywhere(closed, "/api/activity", f"{PLAIN}={token}") == {200}
    keys.revoke(key)
    until(lambda: everywhere(closed, "/api/activity", f"{PLAIN}={token}") == {401})


def test_a_session_expires(closed: Server, keys: Keys) -> None:
    token = sign_in(closed, keys.make("read"))
    with closing(sqlite3.connect(keys.file)) as connection, connection:
        past = (utc_now() - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
        connection.execute("UPDATE sessions SET expires_at = ?", [past])
    until(lambda: everywhere(closed, "/api/activity", f"{PLAIN}={token}") == {401})
    sign_in(closed, keys.make("read"))
    with closing(sqlite3.connect(keys.file)) as connection:
        (left,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
    assert left == 1, "the next one who signs in clears away what has expired"


def test_a_session_lasts_as_long_as_the_setting_says(trained_home: Path, keys: Keys) -> None:
    environment = {"CLV_SESSION_HOURS": "2"}
    url = f"sqlite:///{keys.file}"
    with serving(trained_home, database_url=url, environment=environment) as server:
        sign_in(server, keys.make("read"))
    with closing(sqlite3.connect(keys.file)) as connection:
        hours = "(julianday(expires_at) - julianday(created_at)) * 24"
        (found,) = connection.execute(
            f"SELECT {hours} FROM sessions ORDER BY created_at DESC LIMIT 1"
        ).fetchone()
    assert found == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize(
    ("proxies", "name"), [("127.0.0.0/8, 10.1.2.3", SECURE), ("*", SECURE), ("10.1.2.3", PLAIN)]
)
def test_a_proxy_is_believed_if_it_is_named(
    trained_home: Path, keys: Keys, proxies: str, name: str
) -> None:
    environment = {"CLV_TRUSTED_PROXIES": proxies}
    url = f"sqlite:///{keys.file}"
    with (
        serving(trained_home, database_url=url, environment=environment) as server,
        server.client() as client,
    ):
        answer = signed_in(client, keys.make("read"), TLS)
    assert list(SimpleCookie(answer.headers["set-cookie"])) == [name]


def test_wrong_keys_wait_for_their_turn_and_too_many_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def play() -> list[bool]:
        going = asyncio.Event()

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            await going.wait()

        monkeypatch.setattr(asyncio, "sleep", sleep)
        guesses = Guesses(0.5, most=3)
        waiting: list[Any] = [asyncio.ensure_future(guesses.wait()) for _ in range(3)]
        for _ in range(10):
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0)
        assert pauses == [0.5], "one at a time"
        assert not await guesses.wait(), "a fourth is refused at once"
        going.set()
        answered = list(await asyncio.gather(*waiting))
        return [*answered, await guesses.wait()]

    assert asyncio.run(play()) == [True] * 4
    assert pauses == [0.5] * 4


def test_who_guesses_at_the_form_does_not_keep_others_out(closed: Server, keys: Keys) -> None:
    with closed.client() as client:
        wrong = {"key": "clv_00000000_" + "A" * 43}
        assert client.post("/signin", data=wrong).status_code == 401
    sign_in(closed, keys.make("read"))
