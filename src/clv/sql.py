"""SQLAlchemy URLs as people write them: given their driver, and printable without secrets."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from clv.errors import DataError

__all__ = ["READABLE", "cause_of", "database_url", "shown", "with_driver"]

# psycopg 3 is the driver that the [postgres] extra installs.
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
#: Options of a URL that hold no secret; `?password=` is an option, too.
READABLE = ("host", "port")


def database_url(text: str) -> URL:
    """Parse a database URL.

    Raises
    ------
    DataError
        Where the text is no URL. The text itself is not repeated: it may hold a password.
    """
    try:
        url = with_driver(make_url(text))
    except (ArgumentError, ValueError):
        url = None
    # An '@' in the host is the rest of a password that has one in it, and would be shown.
    if url is None or "@" in (url.host or ""):
        raise DataError(
            "The database URL cannot be read. Expected something like "
            "postgresql://user:password@host:5432/database or sqlite:////folder/file.sqlite; "
            "write special characters in the password percent-encoded, '@' as %40."
        )
    return url


def cause_of(fault: Exception | str) -> str:
    """The first line of what went wrong; of SQLAlchemy's errors, what the driver said."""
    lines = str(getattr(fault, "orig", None) or fault).strip().splitlines()
    return lines[0].rstrip(".!") if lines else type(fault).__name__


def with_driver(url: URL) -> URL:
    """Go through psycopg 3 to PostgreSQL, unless the URL names a driver."""
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def shown(url: URL) -> str:
    """Write the URL for messages: without password, and without options that can hold one."""
    options = {name: value for name, value in url.query.items() if name in READABLE}
    return url.set(query=options).render_as_string(hide_password=True)
