"""Many callers, few transactions: who is answered what, and when."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text

from clv.errors import StoreError
from clv.tracking import (
    DatabaseRequestLog,
    TrackedRequest,
    open_database,
    requests,
    upgrade,
)

Row = Callable[..., TrackedRequest]
Scenario = Callable[[DatabaseRequestLog, Engine], Awaitable[None]]


@pytest.fixture
def use(database_url: str) -> Callable[..., None]:
    """Run a scenario with a log and its engine, and close the log afterwards."""

    def run(scenario: Scenario, queue_rows: int = 1000) -> None:
        async def session() -> None:
            engine = open_database(database_url)
            upgrade(engine)
            log = DatabaseRequestLog(engine, queue_rows)
            try:
                async with asyncio.timeout(60):  # a caller who is never answered
                    await scenario(log, engine)
            finally:
                await log.close()

        asyncio.run(session())

    return run


async def started(*calls: Awaitable[Any]) -> list[asyncio.Task[Any]]:
    """Tasks that have run up to where they wait."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    return tasks


def counted(engine: Engine, name: str) -> list[object]:
    seen: list[object] = []
    event.listen(engine, name, seen.append)
    return seen


def test_all_who_wait_share_one_transaction(
    use: Callable[..., None], a_row: Row, gate_of: Any
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        gate, commits = gate_of(engine), counted(engine, "commit")
        first = await started(log.append([a_row(0)]))
        await asyncio.to_thread(gate.reached.wait)
        others = await started(*(log.append([a_row(n)]) for n in range(1, 101)))
        assert not any(task.done() for task in first + others)
        gate.open()
        await asyncio.gather(*first, *others)
        assert len(commits) == 2
        assert [await log.count(n) for n in range(101)] == [1] * 101

    use(scenario)


def test_those_who_come_at_once_share_the_first_transaction(
    use: Callable[..., None], a_row: Row
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        commits = counted(engine, "commit")
        await asyncio.gather(*(log.append([a_row(n)]) for n in range(100)))
        assert len(commits) == 1

    use(scenario)


def test_an_answer_means_that_the_row_is_committed(
    use: Callable[..., None], a_row: Row, outsider: Engine
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        for n in range(5):
            await log.append([a_row(n)])
            with outsider.connect() as connection:
                ids = connection.scalars(text("SELECT passenger_id FROM requests ORDER BY id"))
                assert list(ids) == list(range(n + 1))

    use(scenario)


def test_a_row_reads_back_as_it_was_answered(use: Callable[..., None], a_row: Row) -> None:
    zones = [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))]
    rows = [
        a_row(2**63 - 1, recency=0, frequency=0, monetary=0.0, predicted=1e-300),
        a_row(-(2**63), recency=7, frequency=10_000, monetary=1e9, predicted=0.1 + 0.2),
        a_row(1, p_return=0.0001, level=0.5, low=0.0, high=0.0, score_bin=1, in_support=False),
        a_row(2, p_return=0.9999, level=0.99, low=0.1 + 0.2, high=1e9, score_bin=10),
        *(
            a_row(n, requested_at=datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=zone))
            for n, zone in enumerate(zones)
        ),
        a_row(9, model_version="größer; DROP TABLE requests --"),
    ]

    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        await log.append(rows)
        columns = [requests.c[name] for name in TrackedRequest._fields]
        with engine.connect() as connection:
            stored = connection.execute(select(*columns).order_by(requests.c.id)).all()
        assert [TrackedRequest(**values._mapping) for values in stored] == rows
        assert {type(values.in_support) for values in stored} == {bool}
        assert {values.requested_at.utcoffset() for values in stored} == {timedelta(0)}

    use(scenario)


