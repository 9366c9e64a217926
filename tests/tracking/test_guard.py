"""SQLite's locks on its file: closing another descriptor of that file would take them away."""

from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from clv.errors import StoreError
from clv.sqlite import sqlite3
from clv.tracking import database, guard, open_database


def is_open(connection: Any) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


class Watched(FileIO):
    """The guard's descriptor; notes how many connections are open when it is closed."""

    connections: list[Any] = []  # noqa: RUF012 - one list for all of a test
    open_then: list[int] = []  # noqa: RUF012

    def close(self) -> None:
        if not self.closed:
            self.open_then.append(sum(is_open(one) for one in self.connections))
        super().close()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    Watched.connections, Watched.open_then = [], []
    monkeypatch.setattr(guard, "FileIO", Watched)
    prepare = database._prepare_sqlite

    def prepared(connection: Any, record: object) -> None:
        Watched.connections.append(connection)
        prepare(connection, record)

    monkeypatch.setattr(database, "_prepare_sqlite", prepared)
    return Watched


def opened(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'tracking.sqlite'}")


def test_the_descriptor_is_closed_after_the_last_connection(
    tmp_path: Path, watched: type[Watched]
) -> None:
    engine = opened(tmp_path)
    with engine.connect(), engine.connect():
        pass
    assert watched.open_then == []
    engine.dispose()
    assert len(watched.connections) == 2
    assert watched.open_then == [0]
    with engine.connect() as connection:  # it is watched again
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()
    assert watched.open_then == [0, 0]


def test_the_descriptor_stays_while_a_connection_is_being_opened(
    tmp_path: Path, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(tmp_path)
    first = engine.connect()
    prepare = database._prepare_sqlite

    def prepared(connection: Any, record: object) -> None:
        prepare(connection, record)
        first.invalidate()  # the only other one is closed just now

    monkeypatch.setattr(database, "_prepare_sqlite", prepared)
    with engine.connect():
        assert [is_open(one) for one in watched.connections] == [False, True]
        assert watched.open_then == []
    first.close()
    monkeypatch.undo()
    engine.dispose()
    assert watched.open_then == [0]


def test_a_connection_that_cannot_be_prepared_is_closed_and_forgotten(
    tmp_path: Path, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(tmp_path)
    first, prepare = engine.connect(), database._prepare_sqlite

    def fails(connection: Any, record: object) -> None:
        prepare(connection, record)
        raise StoreError("It cannot be prepared.")

    with monkeypatch.context() as patched:
        patched.setattr(database, "_prepare_sqlite", fails)
        with pytest.raises(StoreError, match="cannot be prepared"):
            engine.connect()
    assert [is_open(one) for one in watched.connections] == [True, False]
    first.close()
    engine.dispose()
    assert watched.open_then == [0]


def test_closing_is_no_error_if_the_connection_is_closed_already(tmp_path: Path) -> None:
    engine, closed = opened(tmp_path), []
    event.listen(engine, "close", lambda connection, _: closed.append(connection))
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.close()
        connection.invalidate()
    engine.dispose()
    assert closed == [driver]
