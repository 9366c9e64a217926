"""`clv keys`: what is shown of keys, where, and how often."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from clv.cli.keys import app
from clv.tracking import ApiKey, KeyStore, open_database, split_key

COMMANDS = ["keys create", "keys list", "keys revoke"]
FIRST = "It is the first key of this database: from now on every route"
CLOSED = "No usable key is left: the service is closed to all until you create one"


@pytest.fixture
def kept(home: Path) -> Callable[[], list[ApiKey]]:
    """What the database holds now."""

    def read() -> list[ApiKey]:
        engine = open_database(f"sqlite:///{home}/tracking.sqlite")
        keys = KeyStore(engine).keys()
        engine.dispose()
        return keys

    return read


def test_these_are_all_commands_of_keys():
    named = {f"keys {one.name or one.callback.__name__}" for one in app.registered_commands}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, clv, home):
    shown = clv(*command.split(), "--help")
    assert (shown.code, shown.err) == (0, "")
    assert f"Usage: clv {command}" in shown.out
    assert f"Example: clv {command}" in shown.out
    assert not home.exists()


def test_create_prints_the_key_alone_and_how_to_send_it_beside(clv, kept):
    made = clv(
        "keys", "create", "marketing", "--scope", "predict", "--scope", "read",
        "--requests-per-s", "100",
    )  # fmt: skip
    assert made.code == 0
    (key,) = kept()
    assert made.out.endswith("\n")
    key_id, secret = split_key(made.out[:-1])
    assert key_id == key.id
    assert key.matches(secret)
    assert (key.name, key.scopes, key.requests_per_s) == ("marketing", {"predict", "read"}, 100)
    assert f"Key {key.id} for marketing, good for: predict, read." in made.err
    assert "shown this once" in made.err
    assert "Authorization: Bearer KEY" in made.err
    assert secret not in made.err


def test_only_the_first_key_closes_the_service_and_says_so(clv):
    assert FIRST in clv("keys", "create", "first", "--scope", "admin").err
    assert FIRST not in clv("keys", "create", "second", "--scope", "read").err


def test_create_answers_machines_with_the_key_and_all_that_is_public(clv, kept):
    made = clv("keys", "create", "dashboard", "--scope", "read", "--json")
    answer = json.loads(made.out)
    (key,) = kept()
    assert set(answer) == {
        "id", "name", "scopes", "requests_per_s", "created_at", "last_used_at", "revoked_at", "key",
    }  # fmt: skip
    assert (answer["id"], answer["name"], answer["scopes"]) == (key.id, "dashboard", ["read"])
    assert answer["requests_per_s"] is None
    assert datetime.fromisoformat(answer["created_at"]) == key.created_at
    assert key.matches(split_key(answer["key"])[1])


def test_list_shows_every_key_oldest_first_and_nothing_secret(clv, kept):
    given = [
        clv("keys", "create", "marketing [/b]", "--scope", "read", "--scope", "predict",
            "--requests-per-s", "2.5").out.strip(),
        clv("keys", "create", "operations", "--scope", "admin").out.strip(),
    ]  # fmt: skip
    first, second = kept()
    clv("keys", "revoke", second.id)
    shown = clv("keys", "list")
    assert (shown.code, shown.err) == (0, "")
    title, header, *rows = shown.out.splitlines()
    assert title.split() == ["Keys", "(times", "in", "UTC)"]
    assert " ".join(header.split()) == "id name scopes limit created last used revoked"
    revoked = kept()[1].revoked_at
    assert [" ".join(row.split()) for row in rows] == [
        f"{first.id} marketing [/b] predict, read 2.5/s {first.created_at:%Y-%m-%d %H:%M}",
        f"{second.id} operations admin default {second.created_at:%Y-%m-%d %H:%M} {revoked:%F %R}",
    ]
    listed = clv("keys", "list", "--json")
    assert (listed.code, listed.err) == (0, "")
    assert [one["id"] for one in json.loads(listed.out)] == [first.id, second.id]
    assert [bool(one["revoked_at"]) for one in json.loads(listed.out)] == [False, True]
    for out in (shown.out, listed.out):
        assert "digest" not in out
        for key, text in zip((first, second), given, strict=True):
            assert split_key(text)[1] not in out
            assert key.digest.hex() not in out


def test_without_a_key_the_list_says_that_the_service_is_open_and_makes_no_database(clv, home):
    assert clv("keys", "list").out == (
        "There is no key yet: the service answers without one, and only predicts if other "
        "machines can reach it. Make one: clv keys create NAME --scope predict\n"
    )
    assert json.loads(clv("keys", "list", "--json").out) == []
    assert not home.exists()


def test_revoke_says_when_no_usable_key_is_left(clv, kept):
    for name in ("first", "second"):
        clv("keys", "create", name, "--scope", "read")
    first, second = kept()
    one = clv("keys", "revoke", first.id)
    assert one.code == 0
    assert one.err.startswith("audit: ")
    since = f"{kept()[0].revoked_at:%Y-%m-%d %H:%M}"
    assert one.out == f"Key {first.id} (first) is revoked since {since} UTC.\n"
    assert clv("keys", "revoke", first.id).out == one.out
    assert CLOSED in clv("keys", "revoke", second.id).out
    assert FIRST not in clv("keys", "create", "third", "--scope", "read").err
    assert CLOSED not in clv("keys", "revoke", second.id).out


@pytest.mark.parametrize(
    ("key_id", "says"),
    [
        ("00000000", "There is no key '00000000'. See those there are: clv keys list"),
        ("marketing", "What shall be revoked is no id of a key; expected 8 hex digits"),
    ],
)
def test_a_key_that_is_not_there_is_told(key_id, says, clv):
    refused = clv("keys", "revoke", key_id)
    assert refused.code == 1
    assert refused.complaint.startswith(f"clv: {says}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create"], "Missing argument"),
        (["create", "marketing"], "Missing option '--scope'"),
        (["create", "x", "--scope", "read", "--requests-per-s", "x"], "'--requests-per-s'"),
        (["create", " ", "--scope", "read"], "The name of a key is ''"),
        (["create", "x", "--scope", "red"], "The scopes of a key are 'red'"),
        (["create", "x", "--scope", "read", "--requests-per-s", "0"], "The limit of a key is 0.0"),
        (["create", "x", "--scope", "read", "--requests-per-s", "nan"], "The limit of a key is"),
        (["revoke"], "Missing argument"),
    ],
)
def test_wrong_usage_ends_with_2_says_why_and_makes_no_key(arguments, says, clv):
    refused = clv("keys", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert says in refused.err
    assert "Traceback" not in refused.err
    assert json.loads(clv("keys", "list", "--json").out) == []


def test_the_database_is_the_one_of_the_service(clv, home, tmp_path):
    elsewhere = {"CLV_DATABASE_URL": f"sqlite:///{tmp_path}/elsewhere.sqlite"}
    clv("keys", "create", "marketing", "--scope", "predict", **elsewhere)
    assert len(json.loads(clv("keys", "list", "--json", **elsewhere).out)) == 1
    assert json.loads(clv("keys", "list", "--json").out) == []


@pytest.mark.parametrize("command", ["create x --scope read", "list", "revoke 00000000"])
def test_a_database_that_cannot_be_opened_is_told(command, clv):
    refused = clv("keys", *command.split(), CLV_DATABASE_URL="postgresql://u:s3cret@127.0.0.1:1/x")
    assert refused.code == 1
    assert "is away" in refused.complaint
    assert "s3cret" not in refused.complaint
