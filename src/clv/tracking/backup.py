"""The tracking database as one file, and back: SQLite only, PostgreSQL has tools of its own.

Both work while the service runs. A copy holds what was committed at one moment; a restored
database is for everybody else the old one, and from one transaction to the next the new one.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, Engine, column, func, inspect, select, table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from clv.errors import DataError, OutputError, StoreError
from clv.files import replacing
from clv.sql import shown
from clv.tracking.database import _parse, open_database
from clv.tracking.failures import LOCK_TIMEOUT_S, explain
from clv.tracking.migrate import current, revisions, upgrade
from clv.tracking.tables import VERSION_TABLE, metadata, requests

__all__ = ["back_up", "database_file", "is_there", "restore"]

# What SQLite keeps beside a database, and takes for its own under these names.
_BESIDE = ("", "-wal", "-shm", "-journal")

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# The kinds of failure that are the copy's and not the database's, which is only read.
_UNWRITABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def database_file(url: str) -> Path:
    """The file of a tracking database, which need not be there.

    Raises
    ------
    StoreError
        Where it is none: the URL cannot be used, or names a PostgreSQL database.
    """
    parsed = _parse(url)
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
    return _parse(url).get_backend_name() != "sqlite" or database_file(url).exists()


def back_up(url: str, output: Path) -> int:
    """Copy a SQLite database into one file, as it was committed at one moment.

    Others may write meanwhile. The copy is checked before it gets its name, and has the
    permissions of the database.

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
    if any(_is_same(output, _beside(file, end)) for end in _BESIDE):
        raise OutputError(
            f"The output '{output}' is the tracking database {file} itself or a part of it. Give "
            "another name to write to."
        )
    with _opened(url) as engine, _autocommit(engine) as connection:
        with _copy_of(connection, file, output) as part, _explained(engine):
            return _count(part)


def restore(backup: Path, url: str, *, keep: Path | None = None) -> int:
    """Put what is in a backup in the place of all that is in a SQLite database.

    The backup is copied, checked and brought to the newest tables before the database is touched;
    then its content is replaced in one transaction. Others may have it open: they see the old
    content or the new, wait meanwhile to write, and a crash leaves the one or the other.

    Parameters
    ----------
    backup : Path
        File of `back_up`, of this version or an older one; only read.
    url : str
        `sqlite:///file`; made where it is missing.
    keep : Path, optional
        Where to keep what was there before; written only where that has rows. Nobody can write
        between this copy and the new content. Default: what was there is lost.

    Returns
    -------
    int
        How many tracked requests were restored.

    Raises
    ------
    DataError
        Where the backup cannot be used; nothing was touched.
    StoreError
        Where the database is no SQLite file or fails; it is as it was.
    OutputError
        Where `keep` exists or cannot be written; the database is as it was.
    """
    file = database_file(url)
    if _is_same(backup, file):
        raise DataError(
            f"The backup '{backup}' is the tracking database itself. Give a file that `clv backup` "
            "wrote."
        )
    with _staging(file) as staged:
        count = _stage(backup, staged)
        try:
            with _opened(url) as engine:
                _replace(engine, staged, lambda: _keep(engine, file, keep))
        except StoreError as error:
            if _kind(error.__cause__) not in _DAMAGED:
                raise
            raise StoreError(
                f"The tracking database {file} is damaged or no SQLite file: it can neither be "
                "kept nor replaced in its place. Stop the service, move it away together with "
                "what is named like it with -wal and -shm, and restore again."
            ) from error
    return count


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are one file, or would be: also through links."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _beside(file: Path, end: str) -> Path:
    real = file.resolve()  # SQLite, too, names what it keeps beside it after the real file
    return real.with_name(real.name + end)


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _autocommit(engine: Engine) -> Iterator[Connection]:
    """A connection without a transaction: neither VACUUM nor a backup begins within one."""
    with _explained(engine), engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error
    except sqlite3.Error as error:  # of what SQLAlchemy has no name for
        cause = DBAPIError(None, None, error)
        raise explain(cause, engine.url) from cause


