"""Opening the tracking database: SQLite for one machine, PostgreSQL for more."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from clv.errors import StoreError
from clv.sql import with_driver
from clv.sqlite import sqlite3, use_one_sqlite, warning
from clv.tracking.failures import LOCK_TIMEOUT_S, explain
from clv.tracking.guard import guard, require_in_place

__all__ = [
    "alone",
    "database_warnings",
    "one_at_a_time",
    "one_writer",
    "open_database",
    "parse_url",
]

_EXPECTED = (
    "Expected CLV_DATABASE_URL like sqlite:////folder/tracking.sqlite or "
    "postgresql://user:password@host:5432/database; write special characters in the password "
    "percent-encoded, '@' as %40."
)

# Any number that no other program takes for its own lock: "clv" and a counter.
_ALONE = 0x636C7602

_SQLITE, _POSTGRESQL = ("sqlite", "sqlite+pysqlite"), "postgresql+psycopg"

# A server that is switched off or cut off is noticed in seconds, not when TCP gives up after
# minutes. Each can be set in the URL instead.
_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 30}

_one_writer: WeakKeyDictionary[Dialect, Lock] = WeakKeyDictionary()

_POOL = {
    # The writer, its two readers, that of pages, that of outcomes, one that monitors, and one for a
    # migration.
    "pool_size": 7,
    "max_overflow": 0,
    # Error texts end in logs; whom was asked about and what they spent does not belong there.
    "hide_parameters": True,
}


def open_database(url: str) -> Engine:
    """Open the database and see that it answers.

    Parameters
    ----------
    url : str
        `sqlite:///file` (the folder is made) or `postgresql://...` (needs `clv[postgres]`).

    Returns
    -------
    Engine
        To be disposed by the caller. Its tables may still be missing: see `upgrade`.

    Raises
    ------
    StoreError
        Where the URL cannot be used or the database does not answer.
    """
    parsed = parse_url(url)
    engine = _open_sqlite(parsed) if parsed.drivername in _SQLITE else _open_postgresql(parsed)
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        engine.dispose()
        raise explain(error, parsed) from error
    return engine


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """One transaction, beside which no other of this function runs.

    For what reads before it writes: two at once would each miss what the other writes.
    """
    options = {"sqlite_begin": "BEGIN IMMEDIATE"}
    with (
        one_writer(engine),
        engine.connect().execution_options(**options) as connection,
        connection.begin(),
    ):
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ALONE})"))
        yield connection
    require_in_place(engine)


@contextmanager
def one_writer(engine: Engine) -> Iterator[None]:
    """Have the writers of this process take turns at a SQLite file.

    A thread that waits here goes on at once when its turn comes; SQLite would have it look again
    every now and then. Other processes are waited for in that way.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    with _one_writer.setdefault(engine.dialect, Lock()):
        yield


@contextmanager
def one_at_a_time(engine: Engine, task: str, waits: Callable[[], None]) -> Iterator[None]:
    """Do something long beside which nobody else does the same at this database.

    The lock is let go when the process ends, however it does.

    Parameters
    ----------
    engine : Engine
    task : str
        What is done, in a word.
    waits : callable
        Told where somebody else is at it, who is waited for.
    """
    if engine.dialect.name == "sqlite":
        lock = FileLock(f"{engine.url.database}.{task}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waits()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
        return
    number = int.from_bytes(hashlib.sha256(task.encode()).digest()[:7])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text(f"SELECT pg_try_advisory_lock({number})")):
            waits()
            connection.execute(text("SET lock_timeout = 0"))
            connection.execute(text(f"SELECT pg_advisory_lock({number})"))
        try:
            yield
        finally:
            connection.invalidate()  # a lock of the session: let go with it


def parse_url(address: str) -> URL:
    """The URL of a tracking database.

    Raises
    ------
    StoreError
        Where it cannot be read, or is of another kind of database.
    """
    try:
        url = with_driver(make_url(address))
    except (ArgumentError, ValueError):
        # Neither the text nor its error is shown: a password may stand anywhere in it.
        raise StoreError(f"The URL of the tracking database cannot be read. {_EXPECTED}") from None
    if "@" in (url.host or ""):
        raise StoreError(f"The URL of the tracking database has more than one '@'. {_EXPECTED}")
    if url.drivername not in (*_SQLITE, _POSTGRESQL):
        raise StoreError(f"The tracking database cannot be a {url.drivername!r}. {_EXPECTED}")
    return url


def database_warnings(address: str) -> list[str]:
    """What to know about the database software that a URL leads to; empty if nothing."""
    said = warning() if parse_url(address).drivername in _SQLITE else None
    return [] if said is None else [said]


def _open_sqlite(url: URL) -> Engine:
    name = url.database or ":memory:"
    if name == ":memory:" or name.startswith("file:"):
        raise StoreError(
            "The URL of the tracking database names no file, so that tracked requests would not "
            f"outlive the process. {_EXPECTED}"
        )
    try:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder of the tracking database {name} cannot be made: {error.strerror}. "
            "Make it, or set CLV_DATABASE_URL to a file elsewhere."
        ) from error
    _refuse_beside_a_log(Path(name))
    # Who asked about whom is nobody else's to read. SQLite gives what it keeps beside it the same.
    with suppress(OSError):  # it is there, or SQLite says what is wrong
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    use_one_sqlite()
    engine = create_engine(url, **_POOL)
    watch = guard(engine)

    def prepare(connection: Any, record: object) -> None:
        try:
            _prepare_sqlite(connection, record)
            watch.connected()
        except BaseException:
            watch.failed(connection)
            raise

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _refuse_beside_a_log(file: Path) -> None:
    """A new file would take the log of one that was moved away for its own, and SQLite delete it.

    Raises
    ------
    StoreError
        Where there is such a log.
    """
    log = Path(os.path.realpath(file) + "-wal")
    with suppress(OSError):
        if not file.exists() and log.stat().st_size:
            raise StoreError(
                f"The tracking database {file} is gone, but its write-ahead log {log.name} is "
                "there, with rows that the database may lack. Put the database back beside it; or, "
                "to begin a new one, move the log away."
            )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Python's sqlite3 begins no transaction before DDL, so that half a migration could stay.
    # None: it begins none at all, `_begin_sqlite` does.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT_S * 1000}")
    _write_ahead(connection)
    # With NORMAL, rows that were acknowledged are lost when the power fails.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # So that what SQLite keeps beside the file is there from now on.
    connection.execute("SELECT 1 FROM sqlite_master").fetchall()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL, so that readers and the writer do not wait for each other.

    While several processes open a new file at once, SQLite answers "locked" here without
    waiting for `busy_timeout` (to wait could be a deadlock); so it is asked again.
    """
    pause_s = 0.02
    for _ in range(int(LOCK_TIMEOUT_S / pause_s)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(pause_s)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN"))


def _open_postgresql(url: URL) -> Engine:
    patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
    try:
        engine = create_engine(url, connect_args=patience, pool_pre_ping=True, **_POOL)
    except ImportError as error:
        raise StoreError(
            "PostgreSQL needs the driver psycopg, which is not installed. "
            "Install it: pip install 'clv[postgres]'."
        ) from error
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(connection: Any, _record: object) -> None:
    connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
    connection.commit()
