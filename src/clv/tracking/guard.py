"""Sees that the SQLite file which is open is the one that stands at its path.

An open file that is deleted or replaced can still be written to, and nobody finds those rows again;
a file that is overwritten while it is open ends up malformed. So the file is looked at before each
use of a connection and after each commit, before anybody is told that their rows are stored.

Two numbers in the header of the file, which SQLite leaves to applications, help: `user_version` is
the id of this database, and `application_id` the id of the one that it was restored over. A backup
gets an id of its own. So what `clv restore` wrote is told from a file that was copied or moved.
"""

import logging
import os
import secrets
import struct
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Engine, event

from clv.errors import DatabaseMovedError
from clv.sqlite import sqlite3

__all__ = ["Guard", "guard", "new_id", "require_in_place", "set_id"]

_log = logging.getLogger(__name__)

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
# Until then every worker has noticed that the log is gone, and has closed the file.
_LEAVE_S = 3.0

_DELETED = "The file of the tracking database was deleted or moved away while it was in use."
_REPLACED = "The file of the tracking database was replaced by another one while it was in use."
_OVERWRITTEN = "The file of the tracking database was overwritten while it was in use."
_LOG_GONE = (
    "The write-ahead log of the tracking database (-wal, -shm) was deleted or replaced while it "
    "was in use."
)
_RESTORE = (
    "Nothing is stored or read until a backup is restored (clv restore BACKUP), which the service "
    "notices by itself, or the service is restarted with the files that are there now."
)
_REOPENS = "The file is closed, so that the contents of the log reach it, and reopened soon."

_Identity = tuple[int, int]


class _Header(NamedTuple):
    changes: int
    own_id: int
    restored_over: int


def new_id() -> int:
    """An id for a database: a positive number of 31 bits."""
    return secrets.randbelow(2**31 - 1) + 1


def set_id(connection: Any, own_id: int, restored_over: int = 0) -> None:
    """Write the id of a database, and of the one that it is restored over."""
    connection.execute(f"PRAGMA user_version = {own_id:d}")
    connection.execute(f"PRAGMA application_id = {restored_over:d}")


def guard(engine: Engine) -> "Guard":
    """Watch over the file of an engine from its first connection on."""
    watching = _guards[engine.dialect] = Guard(engine)
    return watching


def require_in_place(engine: Engine) -> None:
    """See that what was committed is in the file that stands at the path; nothing on PostgreSQL.

    Raises
    ------
    DatabaseMovedError
        If it is not.
    """
    watching = _guards.get(engine.dialect)
    if watching is not None:
        watching.verify()


