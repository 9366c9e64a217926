"""Keys of the service: given once, kept as a hash, refused for ever once they are revoked."""

import contextlib
import hashlib
import hmac
import math
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from clv.errors import StoreError, UsageError
from clv.tracking import ApiKey, KeyStore, Scope, open_database, split_key, upgrade

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> KeyStore:
    return KeyStore(engine)


# ---------------------------------------------------------------- a key and its text


def a_key(*scopes: Scope, secret: str = "secret") -> ApiKey:  # noqa: S107
    digest = hashlib.sha256(secret.encode()).digest()
    return ApiKey("0123abcd", "marketing", frozenset(scopes), None, NOW, None, None, digest)


@given(st.text(st.characters()) | st.text("clv_0f-A\n\ud800", max_size=60))
@example("\ud800")
@example("clv_" * 14)
def test_any_text_is_a_key_or_none_and_never_an_error(anything: str) -> None:
    found = split_key(anything)
    if found is not None:
        assert "clv_{}_{}".format(*found) == anything
    assert a_key().matches(anything) == (anything == "secret")


@given(st.from_regex(r"clv_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", fullmatch=True))
def test_a_key_is_split_into_its_id_and_its_secret(key: str) -> None:
    assert split_key(key) == (key[4:12], key[13:])


@given(
    st.from_regex(r"clv_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", fullmatch=True),
    st.sampled_from("\n \x00é٣\udc80"),
    st.integers(0, 56),
)
def test_a_key_with_anything_else_in_it_is_none(key: str, other: str, place: int) -> None:
    assert split_key(key[:place] + other + key[place:]) is None
    assert split_key(key[:place] + other + key[place + 1 :]) is None
    assert split_key(key[:place]) is None


def test_admin_allows_everything_and_the_others_themselves() -> None:
    allowed = {scope: [one for one in Scope if a_key(scope).allows(one)] for scope in Scope}
    assert allowed == {
        Scope.PREDICT: [Scope.PREDICT],
        Scope.READ: [Scope.READ],
        Scope.OUTCOMES: [Scope.OUTCOMES],
        Scope.ADMIN: [Scope.PREDICT, Scope.READ, Scope.OUTCOMES, Scope.ADMIN],
    }


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(kept: bytes, given: bytes) -> bool:
        compared.append((kept, given))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert not a_key(secret="right").matches("right")  # noqa: S106
    assert compared == [(hashlib.sha256(b"right").digest(),) * 2]


def test_a_key_that_is_logged_does_not_show_its_digest() -> None:
    assert "digest" not in repr(a_key())


# ---------------------------------------------------------------- create


def test_a_new_key_is_the_one_whose_text_was_given(store: KeyStore) -> None:
    key, given = store.create(
        "  marketing, Zürich ", [Scope.READ, Scope.PREDICT], at=NOW, requests_per_s=0.5
    )
    assert store.keys() == [key]
    assert replace(key, id="", digest=b"") == ApiKey(
        "", "marketing, Zürich", frozenset({Scope.PREDICT, Scope.READ}), 0.5, NOW, None, None, b""
    )
    parts = split_key(given)
    assert parts is not None
    assert parts[0] == key.id
    assert key.matches(parts[1])
    assert not key.matches(parts[1] + " ")
    assert not key.matches("")


def test_no_two_keys_have_anything_in_common_but_what_was_asked_for(store: KeyStore) -> None:
    made = [store.create("marketing", ["predict"], at=NOW) for _ in range(20)]
    assert len({key.id for key, _ in made}) == len({key.digest for key, _ in made}) == 20
    assert len({split_key(given)[1] for _, given in made}) == 20


