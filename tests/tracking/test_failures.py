"""Real failures of real databases: said in words, and recovered from."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text

from clv.errors import StoreError
from clv.sqlite import sqlite3
from clv.tracking import DatabaseRequestLog, TrackedRequest, open_database, upgrade

Row = Callable[..., TrackedRequest]
Scenario = Callable[[DatabaseRequestLog], Awaitable[None]]


def use(engine: Engine, scenario: Scenario) -> None:
    async def session() -> None:
        log = DatabaseRequestLog(engine, 1000)
        try:
            async with asyncio.timeout(60):
                await scenario(log)
        finally:
            await log.close()

    asyncio.run(session())


@contextmanager
def at_each_use(engine: Engine, statement: str, afterwards: str) -> Iterator[None]:
    """Run a statement on every connection that is taken from the pool."""
    statements = [statement]

    def run(connection: Any, *_: object) -> None:
        connection.execute(statements[0])

    event.listen(engine, "checkout", run)
    yield
    statements[0] = afterwards


@pytest.fixture
def sqlite(new_database: Callable[[str], str]) -> Engine:
    engine = open_database(new_database("sqlite"))
    upgrade(engine)
    return engine


@pytest.fixture
def postgresql(new_database: Callable[[str], str]) -> Engine:
    engine = open_database(new_database("postgresql"))
    upgrade(engine)
    return engine


@pytest.fixture
def administrator(postgres_url: str) -> Iterator[Callable[[str], None]]:
    """Run a statement as somebody else, outside of any transaction."""
    engine = create_engine(
        make_url(postgres_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )

    def run(statement: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(statement))

    yield run
    engine.dispose()


def disconnect(engine: Engine) -> str:
    return (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        f"WHERE datname = '{engine.url.database}'"
    )


def test_a_full_disk_is_named_reads_go_on_and_space_is_enough_to_recover(
    sqlite: Engine, a_row: Row
) -> None:
    large = "x" * 1_000_000

    async def scenario(log: DatabaseRequestLog) -> None:
        await log.append([a_row(1)])
        with at_each_use(sqlite, "PRAGMA max_page_count = 20", "PRAGMA max_page_count = 1000000"):
            with pytest.raises(StoreError, match=r"disk .* is full\. Free some space"):
                await log.append([a_row(2, model_version=large)])
            assert await log.count(1) == 1
        await log.append([a_row(2, model_version=large)])
        assert await log.count(2) == 1

    use(sqlite, scenario)


def test_a_read_only_file_is_named(sqlite: Engine, a_row: Row) -> None:
    async def scenario(log: DatabaseRequestLog) -> None:
        with at_each_use(sqlite, "PRAGMA query_only = 1", "PRAGMA query_only = 0"):
            for call in (log.append([a_row()]), log.clear()):
                with pytest.raises(StoreError, match=r"is read-only.*CLV_DATABASE_URL"):
                    await call
        await log.append([a_row()])

    use(sqlite, scenario)


def test_a_file_that_somebody_holds_is_named(sqlite: Engine, a_row: Row) -> None:
    holder = create_engine(sqlite.url)

    async def scenario(log: DatabaseRequestLog) -> None:
        with (
            at_each_use(sqlite, "PRAGMA busy_timeout = 1", "PRAGMA busy_timeout = 5000"),
            holder.connect() as connection,
        ):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked by another process"):
                await log.append([a_row()])
            assert await log.count(1) == 0
        await log.append([a_row()])

    use(sqlite, scenario)
    holder.dispose()


def test_a_table_that_somebody_holds_is_named(postgresql: Engine, a_row: Row) -> None:
    holder = create_engine(postgresql.url)

    async def scenario(log: DatabaseRequestLog) -> None:
        with (
            at_each_use(postgresql, "SET lock_timeout = '1ms'", "SET lock_timeout = '5s'"),
            holder.connect() as connection,
        ):
            connection.execute(text("LOCK TABLE requests"))
            with pytest.raises(StoreError, match="locked by another process"):
                await log.append([a_row()])
        await log.append([a_row()])

    use(postgresql, scenario)
    holder.dispose()


def test_a_server_whose_disk_is_full_is_named(postgresql: Engine, a_row: Row) -> None:
    with postgresql.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
            )
        )
        connection.execute(
            text(
                "CREATE TRIGGER full_disk BEFORE INSERT ON requests "
                "FOR EACH ROW EXECUTE FUNCTION no_space()"
            )
        )

    async def scenario(log: DatabaseRequestLog) -> None:
        with pytest.raises(StoreError, match=r"disk .* is full"):
            await log.append([a_row()])

    use(postgresql, scenario)


def test_a_server_that_only_reads_is_named(
    postgresql: Engine, administrator: Callable[[str], None], a_row: Row
) -> None:
    setting = f"ALTER DATABASE {postgresql.url.database} SET default_transaction_read_only ="

    async def scenario(log: DatabaseRequestLog) -> None:
        administrator(f"{setting} on")
        administrator(disconnect(postgresql))
        with pytest.raises(StoreError, match="is read-only"):
            await log.append([a_row()])
        administrator(f"{setting} off")
        administrator(disconnect(postgresql))
        await log.append([a_row()])

    use(postgresql, scenario)


def test_a_server_that_cut_the_connections_is_reached_again_unnoticed(
    postgresql: Engine, administrator: Callable[[str], None], a_row: Row
) -> None:
    async def scenario(log: DatabaseRequestLog) -> None:
        await log.append([a_row()])
        administrator(disconnect(postgresql))
        await log.append([a_row()])
        assert await log.count(1) == 2

    use(postgresql, scenario)


def test_a_connection_that_breaks_under_way_fails_its_callers_only(
    postgresql: Engine, administrator: Callable[[str], None], a_row: Row, gate_of: Any
) -> None:
    async def scenario(log: DatabaseRequestLog) -> None:
        gate = gate_of(postgresql)
        under_way = asyncio.ensure_future(log.append([a_row(1)]))
        await asyncio.to_thread(gate.reached.wait)
        administrator(disconnect(postgresql))
        gate.open()
        with pytest.raises(StoreError, match="is away"):
            await under_way
        await log.append([a_row(2)])
        assert [await log.count(n) for n in (1, 2)] == [0, 1]

    use(postgresql, scenario)


def test_a_server_that_is_stopped_is_named_and_used_again_once_it_is_back(
    postgresql: Engine, postgres_server: Any, a_row: Row
) -> None:
    async def scenario(log: DatabaseRequestLog) -> None:
        await log.append([a_row(1)])
        postgres_server.stop()
        try:
            outcomes = await asyncio.gather(
                *(log.append([a_row(2)]) for _ in range(5)), log.count(1), return_exceptions=True
            )
        finally:
            postgres_server.ensure_postgres_running()
        assert [type(outcome) for outcome in outcomes] == [StoreError] * 6
        assert all("is away" in str(outcome) for outcome in outcomes)
        await log.append([a_row(2)])
        assert [await log.count(n) for n in (1, 2)] == [1, 1]

    use(postgresql, scenario)


def test_whom_was_asked_about_is_not_told_to_the_logs(
    database_url: str, outsider: Engine, a_row: Row
) -> None:
    engine = open_database(database_url)
    upgrade(engine)
    with outsider.begin() as connection:
        connection.execute(text("DROP TABLE requests"))

    async def scenario(log: DatabaseRequestLog) -> None:
        for call in (log.append([a_row(987654321, monetary=4711.25)]), log.count(987654321)):
            with pytest.raises(StoreError) as caught:
                await call
            shown = "".join(traceback.format_exception(caught.value))
            assert "requests" in shown
            assert "987654321" not in shown
            assert "4711.25" not in shown

    use(engine, scenario)


def test_nobody_else_writes_between_what_clearing_reads_and_what_it_deletes(
    sqlite: Engine, a_row: Row
) -> None:
    """SQLite refuses at once what would be written on what was read before."""
    others: list[str] = []

    def somebody_else(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "max(requests.id)" not in statement:
            return
        other = sqlite3.connect(str(sqlite.url.database), timeout=0)
        try:
            other.execute("UPDATE requests SET recency = 1")
            other.commit()
            others.append("wrote")
        except sqlite3.OperationalError as error:
            others.append(str(error))
        finally:
            other.close()

    async def scenario(log: DatabaseRequestLog) -> None:
        await log.append([a_row(1), a_row(2)])
        event.listen(sqlite, "after_cursor_execute", somebody_else)
        assert await log.clear() == 2

    use(sqlite, scenario)
    assert others == ["database is locked"]
