"""A backup in the place of the tracking database: SQLite only, while others have it open."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from sqlalchemy import Engine, inspect, literal, select, table
from sqlalchemy.exc import DBAPIError

from clv.errors import DataError, OutputError, StoreError
from clv.sqlite import sqlite3
from clv.tracking.backup import (
    DAMAGED,
    UNWRITABLE,
    autocommit,
    copy_of,
    count_requests,
    database_file,
    error_kind,
    integrity,
    is_same,
    open_to_read,
    opened,
)
from clv.tracking.failures import LOCK_TIMEOUT_S
from clv.tracking.guard import new_id, set_id
from clv.tracking.revision import current, upgrade
from clv.tracking.tables import VERSION_TABLE, metadata

__all__ = ["restore"]

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


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
    if is_same(backup, file):
        raise DataError(
            f"The backup '{backup}' is the tracking database itself. Give a file that `clv backup` "
            "wrote."
        )
    with _staging(file) as staged:
        count = _stage(backup, staged)
        try:
            with opened(url) as engine:
                _replace(engine, staged, lambda: _keep(engine, file, keep))
        except StoreError as error:
            if error_kind(error.__cause__) not in DAMAGED:
                raise
            raise StoreError(
                f"The tracking database {file} is damaged or no SQLite file: it can neither be "
                "kept nor replaced in its place. Stop the service, move it away together with "
                "what is named like it with -wal and -shm, and restore again."
            ) from error
    return count


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
    if (problem := integrity(staged)) is not None:
        raise DataError(
            f"The backup '{backup}' is damaged: {problem}. Nothing was restored; take another."
        )
    with opened(f"sqlite:///{staged}") as engine:
        _require_known_version(backup, current(engine))
        try:
            upgrade(engine)
        except StoreError as error:
            if error_kind(error.__cause__) in UNWRITABLE:
                raise
            raise _foreign(backup, "its tables are not those of its version") from error
        if missing := _missing(engine):
            raise _foreign(backup, f"it lacks {', '.join(missing)}")
    return count_requests(staged)


def _missing(engine: Engine) -> list[str]:
    """Tables and columns of this code that a database does not have."""
    there = inspect(engine)
    tables = there.get_table_names()
    found = {name: {one["name"] for one in there.get_columns(name)} for name in tables}
    return [
        str(one)
        for expected in metadata.sorted_tables
        for one in ([expected] if expected.name not in found else expected.columns)
        if one is expected or one.name not in found[expected.name]
    ]


def _copy_backup(backup: Path, staged: Path) -> None:
    try:
        with backup.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise DataError(
            f"The backup '{backup}' cannot be read: {error.strerror}. Give a file that "
            "`clv backup` wrote."
        ) from error
    try:
        with closing(open_to_read(backup)) as source, closing(sqlite3.connect(staged)) as copy:
            source.backup(copy, progress=_when_busy)
            # SQLite takes zeros for what is missing of the last page.
            if (cut := size % source.execute("PRAGMA page_size").fetchone()[0]) != 0:
                raise DataError(
                    f"The backup '{backup}' is damaged: {cut} bytes follow its last whole page, so "
                    "its end is missing. Nothing was restored; take another."
                )
    except sqlite3.Error as error:
        if error_kind(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise StoreError(
                f"The backup '{backup}' cannot be copied to {staged.parent.parent}: {error}. "
                "Nothing was restored; see that there is room on the disk, and try again."
            ) from error
        raise DataError(
            f"The backup '{backup}' cannot be read as a SQLite file: {error}. Nothing was "
            "restored; give a file that `clv backup` wrote."
        ) from error


def _require_known_version(backup: Path, version: str | None) -> None:
    if version is None:
        raise _foreign(backup, f"it has no table {VERSION_TABLE} that says its version")
    from clv.tracking.migrate import revisions  # noqa: PLC0415 - imports Alembic

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
    with autocommit(engine) as connection, closing(sqlite3.connect(staged)) as source:
        target = cast("sqlite3.Connection", connection.connection.driver_connection)
        _give_page_size_of(target, source)
        (over,) = target.execute("PRAGMA user_version").fetchone()
        set_id(source, new_id(), over or new_id())
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
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(target, pages=1, progress=step)
        # It is restored, and all of it stands in the log. Moved to its place here, or the next
        # small commit would have to; passive, so that nobody waits.
        with suppress(DBAPIError):
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
    with autocommit(engine) as connection:
        names = [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE]
        any_row = [select(literal(1)).select_from(table(name)).limit(1) for name in names]
        if not any(connection.execute(query).first() for query in any_row):
            return
        if keep.exists():
            raise OutputError(
                f"'{keep}', where what is there now was to be kept, exists already. Nothing was "
                "restored; try again in a moment."
            )
        with copy_of(connection, file, keep):
            pass