def test_a_full_queue_refuses_at_once_and_keeps_its_promises(
    use: Callable[..., None], a_row: Row, gate_of: Any
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        gate = gate_of(engine)
        accepted = await started(log.append([a_row(1)] * 4), log.append([a_row(1)] * 6))
        # The writer stands still, so only an immediate refusal can get past these lines.
        with pytest.raises(StoreError, match=r"queue is full: 10 of 10 rows.*Try again"):
            await log.append([a_row(2)])
        gate.open()
        await asyncio.gather(*accepted)
        await log.append([a_row(3)])
        assert [await log.count(n) for n in (1, 2, 3)] == [10, 0, 1]

    use(scenario, queue_rows=10)


def test_more_rows_than_the_queue_ever_holds_are_refused_with_what_to_do(
    use: Callable[..., None], a_row: Row
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        with pytest.raises(StoreError, match=r"11 rows at once.*CLV_TRACKING_QUEUE_ROWS"):
            await log.append([a_row()] * 11)
        await log.append([a_row()] * 10)
        assert await log.count(1) == 10

    use(scenario, queue_rows=10)


def test_when_the_database_fails_all_who_waited_learn_it_and_the_next_are_served(
    use: Callable[..., None], a_row: Row, outsider: Engine
) -> None:
    def rename(old: str, new: str) -> None:
        with outsider.begin() as connection:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        rename("requests", "elsewhere")
        outcomes = await asyncio.gather(
            *(log.append([a_row(n)]) for n in range(20)), log.clear(), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [StoreError] * 21
        assert len(set(map(id, outcomes))) == 21
        assert "lacks its tables" in str(outcomes[0])
        assert outcomes[0].__cause__ is not None
        with pytest.raises(StoreError, match="lacks its tables"):
            await log.count(1)
        rename("elsewhere", "requests")
        await log.append([a_row(1)])
        assert await log.clear() == 1

    use(scenario)


def test_an_append_that_fails_halfway_keeps_none_of_its_rows(
    use: Callable[..., None], a_row: Row, outsider: Engine
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        with outsider.begin() as connection:
            connection.execute(text("CREATE UNIQUE INDEX one_each ON requests (passenger_id)"))
        with pytest.raises(StoreError, match="refused"):
            await log.append([*(a_row(n) for n in range(2500)), a_row(0)])
        assert await log.clear() == 0

    use(scenario, queue_rows=5000)


def test_a_mistake_in_a_row_answers_everybody_instead_of_leaving_them_waiting(
    use: Callable[..., None], a_row: Row
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        broken = a_row(1, model_version="\ud800")  # cannot be written as UTF-8
        outcomes = await asyncio.gather(
            log.append([broken]), log.append([a_row(2)]), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [StoreError] * 2
        await log.append([a_row(2)])
        assert await log.count(2) == 1

    use(scenario)


def test_a_caller_who_leaves_does_not_disturb_the_others(
    use: Callable[..., None], a_row: Row, gate_of: Any
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        gate = gate_of(engine)
        being_written = await started(log.append([a_row(1)]), log.append([a_row(2)]))
        await asyncio.to_thread(gate.reached.wait)
        waiting = await started(log.append([a_row(3)]), log.append([a_row(4)]))
        for leaver in (being_written[0], waiting[0]):
            leaver.cancel()
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(being_written[1], waiting[1])
        assert being_written[0].cancelled()
        assert waiting[0].cancelled()
        await log.append([a_row(5)])
        assert [await log.count(n) for n in (2, 4, 5)] == [1, 1, 1]

    use(scenario)


def test_closing_finishes_what_was_accepted_and_refuses_the_rest(
    use: Callable[..., None], a_row: Row, gate_of: Any, outsider: Engine
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        gate = gate_of(engine)
        accepted = await started(*(log.append([a_row(n)]) for n in range(5)))
        await asyncio.to_thread(gate.reached.wait)
        accepted += await started(*(log.append([a_row(n)]) for n in range(5, 10)))
        closing = await started(log.close())
        with pytest.raises(StoreError, match="closed"):
            await log.append([a_row(99)])
        gate.open()
        await asyncio.gather(*accepted, *closing)
        with outsider.connect() as connection:
            ids = connection.scalars(text("SELECT passenger_id FROM requests ORDER BY id"))
            assert list(ids) == list(range(10))

    use(scenario)


def test_a_close_that_is_given_up_loses_no_accepted_row(
    use: Callable[..., None], a_row: Row, gate_of: Any
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        gate = gate_of(engine)
        accepted = await started(log.append([a_row(1)]))
        await asyncio.to_thread(gate.reached.wait)
        accepted += await started(log.append([a_row(2)]))
        (closing,) = await started(log.close())
        closing.cancel()
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(*accepted)

    use(scenario)


def test_counting_does_not_wait_for_the_writer(
    use: Callable[..., None], a_row: Row, gate_of: Any
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        await log.append([a_row(1)])
        gate = gate_of(engine)
        held = await started(log.append([a_row(1)]))
        await asyncio.to_thread(gate.reached.wait)
        assert await log.count(1) == 1
        gate.open()
        await asyncio.gather(*held)
        assert await log.count(1) == 2

    use(scenario)


def test_a_transaction_that_hangs_is_given_up_and_those_after_it_are_stored(
    database_url: str, kind: str, a_row: Row, gate_of: Any, outsider: Engine
) -> None:
    def stored(passenger_id: int) -> int:
        query = text("SELECT count(*) FROM requests WHERE passenger_id = :id")
        with outsider.connect() as connection:
            return int(connection.execute(query, {"id": passenger_id}).scalar_one())

    async def session() -> None:
        engine = open_database(database_url)
        upgrade(engine)
        log = DatabaseRequestLog(engine, 1000, patience_s=0.5)
        gate = gate_of(engine)
        first = await started(log.append([a_row(1)]))
        await asyncio.to_thread(gate.reached.wait)
        others = await started(log.append([a_row(2)]), log.clear(), log.check())
        for call in (*first, *others, log.append([a_row(3)])):  # the last is refused at once
            with pytest.raises(StoreError, match="neither answers nor fails"):
                await call
        gate.open()
        while True:
            try:
                await log.append([a_row(4)])
                break
            except StoreError:
                await asyncio.sleep(0.01)
        assert stored(4) >= 1
        assert stored(2) == stored(3) == log.waiting_rows == 0
        if kind == "postgresql":  # on SQLite a single statement commits by itself
            assert stored(1) == 0
        await log.close()

    asyncio.run(asyncio.wait_for(session(), 60))


def test_nothing_more_is_cleared_once_the_log_is_closed(
    use: Callable[..., None], a_row: Row
) -> None:
    async def scenario(log: DatabaseRequestLog, engine: Engine) -> None:
        await log.append([a_row(n) for n in range(4_100)])  # cleared in several transactions
        commits = counted(engine, "commit")
        clearing = asyncio.ensure_future(log.clear())
        while not commits:
            await asyncio.sleep(0)
        await log.close()
        with pytest.raises(StoreError, match="closed"):
            await clearing
        assert len(commits) == 1

    use(scenario, queue_rows=5_000)
