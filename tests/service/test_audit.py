"""Whoever changes something leaves a line in the log, with the id of their key."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from clv.clock import utc_now
from clv.registry import open_registry
from clv.settings import Settings
from clv.tracking import ApiKey, KeyStore, open_database, upgrade
from clv.training import TrainingResult, release
from conftest import NOW
from support.server import Server, serving
from support.waiting import until

PASSENGER = {"id": 4711, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}


@dataclass(frozen=True)
class Audited:
    """A service, the keys of its database, and one key."""

    server: Server
    store: KeyStore
    key: ApiKey
    text: str

    def lines(self, action: str) -> list[dict[str, Any]]:
        found = [json.loads(one) for one in self.server.log().splitlines() if one[:1] == "{"]
        return [one for one in found if one["logger"] == "clv.audit" and one["action"] == action]


@pytest.fixture(scope="module")
def audited(
    trained_home: Path, result: TrainingResult, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Audited]:
    home = tmp_path_factory.mktemp("audit") / "home"
    shutil.copytree(trained_home, home)
    release(result, open_registry(Settings(home=home)), home, now=NOW, promote=True)
    engine = open_database(f"sqlite:///{home / 'tracking.sqlite'}")
    upgrade(engine)
    store = KeyStore(engine)
    key, text = store.create("ops", ["admin"], at=utc_now())
    with serving(home) as server:
        yield Audited(server, store, key, text)
    engine.dispose()


@pytest.fixture
def asking(audited: Audited) -> Iterator[httpx.Client]:
    with audited.server.client() as client:
        client.headers["authorization"] = f"Bearer {audited.text}"
        yield client


def test_a_reset_and_what_changes_the_champion_name_the_key(
    audited: Audited, asking: httpx.Client
) -> None:
    asking.post("/api/predict", json=PASSENGER).raise_for_status()
    asking.post("/reset").raise_for_status()
    asking.post("/api/models/1/promote", json={"reason": "better in May"}).raise_for_status()
    asking.post("/api/models/1/rollback").raise_for_status()
    (reset,) = audited.lines("reset")
    assert (reset["key"], reset["deleted"]) == (audited.key.id, 1)
    assert reset["request_id"]
    (promote,) = audited.lines("promote")
    assert (promote["key"], promote["version"]) == (audited.key.id, "1")
    assert "better in May" in promote["message"]
    (back,) = audited.lines("roll back")
    assert (back["key"], back["version"]) == (audited.key.id, "1")
    assert audited.text not in audited.server.log()


def test_what_was_refused_is_not_said_to_be_done(audited: Audited, asking: httpx.Client) -> None:
    before = audited.lines("promote")
    assert asking.post("/api/models/77/promote").status_code == 404
    assert asking.post("/reset", headers={"authorization": "Bearer x"}).status_code == 401
    assert audited.lines("promote") == before


def test_signing_in_and_keys_that_come_and_go_leave_a_line(
    audited: Audited, asking: httpx.Client
) -> None:
    asking.post("/signin", data={"key": audited.text})
    (signed_in,) = audited.lines("sign in")
    assert signed_in["key"] == audited.key.id
    key, _ = audited.store.create("for an hour", ["read"], at=utc_now())
    until(lambda: bool(audited.lines("create key")))
    audited.store.revoke(key.id, at=utc_now())
    until(lambda: bool(audited.lines("revoke key")))
    (created,), (revoked,) = audited.lines("create key"), audited.lines("revoke key")
    assert created["key"] == revoked["key"] == key.id
    assert "'for an hour' for read" in created["message"]


def test_without_keys_it_says_so(client: httpx.Client, server: Server) -> None:
    client.post("/reset").raise_for_status()
    assert '"key": null' in [one for one in server.log().splitlines() if "clv.audit" in one][-1]
