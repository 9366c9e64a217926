"""What was asked, as pages show it: the latest first, counted by hour or day, with an index."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from clv.errors import StoreError
from clv.tracking import (
    DatabaseRequestLog,
    RequestQueries,
    TrackedRequest,
    export,
    open_database,
    open_request_log,
    read_tracked,
    upgrade,
)
from clv.tracking.migrate import downgrade
from tracking.promising import track

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def queries(engine: Engine) -> Iterator[RequestQueries]:
    queries = RequestQueries(engine)
    yield queries
    queries.close()


@pytest.fixture
def keep(database_url: str) -> Callable[[Sequence[TrackedRequest]], None]:
    """Store rows as the service does."""

    def store(rows: Sequence[TrackedRequest]) -> None:
        async def run() -> None:
            log: DatabaseRequestLog = open_request_log(database_url, 100_000)
            await log.append(rows)
            await log.close()

        asyncio.run(run())

    return store


def test_before_anything_was_asked_there_is_nothing(queries: RequestQueries) -> None:
    found = asyncio.run(queries.recent(NOW))
    assert (found.total, found.over_time, found.latest) == (0, (), ())
    assert asyncio.run(queries.of_passenger(1)) == ()


def test_the_latest_come_first_and_as_they_were_answered(
    queries: RequestQueries, keep: Callable[..., None], a_row: Callable[..., TrackedRequest]
) -> None:
    rows = [a_row(n, requested_at=NOW - timedelta(seconds=100 - n)) for n in range(60)]
    keep(rows)
    found = asyncio.run(queries.recent(NOW))
    assert found.total == 60
    assert [row.passenger_id for row in found.latest] == list(range(59, 9, -1))
    first, kept = found.latest[0], rows[-1]
    assert first == (
        59, kept.requested_at, kept.recency, kept.frequency, kept.monetary, kept.predicted,
        kept.p_return, kept.score_bin, kept.model_version, "api",
    )  # fmt: skip


def test_of_one_passenger_only_theirs_are_found_newest_first(
    queries: RequestQueries, keep: Callable[..., None], a_row: Callable[..., TrackedRequest]
) -> None:
    keep([a_row(n % 3, frequency=n + 1) for n in range(30)])
    found = asyncio.run(queries.of_passenger(1, limit=4))
    assert {row.passenger_id for row in found} == {1}
    assert [row.frequency for row in found] == [29, 26, 23, 20]
    assert asyncio.run(queries.of_passenger(99)) == ()
    for beyond in (2**63, -(2**63) - 1):
        assert asyncio.run(queries.of_passenger(beyond)) == ()


def test_within_two_days_it_is_counted_by_the_hour_without_gaps(
    queries: RequestQueries, keep: Callable[..., None], a_row: Callable[..., TrackedRequest]
) -> None:
    times = [NOW - timedelta(hours=20), NOW - timedelta(hours=1), NOW, NOW]
    keep([a_row(1, requested_at=at) for at in times])
    found = asyncio.run(queries.recent(NOW))
    assert found.period == "hour"
    assert len(found.over_time) == 48
    assert {later.at - earlier.at for earlier, later in _pairs(found.over_time)} == {
        timedelta(hours=1)
    }
    assert found.over_time[-1] == (NOW.replace(minute=0), 2)
    assert found.over_time[-2].requests == found.over_time[-21].requests == 1
    assert sum(bucket.requests for bucket in found.over_time) == 4


@pytest.mark.parametrize(("days", "drawn"), [(2, 3), (10, 11), (400, 90)])
def test_beyond_it_is_counted_by_the_day(
    queries: RequestQueries,
    keep: Callable[..., None],
    a_row: Callable[..., TrackedRequest],
    days: int,
    drawn: int,
) -> None:
    keep([a_row(1, requested_at=NOW - timedelta(days=ago)) for ago in (days, 1, 0, 0)])
    found = asyncio.run(queries.recent(NOW))
    assert found.period == "day"
    assert len(found.over_time) == drawn
    assert found.over_time[-1] == (datetime(2026, 3, 4, tzinfo=UTC), 2)
    assert found.over_time[-2].requests == 1
    assert sum(bucket.requests for bucket in found.over_time) == (3 if days == 400 else 4)


def test_a_clock_that_went_back_draws_today(
    queries: RequestQueries, keep: Callable[..., None], a_row: Callable[..., TrackedRequest]
) -> None:
    keep([a_row(1, requested_at=NOW + timedelta(days=5))])
    assert asyncio.run(queries.recent(NOW)).total == 1


def _pairs(items: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(itertools.pairwise(items))


def test_once_closed_or_where_the_database_refuses_it_is_a_store_error(engine: Engine) -> None:
    queries = RequestQueries(engine)
    downgrade(engine, "base")
    with pytest.raises(StoreError, match="lacks its tables"):
        asyncio.run(queries.recent(NOW))
    queries.close()
    with pytest.raises(StoreError, match="closed"):
        asyncio.run(queries.of_passenger(1))


def test_lists_and_counts_are_found_by_an_index_whatever_the_number_of_rows(
    engine: Engine, queries: RequestQueries, kind: str
) -> None:
    """Of 100,000 rows over years: nothing reads them all but the count of them."""
    with engine.begin() as connection:
        columns = (
            "passenger_id, recency, frequency, monetary, predicted, expected_increment, "
            "model_version, requested_at"
        )
        if kind == "sqlite":
            series = (
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000) "
            )
            at, source = "datetime('2026-03-04', '-' || (100000 - n) || ' hours') || '.000000'", "s"
        else:
            series, source = "", "generate_series(1, 100000) AS s(n)"
            at = "timestamptz '2026-03-04 00:00+00' - (100000 - n) * interval '1 hour'"
        values = f"n % 1000, 1, 1, 8.5, 14.28, 5.78, '1', {at}"
        connection.execute(
            text(f"INSERT INTO requests ({columns}) {series}SELECT {values} FROM {source}")
        )
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))

    asked: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _remember(_connection, _cursor, statement, parameters, _context, _many) -> None:
        asked.append((statement, parameters))

    asyncio.run(queries.recent(NOW))
    asyncio.run(queries.of_passenger(7))
    event.remove(engine, "before_cursor_execute", _remember)
    selects = [(said, given) for said, given in asked if said.startswith("SELECT")]
    assert len(selects) == 5
    prefix = "EXPLAIN QUERY PLAN " if kind == "sqlite" else "EXPLAIN "
    for statement, parameters in selects[1:]:  # the first counts all
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(prefix + statement, parameters).fetchall()
        said = "\n".join(str(row) for row in plan)
        if kind == "sqlite":
            by_key = "ORDER BY requests.id" in statement and "WHERE" not in statement
            assert by_key or "USING" in said, said
            assert by_key or "INDEX ix_requests" in said, said
            assert "TEMP B-TREE FOR ORDER BY" not in said
        else:
            assert "Seq Scan" not in said, said


@pytest.mark.parametrize(
    "moment",
    ["", "soon", "2026-13-45 00:00:00.000000", "0000-00-00", "9999-12-31 23:59:59", 7, 7.5],
)
def test_a_moment_that_is_none_hides_no_other_row(
    moment: object, new_database: Callable[[str], str], a_row: Callable[..., TrackedRequest]
) -> None:
    """Written by somebody else: SQLite takes anything for text."""
    engine = open_database(new_database("sqlite"))
    upgrade(engine)
    track(engine, [a_row(1), a_row(2, requested_at=NOW), a_row(3, requested_at=NOW)])
    with engine.begin() as connection:
        for passenger in (1, 3):
            connection.exec_driver_sql(
                "UPDATE requests SET requested_at = ? WHERE passenger_id = ?", (moment, passenger)
            )
    queries = RequestQueries(engine)
    found = asyncio.run(queries.recent(NOW))
    assert found.total == 3
    assert [row.passenger_id for row in found.latest] == [3, 2, 1]
    assert found.latest[1].requested_at == NOW
    assert sum(one.requests for one in found.over_time) == 1
    assert [row.passenger_id for row in asyncio.run(queries.of_passenger(3))] == [3]
    queries.close()
    cohorts = {row.cohort for row in read_tracked(engine, None, NOW, {}).sums}
    assert None not in cohorts
    assert len(export(engine, 3)["requests"]) == 1
    engine.dispose()
