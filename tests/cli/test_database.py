"""`clv backup`, `clv restore` and `clv db`: what they say, ask and keep."""

import getpass
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, text

from clv.cli.database import app
from clv.errors import OutputError
from clv.tracking import back_up, current, newest, open_database, upgrade
from clv.tracking.migrate import downgrade

COMMANDS = ["db upgrade", "db version"]
AWAY = {"CLV_DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:1/x"}
NOW = datetime(2026, 11, 1, 12, 30, 5, tzinfo=UTC)
KEPT = "tracking-before-restore-20261101T123005Z.sqlite"
ROW = (
    "INSERT INTO requests (passenger_id, recency, frequency, monetary, predicted, "
    "expected_increment, model_version, requested_at) "
    "VALUES (:id, 1, 2, 3.5, 4.5, 1.0, '7', '2026-01-01 00:00:00')"
)


@pytest.fixture
def database(home: Path) -> Path:
    """The database of `home`, with three requests."""
    file = home / "tracking.sqlite"
    engine = open_database(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    add(file, 1, 2, 3)
    return file


@pytest.fixture
def saved(database: Path, tmp_path: Path) -> Path:
    """A backup of `database`."""
    output = tmp_path / "saved.sqlite"
    back_up(f"sqlite:///{database}", output)
    return output


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clv.cli.database.utc_now", lambda: NOW)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`answering("y")`: a terminal at which somebody types that."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    return lambda typed: monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n"))


def add(file: Path, *numbers: int) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(ROW, [{"id": n} for n in numbers])


def passengers(file: Path) -> list[int]:
    with closing(sqlite3.connect(file)) as connection:
        return [n for (n,) in connection.execute("SELECT passenger_id FROM requests ORDER BY id")]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_these_are_all_commands_of_db():
    named = {f"db {one.name or one.callback.__name__}" for one in app.registered_commands}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "backup", "restore"])
def test_every_command_has_help_with_an_example(command, clv, home):
    shown = clv(*command.split(), "--help")
    assert (shown.code, shown.err) == (0, "")
    assert f"Usage: clv {command}" in shown.out
    assert f"Example: clv {command}" in shown.out
    assert not home.exists()


@pytest.mark.parametrize("command", [*COMMANDS, "backup out", "restore in --yes"])
def test_a_broken_setting_ends_with_2_and_names_the_variable(command, clv, home):
    refused = clv(*command.split(), CLV_PORT="http")
    assert refused.code == 2
    assert refused.complaint.startswith("clv: CLV_PORT is 'http': ")
    assert not home.exists()


# ---------------------------------------------------------------- backup


def test_backup_says_how_many_requests_and_where(clv, database, tmp_path):
    done = clv("backup", tmp_path / "out.sqlite")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"3 tracked requests in {tmp_path}/out.sqlite\n"
    assert passengers(tmp_path / "out.sqlite") == [1, 2, 3]


def test_backup_replaces_a_file_only_by_force(clv, database, tmp_path):
    (tmp_path / "out").write_text("what was there before")
    refused = clv("backup", tmp_path / "out")
    assert refused.code == 1
    assert refused.complaint == (
        f"clv: '{tmp_path}/out' exists. Give another name, or replace it with --force."
    )
    assert (tmp_path / "out").read_text() == "what was there before"
    assert clv("backup", tmp_path / "out", "--force").code == 0
    assert passengers(tmp_path / "out") == [1, 2, 3]


def test_not_even_force_replaces_the_database(clv, database):
    refused = clv("backup", database, "--force")
    assert refused.code == 1
    assert "is the tracking database" in refused.complaint
    assert passengers(database) == [1, 2, 3]


def test_a_database_that_is_not_there_is_told_and_not_made(clv, home, tmp_path):
    refused = clv("backup", tmp_path / "out")
    assert refused.code == 1
    assert f"no tracking database {home}/tracking.sqlite yet" in refused.complaint
    assert names_in(tmp_path) == []


# ---------------------------------------------------------------- restore


def test_restore_keeps_what_was_there_and_says_so(clv, database, saved):
    add(database, 4)
    done = clv("restore", saved, "--yes")
    assert done.code == 0
    assert done.out == f"3 tracked requests restored to {database}\n"
    kept, audit = done.err.splitlines()
    assert kept == f"What was there before is kept in {database.parent}/{KEPT}"
    assert audit.startswith("audit: ")
    assert f" restore by {getpass.getuser()}: 3 requests from {saved}" in audit
    assert passengers(database) == [1, 2, 3]
    assert passengers(database.with_name(KEPT)) == [1, 2, 3, 4]
    assert names_in(database.parent) == [KEPT, "tracking.sqlite"]

    refused = clv("restore", saved, "--yes")  # within the same second
    assert refused.code == 1
    assert "exists already" in refused.complaint
    assert passengers(database.with_name(KEPT)) == [1, 2, 3, 4]


def test_what_is_kept_can_be_restored(clv, database, saved, monkeypatch):
    add(database, 4)
    clv("restore", saved, "--yes")
    monkeypatch.setattr("clv.cli.database.utc_now", lambda: NOW.replace(second=6))
    assert clv("restore", database.with_name(KEPT), "--yes").code == 0
    assert passengers(database) == [1, 2, 3, 4]


def test_where_there_was_nothing_nothing_is_kept(clv, database, saved):
    database.unlink()
    done = clv("restore", saved, "--yes")
    assert done.code == 0
    assert "is kept in" not in done.err
    assert names_in(database.parent) == ["tracking.sqlite"]


