"""SQLAlchemy URLs as people write them: checked, given their driver, printable without password."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from clv.errors import DataError

__all__ = ["database_url", "without_password"]

# psycopg 3 is the driver that the [postgres] extra installs.
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def database_url(text: str) -> URL:
    """Parse a database URL; PostgreSQL goes through psycopg 3 unless the URL names a driver.

    Raises
    ------
    DataError
        Where the text is no URL. The text itself is not repeated: it may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise DataError(
            "The database URL cannot be read. Expected something like "
            "postgresql://user:password@host:5432/database or sqlite:////folder/file.sqlite."
        ) from error
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def without_password(url: URL) -> str:
    """The URL for messages and logs."""
    return url.render_as_string(hide_password=True)
