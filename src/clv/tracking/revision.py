"""The revision of the tracking database, and bringing it to that of this code."""

from typing import Any

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from clv.sqlite import sqlite3
from clv.tracking.failures import explain
from clv.tracking.guard import new_id, set_id
from clv.tracking.tables import REVISION, VERSION_TABLE

__all__ = ["current", "newest", "upgrade"]


def newest() -> str:
    """The revision that `upgrade` migrates to."""
    return REVISION


def current(engine: Engine) -> str | None:
    """The revision of the database; None where it has no tables.

    Raises
    ------
    StoreError
        Where the database fails.
    """
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(VERSION_TABLE):
                return None
            found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
            return None if found is None else str(found)
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error


def upgrade(engine: Engine) -> str | None:
    """Migrate to the newest version that this code knows; data is kept.

    Safe where several processes start at once: one migrates, the others wait and find it done.
    A migration that fails leaves nothing behind.

    Returns
    -------
    str or None
        The revision before; None where there were no tables.

    Raises
    ------
    StoreError
        Where the database is newer than this code, or fails.
    """
    before = current(engine)
    if before != REVISION:
        from clv.tracking.migrate import migrate  # noqa: PLC0415 - hardly ever needed

        before = migrate(engine)
    if engine.dialect.name == "sqlite":
        _identify(engine)
    return before


def _identify(engine: Engine) -> None:
    """Give a SQLite file its id, if it has none: see `clv.tracking.guard`."""
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            driver: Any = connection.connection.driver_connection
            if _has_id(driver):
                return
            driver.execute("BEGIN IMMEDIATE")
            if not _has_id(driver):  # nor got it from another process meanwhile
                set_id(driver, new_id())
            driver.execute("COMMIT")
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)")  # into the file itself
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise explain(error, engine.url) from error


def _has_id(connection: Any) -> bool:
    return bool(connection.execute("PRAGMA user_version").fetchone()[0])
