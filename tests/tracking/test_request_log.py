"""What every request log promises, the fake included."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from clv import tracking
from clv.errors import StoreError
from clv.tracking import InMemoryRequestLog, RequestLog, TrackedRequest, open_request_log

Open = Callable[[], RequestLog]
Row = Callable[..., TrackedRequest]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def open_log(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> Open:
    if request.param == "memory":
        return InMemoryRequestLog
    url = new_database(request.param)
    return lambda: open_request_log(url, queue_rows=1000)


def use(open_log: Open, scenario: Callable[[RequestLog], Any]) -> None:
    async def run() -> None:
        log = open_log()
        try:
            await scenario(log)
        finally:
            await log.close()

    asyncio.run(run())


def test_a_passenger_never_asked_about_counts_zero(open_log: Open) -> None:
    async def scenario(log: RequestLog) -> None:
        assert await log.count(1234) == 0

    use(open_log, scenario)


def test_each_answered_prediction_counts_once_for_its_passenger_alone(
    open_log: Open, a_row: Row
) -> None:
    async def scenario(log: RequestLog) -> None:
        await log.append([a_row(1)])
        await log.append([a_row(1), a_row(2), a_row(1)])
        assert [await log.count(passenger) for passenger in (1, 2, 3)] == [3, 1, 0]

    use(open_log, scenario)


def test_predictions_tried_out_on_the_page_do_not_count(open_log: Open, a_row: Row) -> None:
    async def scenario(log: RequestLog) -> None:
        await log.append([a_row(1), a_row(1, source="batch"), a_row(1, source="page")])
        await log.append([a_row(None, source="page")])
        assert await log.count(1) == 2
        assert await log.clear() == 4
        for source in ("api", "batch"):
            with pytest.raises(ValueError, match="passenger_id=None"):
                await log.append([a_row(None, source=source)])

    use(open_log, scenario)


def test_appending_nothing_is_fine(open_log: Open) -> None:
    async def scenario(log: RequestLog) -> None:
        await log.append([])
        assert await log.clear() == 0

    use(open_log, scenario)


def test_clearing_deletes_all_and_says_how_many(open_log: Open, a_row: Row) -> None:
    async def scenario(log: RequestLog) -> None:
        await log.append([a_row(passenger) for passenger in range(5)])
        assert await log.clear() == 5
        assert await log.count(1) == 0
        await log.append([a_row(1)])
        assert await log.clear() == 1

    use(open_log, scenario)


def test_clearing_deletes_what_was_accepted_before_and_keeps_what_came_after(
    open_log: Open, a_row: Row
) -> None:
    async def scenario(log: RequestLog) -> None:
        before = [log.append([a_row(1)]) for _ in range(20)]
        after = [log.append([a_row(2)]) for _ in range(20)]
        cleared = (await asyncio.gather(*before, log.clear(), *after))[20]
        assert cleared == 20
        assert (await log.count(1), await log.count(2)) == (0, 20)

    use(open_log, scenario)


@pytest.mark.parametrize("passenger", [-(2**63), -1, 0, 2**63 - 1])
def test_every_id_of_64_bits_can_be_tracked(open_log: Open, a_row: Row, passenger: int) -> None:
    async def scenario(log: RequestLog) -> None:
        await log.append([a_row(passenger)])
        assert await log.count(passenger) == 1

    use(open_log, scenario)


@pytest.mark.parametrize("passenger", [-(2**63) - 1, 2**63, 2**64, 10**30])
def test_an_id_too_large_to_be_tracked_counts_zero(open_log: Open, passenger: int) -> None:
    async def scenario(log: RequestLog) -> None:
        assert await log.count(passenger) == 0

    use(open_log, scenario)


def test_a_closed_log_refuses_and_may_be_closed_again(open_log: Open, a_row: Row) -> None:
    async def scenario(log: RequestLog) -> None:
        await log.close()
        for call in (log.append([a_row()]), log.append([]), log.count(1), log.clear()):
            with pytest.raises(StoreError, match="closed"):
                await call
        await log.close()

    use(open_log, scenario)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("passenger_id", 2**63),
        ("passenger_id", -(2**63) - 1),
        ("recency", -1),
        ("frequency", 2**31),
        ("monetary", float("nan")),
        ("predicted", float("inf")),
        ("expected_increment", float("-inf")),
        ("p_return", float("nan")),
        ("level", float("nan")),
        ("low", float("-inf")),
        ("high", float("inf")),
        ("score_bin", -1),
        ("score_bin", 2**31),
        ("requested_at", datetime(2026, 1, 1)),  # noqa: DTZ001 -- the point of the test
    ],
)
def test_a_row_that_some_database_would_refuse_is_not_accepted(
    open_log: Open, a_row: Row, name: str, value: Any
) -> None:
    async def scenario(log: RequestLog) -> None:
        with pytest.raises(ValueError, match=f"{name}=.*expected"):
            await log.append([a_row(passenger_id=5), a_row(**{name: value})])
        assert await log.count(5) == 0

    use(open_log, scenario)


def test_amounts_that_are_infinite_both_ways_do_not_make_up_for_each_other(a_row: Row) -> None:
    with pytest.raises(ValueError, match=r"low=-inf, high=inf; expected finite"):
        a_row(low=float("-inf"), high=float("inf")).checked()


def test_a_log_that_can_store_says_so_and_keeps_nothing_of_it(open_log: Open) -> None:
    async def scenario(log: RequestLog) -> None:
        await log.check()
        assert await log.count(0) == 0
        assert await log.clear() == 0
        assert log.waiting_rows == 0
        await log.close()
        with pytest.raises(StoreError, match="closed"):
            await log.check()

    use(open_log, scenario)


def test_a_row_keeps_any_time_zone_it_was_given(a_row: Row) -> None:
    eastern = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-5)))
    assert a_row(requested_at=eastern).requested_at == datetime(2026, 1, 1, 5, tzinfo=UTC)


def test_the_public_names_are_these() -> None:
    assert set(tracking.__all__) == {
        "AMOUNTS",
        "BY_OUTCOME",
        "COUNTS",
        "KEYS",
        "UNMATCHED",
        "Erased",
        "Judged",
        "Outcome",
        "OutcomeCounts",
        "OutcomeStore",
        "Recorded",
        "Spread",
        "Tracked",
        "erase",
        "export",
        "one_at_a_time",
        "prune",
        "read_judged",
        "read_tracked",
        "DatabaseRequestLog",
        "InMemoryRequestLog",
        "RequestLog",
        "TrackedRequest",
        "ApiKey",
        "Asked",
        "Bucket",
        "Recent",
        "RequestQueries",
        "KeyStore",
        "Session",
        "SessionStore",
        "Scope",
        "Source",
        "api_keys",
        "split_key",
        "back_up",
        "current",
        "database_file",
        "database_warnings",
        "is_there",
        "newest",
        "require_in_place",
        "restore",
        "metadata",
        "open_database",
        "open_request_log",
        "requests",
        "upgrade",
    }
    assert all(hasattr(tracking, name) for name in tracking.__all__)