class Guard:
    """Watches over the file of one engine.

    Parameters
    ----------
    engine : Engine
        On a SQLite file, not connected yet.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._file = Path(str(engine.url.database))
        self._lock = Lock()
        self._connections: set[int] = set()
        self._descriptor: FileIO | None = None
        self._files: dict[Path, _Identity] = {}
        self._header = _Header(0, 0, 0)
        self._reason: str | None = None
        self._since = 0.0
        self._has_left = False
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "checkout", self._checked_out)
        for closing in ("close", "close_detached"):
            event.listen(engine, closing, self._closed)

    def verify(self) -> None:
        """Raise `DatabaseMovedError` if the open file is not the one at the path."""
        with self._lock:
            if self._reason is None and self._descriptor is not None:
                self._reason = self._changed(self._descriptor)
                if self._reason is not None:
                    self._since, self._has_left = time.monotonic(), False
                    _log.error("%s: %s", self._file, self._reason)
            if self._reason is not None:
                raise DatabaseMovedError(self._reason)

    def connected(self) -> None:
        """Take note of the file, if it has no other connection."""
        with self._lock:
            if self._descriptor is None:
                self._take_note()

    def failed(self, connection: Any) -> None:
        """Close and forget a connection that cannot be used."""
        self._closed(connection)

    def _take_note(self) -> None:
        # SQLite, too, names what it keeps beside a database after the real file.
        real = os.path.realpath(self._file)
        names = (self._file, Path(real + "-wal"), Path(real + "-shm"))
        self._files = {name: found for name in names if (found := _identity(name)) is not None}
        # Kept open: to close it would take away the locks that SQLite has on the file.
        self._descriptor = FileIO(self._file)
        self._header = _header(self._descriptor) or self._header

    def _closed(self, connection: Any, _record: object = None) -> None:
        with self._lock:
            # Closed here: afterwards it has no locks that the descriptor could take away.
            with suppress(sqlite3.Error):
                connection.close()
            self._connections.discard(id(connection))
            if not self._connections and self._descriptor is not None:
                self._descriptor.close()
                self._descriptor = None

    def _changed(self, descriptor: FileIO) -> str | None:
        """What happened to the file, or None."""
        found = {name: _identity(name) for name in self._files}
        if found[self._file] is None:
            return f"{_DELETED} {_RESTORE}"
        if found[self._file] != self._files[self._file]:
            return f"{_REPLACED} {_RESTORE}"
        header = _header(descriptor)
        if header is None or not _follows(header, self._header):
            return f"{_OVERWRITTEN} {_RESTORE}"
        self._header = header
        return f"{_LOG_GONE} {_REOPENS}" if found != self._files else None

    def _connect(
        self, dialect: Dialect, _record: object, arguments: Any, named: dict[str, Any]
    ) -> Any:
        """Open a connection. Until it is noted it takes no lock, and none is taken away later."""
        self._before_connecting()
        with self._lock:
            connection = dialect.connect(*arguments, **named)
            self._connections.add(id(connection))
        return connection

    def _before_connecting(self) -> None:
        with self._lock:
            if self._reason is not None and self._is_put_right():
                _log.warning("%s: the tracking database is used again", self._file)
                self._reason = None
                self._connections.clear()
                if self._descriptor is not None:
                    self._descriptor.close()
                    self._descriptor = None
        self.verify()

    def _is_put_right(self) -> bool:
        """Whether the file that is there now was restored, or is the one before, closed by all."""
        found = _identity(self._file)
        if found is None:
            return False
        is_same = found == self._files.get(self._file)
        if is_same and (self._connections or time.monotonic() - self._since < _LEAVE_S):
            return False
        header = _header_of(self._file)
        if header is None:
            return False
        if header.own_id == self._header.own_id:
            return is_same
        return header.restored_over != 0

    def _checked_out(self, connection: Any, _record: object, _proxy: object) -> None:
        try:
            self.verify()
        except DatabaseMovedError:
            self._leave(connection)
            raise

    def _leave(self, connection: Any) -> None:
        """Close the file, once what can be saved is saved."""
        with self._lock:
            if self._has_left:
                return
            self._has_left = True
        with suppress(sqlite3.Error, OSError):
            if self._is_overwritten():
                self._close_without_a_trace(connection)
                return
            # A file that was moved away is whole then, wherever it is, and can be moved back.
            is_whole = _checkpoint(connection)
            if not (is_whole and self._has_a_name()):
                self._rescue(connection)
        self._engine.dispose()
        if _identity(self._file) != self._files.get(self._file):
            self._delete_log()

    def _has_a_name(self) -> bool:
        with self._lock:
            return self._descriptor is not None and os.fstat(self._descriptor.fileno()).st_nlink > 0

    def _is_overwritten(self) -> bool:
        with self._lock:
            header = _header(self._descriptor) if self._descriptor is not None else None
            return header is None or not _follows(header, self._header)

    def _close_without_a_trace(self, connection: Any) -> None:
        """Close a file that was overwritten, without writing what is in the log into it.

        SQLite does not when the file has another name by then.
        """
        away = self._file.with_name(f".{self._file.name}.{os.getpid()}.overwritten")
        for _ in range(10):  # another worker may be at it
            with suppress(FileNotFoundError):
                self._file.rename(away)
                break
            time.sleep(0.05)
        try:
            self._engine.dispose()
            connection.close()
            self._delete_log()
        finally:
            with suppress(FileNotFoundError):
                away.rename(self._file)

    def _delete_log(self) -> None:
        """Delete what SQLite kept beside the file: it would take it for that of the next one."""
        for name, known in self._files.items():
            if name != self._file and _identity(name) == known:
                with suppress(OSError):
                    name.unlink()

    def _rescue(self, connection: Any) -> None:
        """Save the rows of a file that nobody can open any more, or that are in its log alone."""
        name = f"{self._file.stem}-rescued-{self._header.own_id:08x}.sqlite"
        target = self._file.with_name(name)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        connection.execute("VACUUM INTO ?", (str(target),))
        _log.error("What was in the file that was open is saved in %s", target)


_guards: WeakKeyDictionary[Dialect, Guard] = WeakKeyDictionary()


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Write what is in the log into the file; whether all of it is there."""
    is_busy, frames, written = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
    return not is_busy and frames == written


def _identity(name: Path) -> _Identity | None:
    """Device and inode; None if there is no such file, or nobody can look at it."""
    try:
        found = name.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _follows(header: _Header, before: _Header) -> bool:
    """Whether SQLite can have written the one over the other."""
    if header.own_id == before.own_id:
        return header.changes >= before.changes
    return before.own_id in (0, header.restored_over)  # it had none yet, or was restored


def _header_of(name: Path) -> _Header | None:
    try:
        with FileIO(name) as file:
            return _header(file)
    except OSError:
        return None


def _header(file: FileIO) -> _Header | None:
    """Of a SQLite file; None if it is none."""
    file.seek(0)
    head = file.read(_HEADER_BYTES) or b""
    if len(head) < _HEADER_BYTES or not head.startswith(_MAGIC):
        return None
    numbers = (struct.unpack_from(">I", head, at)[0] for at in (24, 60, 68))
    return _Header(*numbers)