def _kind(error: BaseException | None) -> int:
    """SQLite's primary result code, 0 where it is none of its errors."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF


# ---------------------------------------------------------------- a copy


@contextmanager
def _copy_of(connection: Connection, file: Path, output: Path) -> Iterator[Path]:
    """A whole copy of the database, checked; it becomes `output` when the block ends well."""
    try:
        # Absolute: some builds of SQLite take a name that begins with "file:" for a URI.
        with replacing(output.absolute()) as part:
            # What a killed run of the same number left: SQLite would refuse to write into the
            # one, and would roll the other back into the new copy.
            for left in (part, _beside(part, "-journal")):
                left.unlink(missing_ok=True)
            part.touch(exist_ok=False)
            shutil.copymode(file, part)  # it tells as much as the database
            _vacuum_into(connection, part, output)
            if (problem := _integrity(part)) is not None:
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
        code = getattr(error.orig, "sqlite_errorcode", 0)
        if _kind(error) not in _UNWRITABLE and code != sqlite3.SQLITE_IOERR_WRITE:
            raise
        raise OutputError(
            f"'{output}' cannot be written: {error.orig}. Nothing was changed; free some space, or "
            "write to another disk."
        ) from error


def _integrity(file: Path) -> str | None:
    """What is wrong with a SQLite file that nobody else has open; None where nothing is."""
    with closing(_open_to_read(file)) as connection:
        try:
            ((found,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
        except sqlite3.DatabaseError as error:
            if _kind(error) not in _DAMAGED:
                raise
            return str(error)
    return None if found == "ok" else " ".join(str(found).split())


def _count(file: Path) -> int:
    with closing(_open_to_read(file)) as connection:
        query = str(select(func.count()).select_from(requests))
        return int(connection.execute(query).fetchone()[0])


def _open_to_read(file: Path) -> sqlite3.Connection:
    """Open a file without making any beside it.

    Where SQLite's own files stand beside it, rows may be in them or somebody may write, so it is
    read with its locks. A copy without them is not locked: it may lie where nobody can write.
    """
    is_alone = not any(_beside(file, end).exists() for end in _BESIDE[1:])
    options = "mode=ro&immutable=1" if is_alone else "mode=ro"
    return sqlite3.connect(f"{file.absolute().as_uri()}?{options}", uri=True)


# ---------------------------------------------------------------- what shall be restored


@contextmanager
def _staging(file: Path) -> Iterator[Path]:
    """A name for a private copy, on the disk of the database; gone when the block ends."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(prefix=f".{file.name}.restoring-", dir=file.parent)
    except OSError as error:
        raise StoreError(
            f"The folder of the tracking database {file} cannot be written: {error.strerror}. "
            "Give yourself write access to it, or set CLV_DATABASE_URL to a file elsewhere."
        ) from error
    with folder as name:
        yield Path(name) / file.name


def _stage(backup: Path, staged: Path) -> int:
    """Copy the backup, check the copy and upgrade it; how many requests it holds."""
    _copy_backup(backup, staged)
    if (problem := _integrity(staged)) is not None:
        raise DataError(
            f"The backup '{backup}' is damaged: {problem}. Nothing was restored; take another."
        )
    with _opened(f"sqlite:///{staged}") as engine:
        _require_known_version(backup, current(engine))
        try:
            upgrade(engine)
        except StoreError as error:
            if _kind(error.__cause__) in _UNWRITABLE:
                raise
            raise _foreign(backup, "its tables are not those of its version") from error
        there = inspect(engine)
        for expected in metadata.sorted_tables:
            found = {one["name"] for one in there.get_columns(expected.name)}
            if missing := [one.name for one in expected.columns if one.name not in found]:
                raise _foreign(backup, f"its table {expected.name} lacks {', '.join(missing)}")
        with engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(requests)).scalar_one()


