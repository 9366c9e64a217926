"""A real SQLite file and a real PostgreSQL server for every test that wants a database."""

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text

from clv.tracking import TrackedRequest
from tracking.promising import request

_numbers = itertools.count()


def _sqlite_url(request: pytest.FixtureRequest) -> str:
    folder = request.getfixturevalue("tmp_path") / "made on demand"
    return f"sqlite:///{folder / f'tracking-{next(_numbers)}.sqlite'}"


def _postgres_url(request: pytest.FixtureRequest) -> str:
    """One database, emptied: to make a new one each time costs more than all else here."""
    url = make_url(request.getfixturevalue("postgres_url")).set(database="tracking")
    engine = create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE datname = 'tracking' AND pid <> pg_backend_pid()"
            )
        )
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url.render_as_string(hide_password=False)


_KINDS = {"sqlite": _sqlite_url, "postgresql": _postgres_url}


@pytest.fixture
def new_database(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """`new_database(kind)` is the URL of an empty database; of PostgreSQL's kind there is one."""
    return lambda kind: _KINDS[kind](request)


@pytest.fixture(params=list(_KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(kind: str, new_database: Callable[[str], str]) -> str:
    """An empty database; the test runs once for each kind."""
    return new_database(kind)


@pytest.fixture
def outsider(database_url: str) -> Iterator[Engine]:
    """Somebody else at the same database: no settings of ours."""
    url = make_url(database_url)
    driver = "postgresql+psycopg" if url.drivername.startswith("postgres") else "sqlite"
    engine = create_engine(url.set(drivername=driver))
    yield engine
    engine.dispose()


@pytest.fixture
def a_row() -> Callable[..., TrackedRequest]:
    """`a_row(passenger_id, ...)`: what is not given is ordinary."""

    def make(
        passenger_id: int = 1,
        requested_at: datetime = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        **changes: Any,
    ) -> TrackedRequest:
        return request(passenger_id, requested_at, **changes)

    return make


class Gate:
    """Stops the writer at the start of its next transaction until the gate is opened."""

    def __init__(self, engine: Engine) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()
        event.listen(engine, "begin", self._hold)

    def _hold(self, _connection: Connection) -> None:
        if threading.current_thread().name.startswith("tracking-writer"):
            self.reached.set()
            assert self._opened.wait(30), "the test never opened the gate"

    def open(self) -> None:
        self._opened.set()


@pytest.fixture
def gate_of() -> type[Gate]:
    return Gate
