"""What a person reads whose database cannot be opened."""

import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from sqlalchemy import make_url

from clv.errors import StoreError
from clv.sqlite import sqlite3
from clv.tracking import open_database, open_request_log

UNREACHABLE = "postgresql://clv:s3cret@127.0.0.1:1/clv"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "tracking.sqlite",
        "postgresql://clv:s3cret@host:port/clv",
        "postgresql://clv:s3cret@s3cret@host/clv",
        "mysql://clv:s3cret@host/clv",
        "postgresql+asyncpg://clv:s3cret@host/clv",
        "sqlite+aiosqlite:///file.sqlite",
        "s3cret.sqlite://",
    ],
)
def test_a_url_that_cannot_be_used_is_answered_with_one_that_can(url: str) -> None:
    with pytest.raises(StoreError, match="Expected CLV_DATABASE_URL like sqlite:") as caught:
        open_database(url)
    assert "s3cret" not in everything_shown(caught.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true"])
def test_a_database_that_would_forget_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="names no file"):
        open_database(url)


@pytest.mark.parametrize(
    "url",
    [
        UNREACHABLE,
        "postgres://clv:s3cret@127.0.0.1:1/clv",
        "postgresql+psycopg://127.0.0.1:1/clv?user=clv&password=s3cret",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/clv") as caught:
        open_request_log(url, 10)
    assert "s3cret" not in everything_shown(caught.value)


@pytest.mark.parametrize("option", ["sslmode", "connect_timeout", "no_such_option"])
def test_what_libpq_repeats_of_a_wrong_option_is_masked(option: str) -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/clv") as caught:
        open_database(f"postgresql://127.0.0.1:1/clv?{option}=s3cret")
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_away_is_named_with_what_to_check() -> None:
    with pytest.raises(StoreError) as caught:
        open_database(UNREACHABLE)
    message = str(caught.value)
    assert message.startswith("The tracking database postgresql+psycopg://clv:***@127.0.0.1:1/clv")
    assert "refused" in message
    assert "Check that it runs" in message
    assert "\n" not in message


def test_a_server_that_accepts_and_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreError, match=r"is away: .*timeout"):
            open_database(f"postgresql://clv@127.0.0.1:{port}/clv?connect_timeout=1")


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'clv\[postgres\]'") as caught:
        open_database(UNREACHABLE)
    assert "s3cret" not in everything_shown(caught.value)


def test_a_database_that_does_not_exist_is_named(postgres_url: str) -> None:
    url = make_url(postgres_url).set(database="nowhere")
    with pytest.raises(StoreError, match=r'database "nowhere" does not exist'):
        open_database(url.render_as_string(hide_password=False))


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)
    with pytest.raises(StoreError, match="damaged or no SQLite file"):
        open_database(f"sqlite:///{file}")
    assert file.read_text() == "not a database " * 100


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        open_database(f"sqlite:///{tmp_path}")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"folder of the tracking database .* cannot be made"):
        open_database(f"sqlite:///{tmp_path / 'file' / 'tracking.sqlite'}")


def test_a_path_may_be_relative_and_hold_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_database("sqlite:///new folder/tracking.sqlite").dispose()
    assert os.listdir(tmp_path / "new folder") == ["tracking.sqlite"]  # noqa: PTH208


def test_opening_waits_for_a_neighbour_that_is_just_making_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour = sqlite3.connect(tmp_path / "tracking.sqlite", isolation_level=None)
    neighbour.execute("BEGIN IMMEDIATE")  # here a switch to WAL is refused without waiting
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            neighbour.execute("COMMIT")

    monkeypatch.setattr("clv.tracking.database.time.sleep", pause)
    open_database(f"sqlite:///{tmp_path / 'tracking.sqlite'}").dispose()
    assert len(pauses) == 3
    neighbour.execute("BEGIN IMMEDIATE")
    open_database(f"sqlite:///{tmp_path / 'tracking.sqlite'}").dispose()
    neighbour.close()
    assert len(pauses) == 3


def test_opening_says_so_when_the_neighbour_never_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clv.tracking.database.time.sleep", lambda _seconds: None)
    neighbour = sqlite3.connect(tmp_path / "tracking.sqlite", isolation_level=None)
    neighbour.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process"):
        open_database(f"sqlite:///{tmp_path / 'tracking.sqlite'}")
    neighbour.close()


def everything_shown(error: BaseException) -> str:
    """What a log would hold: the error and all that caused it."""
    return "".join(traceback.format_exception(error))


def test_beside_the_log_of_a_database_that_was_moved_away_no_new_one_is_made(
    tmp_path: Path,
) -> None:
    """SQLite would delete the log, and with it rows that were acknowledged."""
    file, away = tmp_path / "tracking.sqlite", tmp_path / "away.sqlite"
    killed = """
import os, sys
from clv.sqlite import sqlite3
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE kept (id INTEGER)")
connection.execute("INSERT INTO kept VALUES (1)")
connection.commit()
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", killed, file], check=False).returncode == -9
    file.rename(away)
    with pytest.raises(StoreError, match=r"tracking\.sqlite-wal is there.* move the log away"):
        open_database(f"sqlite:///{file}")
    assert not file.exists()
    away.rename(file)
    engine = open_database(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id FROM kept").all() == [(1,)]
    engine.dispose()
