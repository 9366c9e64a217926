"""Which SQLite is used, and that nothing opens the tracking database with another."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

import clv.sqlite
from clv.sqlite import can_lose_rows, sqlite3, use_one_sqlite
from clv.tracking import database_warnings, open_database
from clv.tracking.backup import open_to_read

# From https://sqlite.org/wal.html#the_wal_reset_bug, written down release by release.
LOSING = ["3.7.0", "3.8.3", "3.31.1", "3.34.1", "3.37.2", "3.40.1", "3.44.0", "3.44.5", "3.45.0",
          "3.45.1", "3.46.1", "3.49.2", "3.50.0", "3.50.4", "3.50.6", "3.51.0", "3.51.1",
          "3.51.2"]  # fmt: skip
SAFE = ["3.6.23", "3.44.6", "3.44.7", "3.50.7", "3.50.8", "3.51.3", "3.52.0", "3.53.4", "3.54.1",
        "4.0.0"]  # fmt: skip


@pytest.mark.parametrize("version", LOSING + SAFE)
def test_the_versions_that_can_lose_rows_are_known(version: str) -> None:
    numbers = tuple(map(int, version.split(".")))
    assert can_lose_rows(numbers) == (version in LOSING)


def test_the_sqlite_in_use_is_mended() -> None:
    """Asked of the library itself, through a connection."""
    connection = sqlite3.connect(":memory:")
    ((version,),) = connection.execute("SELECT sqlite_version()").fetchall()
    connection.close()
    assert not can_lose_rows(tuple(map(int, version.split("."))))


def test_whatever_opens_the_tracking_database_opens_it_with_that_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    engine = open_database(url)
    assert uses(engine)
    engine.dispose()
    for other in (url, url.replace("sqlite:", "sqlite+pysqlite:")):  # MLflow's, and anybody's
        use_one_sqlite()
        engine = create_engine(other)
        assert uses(engine)
        engine.dispose()
    connection = open_to_read(tmp_path / "tracking.sqlite")
    assert isinstance(connection, sqlite3.Connection)
    connection.close()


def uses(engine: Engine) -> bool:
    with engine.connect() as connection:
        return isinstance(connection.connection.driver_connection, sqlite3.Connection)


def test_no_module_reaches_for_another_sqlite() -> None:
    package = Path(clv.sqlite.__file__).parent
    found = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if {"import sqlite3", "from sqlite3"} & {line[:14].rstrip() for line in lines_of(file)}
    }
    assert found == {"sqlite.py"}


def lines_of(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text().splitlines()]


WITHOUT_THE_WHEEL = """
import sqlite3, sys
sys.modules["pysqlite3"] = None
sqlite3.sqlite_version_info, sqlite3.sqlite_version = (3, 40, 1), "3.40.1"
import clv.sqlite
from clv.tracking import database_warnings, open_database
assert clv.sqlite.sqlite3 is sqlite3
open_database(sys.argv[1]).dispose()
assert database_warnings("postgresql://localhost/clv") == []
print(*database_warnings(sys.argv[1]))
"""


def test_without_the_wheel_it_works_and_warns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_WHEEL, url], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("SQLite 3.40.1 can lose committed rows")
    assert "Install the Python package pysqlite3" in done.stdout
    assert database_warnings(url) == []
