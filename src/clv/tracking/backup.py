"""The tracking database as one file: SQLite only, PostgreSQL has tools of its own."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from clv.errors import OutputError, StoreError
from clv.files import replacing
from clv.sql import shown
from clv.sqlite import sqlite3
from clv.tracking.database import open_database, parse_url
from clv.tracking.failures import explain
from clv.tracking.guard import new_id, set_id
from clv.tracking.tables import requests

__all__ = [
    "DAMAGED",
    "UNWRITABLE",
    "autocommit",
    "back_up",
    "copy_of",
    "count_requests",
    "database_file",
    "error_kind",
    "integrity",
    "is_same",
    "is_there",
    "open_to_read",
    "opened",
]

# What SQLite keeps beside a database, and takes for its own under these names.
_BESIDE = ("", "-wal", "-shm", "-journal")

# Kinds of failure, as `error_kind` has them: of a file that is read, and of one that is written.
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
UNWRITABLE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,  # of the two the likelier, and SQLite does not tell
)


def database_file(url: str) -> Path:
    """The file of a tracking database, which need not be there.

    Raises
    ------
    StoreError
        Where it is none: the URL cannot be used, or names a PostgreSQL database.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(
            f"The tracking database {shown(parsed)} is no SQLite file. Back it up with "
            "`pg_dump --format=custom --file=OUTPUT DATABASE` and restore it with "
            "`pg_restore --clean --if-exists --single-transaction --dbname=DATABASE BACKUP`, "
            "then bring its tables up to date: clv db upgrade"
        )
    return Path(parsed.database or ":memory:")


def is_there(url: str) -> bool:
    """Whether there is anything to open: a server, or a file that exists already."""
    return parse_url(url).get_backend_name() != "sqlite" or database_file(url).exists()


def back_up(url: str, output: Path) -> int:
    """Copy a SQLite database into one file, as it was committed at one moment.

    Others may write meanwhile. The copy is checked before it gets its name. A new one can be read
    by its owner alone, one that is replaced keeps its permissions.

    Parameters
    ----------
    url : str
        `sqlite:///file`.
    output : Path
        Replaced where it exists, unless it is the database itself.

    Returns
    -------
    int
        How many tracked requests are in the copy.

    Raises
    ------
    StoreError
        Where there is no such database, it is no SQLite file, or it fails.
    OutputError
        Where the output cannot be written.
    """
    file = database_file(url)
    if not file.exists():
        raise StoreError(
            f"There is no tracking database {file} yet, so nothing to back up. Check CLV_HOME and "
            "CLV_DATABASE_URL; `clv serve` and `clv db upgrade` make it."
        )
    if any(is_same(output, _beside(file, end)) for end in _BESIDE):
        raise OutputError(
            f"The output '{output}' is the tracking database {file} itself or a part of it. Give "
            "another name to write to."
        )
    if output.is_dir():
        raise OutputError(f"The output '{output}' is a folder. Give the name of a file in it.")
    with (
        opened(url) as engine,
        autocommit(engine) as connection,
        copy_of(connection, file, output) as part,
    ):
        return count_requests(part)


def is_same(one: Path, other: Path) -> bool:
    """Whether both are one file, or would be: also through links."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _beside(file: Path, end: str) -> Path:
    # SQLite, too, names what it keeps beside a database after the real file.
    return Path(os.path.realpath(file) + end)


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Open the database; what fails in the block is explained."""
    engine = open_database(url)
    try:
        yield engine
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error
    except sqlite3.Error as error:  # of what SQLAlchemy has no name for
        cause = DBAPIError(None, None, error)
        raise explain(cause, engine.url) from cause
    finally:
        engine.dispose()


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """A connection without a transaction: neither VACUUM nor a backup begins within one."""
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def error_kind(error: BaseException | None) -> int:
    """SQLite's primary result code, 0 where it is none of its errors."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def copy_of(connection: Connection, file: Path, output: Path) -> Iterator[Path]:
    """A whole copy of the database, checked; it becomes `output` when the block ends well."""
    try:
        # Absolute: some builds of SQLite take a name that begins with "file:" for a URI.
        with replacing(output.absolute()) as part:
            if not output.exists():  # of the owner alone: it holds what customers spent
                part.chmod(0o600)
            _vacuum_into(connection, part, output)
            with closing(sqlite3.connect(part)) as copy:
                set_id(copy, new_id())
            if (problem := integrity(part)) is not None:
                raise StoreError(
                    f"The copy of the tracking database {file} is not sound ({problem}), so it was "
                    "not kept. Check the disk, and the database with `PRAGMA integrity_check`."
                )
            yield part
    except OSError as error:
        raise OutputError(
            f"'{output}' cannot be written: {error.strerror}. Nothing was changed; write to a "
            "folder that exists and where you may write."
        ) from error


def _vacuum_into(connection: Connection, part: Path, output: Path) -> None:
    try:
        connection.exec_driver_sql("VACUUM INTO ?", (str(part),))
    except DBAPIError as error:
        if error_kind(error) not in UNWRITABLE:
            raise
        raise OutputError(
            f"'{output}' cannot be written: {error.orig}. Nothing was changed; free some space, or "
            "write to another disk."
        ) from error
    finally:
        _beside(part, "-journal").unlink(missing_ok=True)  # SQLite leaves it where it failed


def integrity(file: Path) -> str | None:
    """What is wrong with a SQLite file that nobody else has open; None where nothing is."""
    with closing(open_to_read(file)) as connection:
        try:
            ((found,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
        except sqlite3.DatabaseError as error:
            if error_kind(error) not in DAMAGED:
                raise
            return str(error)
    return None if found == "ok" else " ".join(str(found).split())


def count_requests(file: Path) -> int:
    """How many tracked requests are in a SQLite file that nobody else has open."""
    with closing(open_to_read(file)) as connection:
        query = str(select(func.count()).select_from(requests))
        return int(connection.execute(query).fetchone()[0])


def open_to_read(file: Path) -> sqlite3.Connection:
    """Open a file without making any beside it.

    Where SQLite's own files stand beside it, rows may be in them or somebody may write, so it is
    read with its locks. A copy without them is not locked: it may lie where nobody can write.
    """
    is_alone = not any(_beside(file, end).exists() for end in _BESIDE[1:])
    options = "mode=ro&immutable=1" if is_alone else "mode=ro"
    return sqlite3.connect(f"{file.absolute().as_uri()}?{options}", uri=True)
