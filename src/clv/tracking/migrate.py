"""Migrating the tables of the tracking database, with Alembic.

It takes longer to import than most commands run, so that only what has to migrate imports this; see
`clv.tracking.revision`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from clv.errors import StoreError
from clv.sql import shown
from clv.tracking.failures import explain
from clv.tracking.tables import VERSION_TABLE

__all__ = ["SCRIPTS", "downgrade", "migrate", "revisions"]

SCRIPTS = Path(__file__).with_name("migrations")

# Any number that no other program takes for its own lock: "clv" and a counter.
_LOCK = 0x636C7601
# A neighbour that migrates a large table takes longer than a neighbour that writes a row.
_LOCK_TIMEOUT_S = 60


def revisions() -> tuple[str, ...]:
    """The revisions that this code knows, the newest first."""
    scripts = ScriptDirectory(str(SCRIPTS)).walk_revisions()
    return tuple(script.revision for script in scripts)


def migrate(engine: Engine) -> str | None:
    """Migrate to the newest revision; the revision before, as in `upgrade`."""
    return _migrate(engine, lambda config: command.upgrade(config, "head"))


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate back to `revision`; to "base" drops the tracked requests **with their data**.

    API keys that are kept stay, in a table that an older clv does not look at: a service does not
    lose its locks because somebody went back a version.

    Raises
    ------
    StoreError
        Where the database is newer than this code, or fails.
    """
    _migrate(engine, lambda config: command.downgrade(config, revision))


def _migrate(engine: Engine, step: Callable[[Config], None]) -> str | None:
    """Take the step; the revision before it."""
    try:
        with _alone(engine) as connection:
            config = Config()
            config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
            config.attributes["connection"] = connection
            before = _context(connection).get_current_revision()
            if before is not None and before not in revisions():
                raise StoreError(
                    f"The tracking database {shown(engine.url)} is at version {before}, which this "
                    "clv does not know: it is newer. Install the clv that last used it, or set "
                    "CLV_DATABASE_URL to another database."
                )
            step(config)
            return before
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """One transaction, beside which no other process migrates."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Detached, so that these settings end with it; both must precede the transaction.
            # A batch migration drops and rebuilds a table: with foreign keys on, the drop would
            # delete or refuse the rows that point to it.
            connection.detach()
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute(f"PRAGMA busy_timeout = {_LOCK_TIMEOUT_S * 1000}")
            cursor.close()
            connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s'"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield connection


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