def test_restoring_a_backup_of_before_there_were_keys_says_what_follows(clv, database, saved):
    assert clv("keys", "create", "one", "--scope", "admin").code == 0
    done = clv("restore", saved, "--yes")
    assert done.code == 0
    assert "The backup holds no API key; the database did." in done.err


def test_where_the_restore_fails_it_still_says_what_was_kept(clv, database, saved, monkeypatch):
    def restore(_backup: Path, url: str, *, keep: Path) -> int:
        back_up(url, keep)
        raise OutputError("no room for more")

    monkeypatch.setattr("clv.tracking.restore", restore)
    refused = clv("restore", saved, "--yes")
    assert refused.code == 1
    assert f"is kept in {database.parent}/{KEPT}\n" in refused.err
    assert refused.complaint == "clv: no room for more"


def test_restore_without_a_terminal_needs_yes(clv, database, saved):
    add(database, 4)
    refused = clv("restore", saved)
    assert refused.code == 2
    assert refused.complaint == (
        f"clv: Replace all that is in {database} by what is in {saved}? There is no terminal to "
        "answer on; say so with --yes."
    )
    assert passengers(database) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("typed", "code", "left"), [("y", 0, [1, 2, 3]), ("n", 1, [1, 2, 3, 4]), ("", 1, [1, 2, 3, 4])]
)
def test_restore_asks_at_a_terminal(typed, code, left, answering, clv, database, saved):
    add(database, 4)
    answering(typed)
    done = clv("restore", saved)
    assert done.code == code
    assert f"Replace all that is in {database} by what is in {saved}? [y/N]:" in done.err
    assert ("Nothing was changed." in done.err) == (code == 1)
    assert passengers(database) == left


def test_a_backup_that_cannot_be_used_is_told(clv, database, tmp_path):
    (tmp_path / "notes.txt").write_text("no database")
    for name in ("notes.txt", "nowhere"):
        refused = clv("restore", tmp_path / name, "--yes")
        assert refused.code == 1
        assert refused.complaint.startswith(f"clv: The backup '{tmp_path}/{name}' cannot be read")
    assert names_in(database.parent) == ["tracking.sqlite"]


@pytest.mark.parametrize("command", ["backup out", "restore saved.sqlite"])
def test_postgresql_is_referred_to_its_own_tools(command, clv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = clv(*command.split(), **AWAY)
    assert refused.code == 1
    assert "pg_dump" in refused.complaint
    assert "s3cret" not in refused.err
    assert names_in(tmp_path) == []


# ---------------------------------------------------------------- db


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_of_0001(request: pytest.FixtureRequest, home: Path) -> Any:
    """A database with the tables of the first release, and ten requests in them."""
    url = f"sqlite:///{home / 'tracking.sqlite'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        server.psql("DROP DATABASE IF EXISTS commands WITH (FORCE)")
        server.psql("CREATE DATABASE commands")
        url = make_url(server.get_uri()).set(database="commands")
        url = url.render_as_string(hide_password=False)
    engine = open_database(url)
    upgrade(engine)
    downgrade(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text(ROW), [{"id": n} for n in range(10)])
    yield engine
    engine.dispose()


def test_upgrade_brings_the_first_release_to_the_newest_and_keeps_its_rows(
    engine_of_0001: Engine, clv
):
    def rows() -> list[Any]:
        with engine_of_0001.connect() as connection:
            return connection.execute(text("SELECT * FROM requests ORDER BY id")).all()

    url = {"CLV_DATABASE_URL": engine_of_0001.url.render_as_string(hide_password=False)}
    before = rows()
    assert json.loads(clv("db", "version", "--json", **url).out) == {
        "revision": "0001",
        "newest": newest(),
    }
    done = clv("db", "upgrade", **url)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith(f": from revision 0001 to revision {newest()}.\n")
    assert current(engine_of_0001) == newest()
    assert [row[: len(before[0])] for row in rows()] == before

    again = clv("db", "upgrade", **url)
    assert (again.code, again.err) == (0, "")
    assert again.out.endswith(f" is at revision {newest()}, the newest: nothing to do.\n")


def test_upgrade_makes_a_database_where_there_is_none(clv, home):
    done = clv("db", "upgrade")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"sqlite:///{home}/tracking.sqlite: from no tables to revision {newest()}.\n"
    assert passengers(home / "tracking.sqlite") == []


def test_version_makes_no_database(clv, home):
    shown = clv("db", "version")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == (
        "Revision of the database: none, it has no tables yet\n"
        f"Newest that this clv knows: {newest()}\n"
    )
    assert json.loads(clv("db", "version", "--json").out) == {
        "revision": None,
        "newest": newest(),
    }
    assert not home.exists()


def test_a_database_of_a_newer_release_is_shown_and_not_upgraded(clv, database):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE tracking_version SET version_num = '9999'")
    assert clv("db", "version").out.startswith("Revision of the database: 9999\n")
    refused = clv("db", "upgrade")
    assert refused.code == 1
    assert "is at version 9999, which this clv does not know: it is newer" in refused.complaint


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_cannot_be_opened_is_told(command, clv):
    refused = clv(*command.split(), **AWAY)
    assert refused.code == 1
    assert "is away" in refused.complaint
    assert "s3cret" not in refused.err
