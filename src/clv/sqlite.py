"""The SQLite library that clv uses: a mended one, also if Python's own is not.

SQLite from 3.7.0 to 3.51.2 can lose committed rows in WAL mode when several connections write and
checkpoint at once (https://sqlite.org/wal.html#the_wal_reset_bug). Most Python installations come
with such a version, so the wheel of pysqlite3, which contains a newer SQLite, takes its place. It
is not built for every platform; Python's own is used without it, and `warning` says so.
"""

import sqlite3 as own
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

__all__ = ["Dialect", "can_lose_rows", "sqlite3", "use_one_sqlite", "warning"]

_SINCE = (3, 7, 0)
_FIXED = (3, 51, 3)
# Fixed in older releases, too: from the first up to the second, which is not.
_FIXED_TOO = (((3, 44, 6), (3, 45, 0)), ((3, 50, 7), (3, 51, 0)))


def can_lose_rows(version: tuple[int, ...]) -> bool:
    """Whether this version of SQLite has the WAL-reset bug."""
    is_fixed = any(first <= version < end for first, end in _FIXED_TOO)
    return _SINCE <= version < _FIXED and not is_fixed


def _choose() -> ModuleType:
    if can_lose_rows(own.sqlite_version_info):
        try:
            bundled = import_module("pysqlite3.dbapi2")
        except ImportError:
            return own
        if not can_lose_rows(bundled.sqlite_version_info):
            return bundled
    return own


if TYPE_CHECKING:
    sqlite3 = own
else:
    sqlite3 = _choose()


def warning() -> str | None:
    """What to know about the SQLite in use; None if it is mended."""
    if not can_lose_rows(sqlite3.sqlite_version_info):
        return None
    return (
        f"SQLite {sqlite3.sqlite_version} can lose committed rows when several connections write "
        "at once (the WAL-reset bug, fixed in 3.51.3). Install the Python package pysqlite3 "
        "(0.6.1 or newer), or a Python with a newer SQLite, or keep tracked requests in PostgreSQL "
        "(CLV_DATABASE_URL)."
    )


class Dialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's dialect, on the SQLite in use."""

    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """The module that connects."""
        return sqlite3


def use_one_sqlite() -> None:
    """Have all SQLite engines made from now on in this process use it, those of MLflow too.

    Two copies of SQLite in one process must not open the same file: to close it in one takes away
    the locks of the other (https://sqlite.org/howtocorrupt.html, section 2.2.1).
    """
    for name in ("sqlite", "sqlite.pysqlite"):
        registry.register(name, __name__, Dialect.__name__)
