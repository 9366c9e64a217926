"""What a failing tracking database means to a person: what is wrong, and what to do."""

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from clv.errors import StoreError
from clv.sql import READABLE, shown
from clv.sqlite import sqlite3

__all__ = ["LOCK_TIMEOUT_S", "PATIENCE_S", "explain", "hangs"]

#: Seconds that a statement waits for a lock that another process holds.
LOCK_TIMEOUT_S = 5
#: Seconds until a database that neither answers nor fails is given up, as one whose machine stands
#: still. Longer than a lock is waited for.
PATIENCE_S = 10.0

_ADVICE = {
    "full": "The disk of the tracking database {database} is full. Free some space and try again.",
    "read-only": (
        "The tracking database {database} is read-only. Give the service write access to it (for "
        "SQLite to its folder, too), or set CLV_DATABASE_URL to another."
    ),
    "locked": (
        f"The tracking database {{database}} stayed locked by another process for over "
        f"{LOCK_TIMEOUT_S} s. Try again, or end what holds it."
    ),
    "away": (
        "The tracking database {database} is away: {detail}. Check that it runs and that "
        "CLV_DATABASE_URL names the right host, port, database, user and password."
    ),
    "crowded": (
        "The tracking database {database} has no connection left. Try again, or raise its "
        "max_connections."
    ),
    "no tables": (
        "The tracking database {database} lacks its tables. Start the service again: it creates "
        "them as it starts."
    ),
    "unopenable": (
        "The tracking database {database} cannot be opened. Check that the path is a file, not a "
        "folder, and that the service may write there."
    ),
    "no database": (
        "The tracking database {database} is damaged or no SQLite file. Move it away and "
        "restore a backup (clv restore FILE), or set CLV_DATABASE_URL to another."
    ),
    "broken disk": (
        "The disk of the tracking database {database} failed: {detail}. Check the disk and the "
        "file system."
    ),
    "hangs": (
        "The tracking database {database} neither answers nor fails. Look at its machine, disk and "
        "network; the service goes on by itself when it does."
    ),
    "refused": "The tracking database {database} refused: {detail}.",
}

_SQLITE = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CANTOPEN: "unopenable",
    sqlite3.SQLITE_PERM: "unopenable",
    sqlite3.SQLITE_NOTADB: "no database",
    sqlite3.SQLITE_CORRUPT: "no database",
    sqlite3.SQLITE_IOERR: "broken disk",
}

# SQLSTATE, by code or by class (its first two characters): PostgreSQL 18, appendix A.
_POSTGRESQL = {
    "53100": "full",
    "25006": "read-only",
    "42501": "read-only",
    "55P03": "locked",
    "40P01": "locked",
    "53300": "crowded",
    "42P01": "no tables",
    "58": "broken disk",
    "57": "away",
    "08": "away",
}


def hangs(url: URL) -> StoreError:
    """The error for a database that was given up."""
    return StoreError(_ADVICE["hangs"].format(database=shown(url)))


def explain(error: BaseException, url: URL) -> StoreError:
    """Make the error to raise for a failure of the database at `url`; raise it `from error`.

    Neither the password nor the values of a statement are in its text.
    """
    if isinstance(error, StoreError):
        return type(error)(str(error))
    return StoreError(
        _ADVICE[_reason(error)].format(database=shown(url), detail=_detail(error, url))
    )


def _reason(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        if str(cause).startswith("no such table"):
            return "no tables"
        # The low byte is the kind, the rest says which kind of it.
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, "refused")
    state = getattr(cause, "sqlstate", None)
    if state:
        return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2], "refused")
    # libpq gives no SQLSTATE where there is no connection.
    return "away" if isinstance(error, OperationalError) else "refused"


def _detail(error: BaseException, url: URL) -> str:
    """First line of what the driver says, without secrets."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    options = [value for name, value in url.query.items() if name not in READABLE]
    secrets = [url.password, *options]
    for secret in secrets:
        for text in (secret,) if isinstance(secret, str) else secret or ():
            lines[0] = lines[0].replace(text, "***") if text else lines[0]
    return lines[0].rstrip(".")