def _copy_backup(backup: Path, staged: Path) -> None:
    try:
        with backup.open("rb"):
            pass
    except OSError as error:
        raise DataError(
            f"The backup '{backup}' cannot be read: {error.strerror}. Give a file that "
            "`clv backup` wrote."
        ) from error
    try:
        with closing(_open_to_read(backup)) as source, closing(sqlite3.connect(staged)) as copy:
            source.backup(copy, progress=_when_busy)
    except sqlite3.Error as error:
        if _kind(error) == sqlite3.SQLITE_FULL:
            raise StoreError(
                f"The disk of {staged.parent.parent} has no room for a copy of the backup. Free "
                "some space and try again; nothing was restored."
            ) from error
        raise DataError(
            f"The backup '{backup}' cannot be read as a SQLite file: {error}. Nothing was "
            "restored; give a file that `clv backup` wrote."
        ) from error


def _require_known_version(backup: Path, version: str | None) -> None:
    if version is None:
        raise _foreign(backup, f"it has no table {VERSION_TABLE} that says its version")
    if version not in revisions():
        raise DataError(
            f"The backup '{backup}' is at version {version}, which this clv does not know: it is "
            "newer. Nothing was restored; install the clv that made it."
        )


def _foreign(backup: Path, why: str) -> DataError:
    return DataError(
        f"The backup '{backup}' is none of a tracking database: {why}. Nothing was restored; give "
        "a file that `clv backup` wrote."
    )


# ---------------------------------------------------------------- in its place


def _replace(engine: Engine, staged: Path, before: Callable[[], None]) -> None:
    """Replace all content in one transaction; `before` is called once nobody else can write.

    Another file under the database's name would not do: who has the old one open goes on writing
    into it, and the old write-ahead log would be taken for the new file's. SQLite's backup goes
    through the locks and the log of the database itself: what is written is not seen, and does
    not count after a crash, until the last page is committed.
    """
    with _autocommit(engine) as connection, closing(sqlite3.connect(staged)) as source:
        target = connection.connection.driver_connection
        _give_page_size_of(target, source)
        began = False

        def step(status: int, _remaining: int, _total: int) -> None:
            nonlocal began
            _when_busy(status)
            if not began:
                began = True
                before()

        # Page by page, because the lock is taken with the first and lasts to the last (there are
        # several: each table has its own). One transaction around all spares a lock for each.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        source.backup(target, pages=1, progress=step)
        # Everything stands in the log now. Moved here, or the next small commit would have to;
        # passive, so that nobody waits.
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def _when_busy(status: int, _remaining: int = 0, _total: int = 0) -> None:
    """End a backup that has waited for a lock as long as anybody does; Python would try for ever.

    To raise here takes everything back.
    """
    if status in _BUSY:
        error = sqlite3.OperationalError(f"locked for over {LOCK_TIMEOUT_S} s")
        error.sqlite_errorcode = status
        raise error


def _give_page_size_of(target: sqlite3.Connection, source: sqlite3.Connection) -> None:
    """The backup of SQLite refuses to change the size of pages in WAL mode."""
    (wanted,), (given,) = (one.execute("PRAGMA page_size").fetchone() for one in (target, source))
    if wanted != given:
        source.execute("PRAGMA journal_mode = DELETE")
        source.execute(f"PRAGMA page_size = {wanted:d}")
        source.execute("VACUUM")


def _keep(engine: Engine, file: Path, keep: Path | None) -> None:
    """Copy what is there now to `keep`, where there is anything."""
    if keep is None:
        return
    with _autocommit(engine) as connection:
        names = [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE]
        any_row = [select(column("rowid")).select_from(table(name)).limit(1) for name in names]
        if not any(connection.execute(query).first() for query in any_row):
            return
        if keep.exists():
            raise OutputError(
                f"'{keep}', where what is there now was to be kept, exists already. Nothing was "
                "restored; try again in a moment."
            )
        with _copy_of(connection, file, keep):
            pass