def test_keys_are_listed_oldest_first_whatever_the_zone(store: KeyStore) -> None:
    zone = timezone(timedelta(hours=9))
    for hours in (2, 0, 1):
        at = (NOW + timedelta(hours=hours)).astimezone(zone if hours else UTC)
        store.create(str(hours), [Scope.READ], at=at)
    keys = store.keys()
    assert [key.name for key in keys] == ["0", "1", "2"]
    assert {key.created_at.tzinfo for key in keys} == {UTC}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": ""}, "name of a key is ''; expected 1 to 100 printable"),
        ({"name": " \t"}, "name of a key is ''; expected 1 to 100 printable"),
        ({"name": "x" * 101}, "expected 1 to 100 printable"),
        ({"name": "two\nlines"}, r"name of a key is 'two\\nlines'"),
        ({"name": "\x1b[31mred"}, r"is '\\x1b\[31mred'"),
        ({"name": "null\x00"}, r"is 'null\\x00'"),
        ({"name": "half\ud800"}, r"is 'half\\ud800'"),
        (
            {"scopes": []},
            "scopes of a key are none; expected at least one of predict, read, outcomes, admin",
        ),
        ({"scopes": ["read", "red"]}, "scopes of a key are 'read', 'red'; expected"),
        ({"scopes": ["predict read"]}, "scopes of a key are 'predict read'; expected"),
        ({"requests_per_s": 0}, "limit of a key is 0 requests per second; expected a number above"),
        ({"requests_per_s": -1.5}, "is -1.5 requests"),
        ({"requests_per_s": math.nan}, "is nan requests"),
        ({"requests_per_s": math.inf}, "is inf requests"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_what_can(
    arguments: dict[str, object], says: str, new_database: Callable[[str], str]
) -> None:
    engine = open_database(new_database("sqlite"))
    upgrade(engine)
    store = KeyStore(engine)
    with pytest.raises(UsageError, match=says):
        store.create(**{"name": "marketing", "scopes": [Scope.READ], "at": NOW, **arguments})
    assert store.keys() == []
    engine.dispose()


def test_the_longest_name_and_every_scope_fit(store: KeyStore) -> None:
    key, _ = store.create("é" * 100, Scope, at=NOW, requests_per_s=1e-300)
    assert store.keys() == [key]


def test_a_scope_of_a_later_version_allows_nothing_and_spoils_nothing(
    store: KeyStore, outsider: Engine
) -> None:
    key, _ = store.create("newer", ["read"], at=NOW)
    with outsider.begin() as connection:
        connection.execute(text("UPDATE api_keys SET scopes = 'read reign'"))
    assert store.keys() == [key]


def test_an_id_that_is_taken_is_not_given_again(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["00000000", "00000000", "00000000", "11111111"])
    monkeypatch.setattr("clv.tracking.keys._new_id", lambda: next(ids))
    first, _ = store.create("first", [Scope.READ], at=NOW)
    second, _ = store.create("second", [Scope.READ], at=NOW + SECOND)
    assert store.keys() == [first, second]
    assert second.id == "11111111"


CREATOR = """
import sys
from datetime import UTC, datetime
from clv.tracking import KeyStore, open_database, upgrade

engine = open_database(sys.argv[1])
upgrade(engine)
for _ in range(20):
    print(KeyStore(engine).create("both", ["read"], at=datetime(2026, 1, 2, tzinfo=UTC))[1])
"""


def test_two_processes_that_create_at_once_both_succeed(database_url: str) -> None:
    with contextlib.ExitStack() as stack:
        creators = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", CREATOR, database_url],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        ends = [creator.communicate() for creator in creators]
    assert [error for _, error in ends] == ["", ""]
    engine = open_database(database_url)
    keys = KeyStore(engine).keys()
    engine.dispose()
    kept = {key.id: key for key in keys}
    given = [split_key(line) for output, _ in ends for line in output.splitlines()]
    assert len(given) == len(kept) == 40
    assert all(kept[key_id].matches(secret) for key_id, secret in given)


# ---------------------------------------------------------------- what is kept


def test_the_secret_is_nowhere_in_the_file_of_the_database(
    new_database: Callable[[str], str],
) -> None:
    engine = open_database(new_database("sqlite"))
    upgrade(engine)
    store = KeyStore(engine)
    key, given = store.create("marketing", [Scope.PREDICT], at=NOW)
    store.used({key.id: NOW})
    folder = Path(engine.url.database).parent
    files = sorted(file for file in folder.iterdir() if file.is_file())
    written = b"".join(file.read_bytes() for file in files)  # the write-ahead log, too
    engine.dispose()
    assert key.digest in written
    assert split_key(given)[1].encode() not in written
    assert given[-20:].encode() not in written


def test_no_column_holds_the_secret(store: KeyStore, outsider: Engine) -> None:
    key, given = store.create("marketing", [Scope.READ, Scope.PREDICT], at=NOW)
    with outsider.connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM api_keys")).mappings()
    assert (row["id"], row["name"], row["scopes"]) == (key.id, "marketing", "predict read")
    assert bytes(row["digest"]) == hashlib.sha256(split_key(given)[1].encode()).digest()
    assert split_key(given)[1] not in str(dict(row))


# ---------------------------------------------------------------- revoke


def test_a_key_is_revoked_since_the_first_time(store: KeyStore) -> None:
    key, _ = store.create("marketing", [Scope.READ], at=NOW)
    other, _ = store.create("other", [Scope.READ], at=NOW + SECOND)
    revoked = replace(key, revoked_at=NOW + SECOND)
    assert store.revoke(key.id, at=NOW + SECOND) == revoked
    assert store.revoke(key.id, at=NOW + 2 * SECOND) == revoked
    assert store.keys() == [revoked, other]


def test_a_key_that_is_not_there_cannot_be_revoked(store: KeyStore) -> None:
    key, _ = store.create("marketing", [Scope.READ], at=NOW)
    unknown = "00000000" if key.id != "00000000" else "00000001"
    with pytest.raises(StoreError, match=f"no key '{unknown}'. See .* clv keys list"):
        store.revoke(unknown, at=NOW)
    assert store.keys() == [key]


@pytest.mark.parametrize("text", ["", "marketing", "\ud800", "\x00", "%", "0123456G", "12345678\n"])
def test_what_is_no_id_is_told_so(text: str, store: KeyStore) -> None:
    with pytest.raises(StoreError, match="expected 8 hex digits"):
        store.revoke(text, at=NOW)


def test_who_revokes_by_the_whole_key_does_not_find_it_in_the_log(store: KeyStore) -> None:
    key, given = store.create("marketing", [Scope.READ], at=NOW)
    with pytest.raises(StoreError, match="expected 8 hex digits") as caught:
        store.revoke(given, at=NOW)
    assert split_key(given)[1] not in str(caught.value)
    assert store.keys() == [key]


# ---------------------------------------------------------------- last use


def last_uses(store: KeyStore) -> list[datetime | None]:
    keys = store.keys()
    return [key.last_used_at for key in keys]


def test_the_last_use_is_kept_and_never_goes_back(store: KeyStore) -> None:
    keys = [store.create(str(n), [Scope.READ], at=NOW + n * SECOND)[0] for n in range(3)]
    one, two, three = (key.id for key in keys)
    store.used({one: NOW, two: NOW})
    store.used({one: NOW - SECOND, two: NOW + SECOND})
    assert last_uses(store) == [NOW, NOW + SECOND, None]
    store.revoke(three, at=NOW)
    whole = NOW.replace(microsecond=0)  # without a fraction it must not be taken for later
    store.used({one: whole, three: whole})
    assert last_uses(store) == [NOW, NOW + SECOND, whole]


def test_the_use_of_an_unknown_key_and_of_none_changes_nothing(store: KeyStore) -> None:
    key, _ = store.create("marketing", [Scope.READ], at=NOW)
    unknown = "00000000" if key.id != "00000000" else "00000001"
    store.used({unknown: NOW})
    store.used({})
    assert store.keys() == [key]


def test_last_uses_are_written_all_or_none(store: KeyStore) -> None:
    keys = [store.create(str(n), [Scope.READ], at=NOW + n * SECOND)[0] for n in range(2)]
    first, second = sorted(key.id for key in keys)
    with pytest.raises(StoreError, match="has no time zone"):
        store.used({first: NOW, second: NOW.replace(tzinfo=None)})
    assert store.keys() == keys


# ---------------------------------------------------------------- failures


def test_a_failing_database_is_told_without_a_secret_or_a_digest(
    engine: Engine, store: KeyStore, outsider: Engine
) -> None:
    with outsider.begin() as connection:
        connection.execute(text("DROP TABLE api_keys"))
    for call in (
        lambda: store.create("4711 marketing", [Scope.READ], at=NOW),
        store.keys,
        lambda: store.revoke("00000000", at=NOW),
        lambda: store.used({"00000000": NOW}),
    ):
        with pytest.raises(StoreError, match="lacks its tables") as caught:
            call()
        assert "4711" not in "".join(traceback.format_exception(caught.value, limit=0))


def test_a_refusal_that_is_not_about_the_id_is_no_reason_to_try_for_ever(
    store: KeyStore, outsider: Engine
) -> None:
    with outsider.begin() as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_name ON api_keys (name)"))
    store.create("marketing", [Scope.READ], at=NOW)
    with pytest.raises(StoreError, match="refused"):
        store.create("marketing", [Scope.READ], at=NOW)
