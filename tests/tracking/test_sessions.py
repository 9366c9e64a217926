"""Sessions are found by their token alone, until they end or expire."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, inspect, text

from clv.errors import StoreError
from clv.tracking import Session, SessionStore, open_database, upgrade
from clv.tracking.migrate import downgrade

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HOUR = timedelta(hours=1)
SESSION = Session("0123abcd", NOW + HOUR)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> SessionStore:
    return SessionStore(engine)


def test_a_session_is_found_until_it_expires(store: SessionStore) -> None:
    token = store.create(SESSION, at=NOW)
    moment = timedelta(microseconds=1)
    assert store.find(token, at=NOW) == SESSION
    assert store.find(token, at=NOW + HOUR - moment) == SESSION
    assert store.find(token, at=NOW + HOUR) is None


def test_a_session_that_was_ended_is_gone_and_the_others_are_not(store: SessionStore) -> None:
    one, other = store.create(SESSION, at=NOW), store.create(SESSION, at=NOW)
    assert one != other
    store.end(one)
    store.end(one)
    assert store.find(one, at=NOW) is None
    assert store.find(other, at=NOW) == SESSION


@pytest.mark.parametrize("token", ["", "A" * 43, "' OR 1=1 --", "\ud800"])
def test_what_is_no_token_finds_and_ends_nothing(store: SessionStore, token: str) -> None:
    known = store.create(SESSION, at=NOW)
    assert store.find(token, at=NOW) is None
    store.end(token)
    assert store.find(known, at=NOW) == SESSION


def test_expired_sessions_are_cleared_away_and_only_hashes_are_stored(
    store: SessionStore, engine: Engine
) -> None:
    old = store.create(SESSION, at=NOW)
    new = store.create(Session("89abcdef", NOW + 3 * HOUR), at=NOW + 2 * HOUR)
    with engine.connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM sessions")).mappings()
    assert row["key_id"] == "89abcdef"
    assert not [token for token in (old, new) if token in repr(dict(row))]


def test_the_release_before_sessions_has_no_table_of_them(engine: Engine) -> None:
    downgrade(engine, "0007")
    assert "sessions" not in inspect(engine).get_table_names()
    upgrade(engine)
    token = SessionStore(engine).create(SESSION, at=NOW)
    assert SessionStore(engine).find(token, at=NOW) == SESSION


def test_a_database_that_refuses_is_an_error(store: SessionStore, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE sessions"))
    with pytest.raises(StoreError):
        store.create(SESSION, at=NOW)
    with pytest.raises(StoreError):
        store.find("A" * 43, at=NOW)
    with pytest.raises(StoreError):
        store.end("A" * 43)
