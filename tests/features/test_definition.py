"""What a feature is, held against plain Python, against SQL, and against laws."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.sample import write_sample
from clv.schema import Window
from features.logs import (
    DAY,
    NOW,
    US,
    Ride,
    activity_of,
    by_hand,
    on_duckdb,
    registrations_of,
    table_of,
    took_place,
    write,
)

LAW = settings(max_examples=30, derandomize=True, deadline=None)
START = datetime(2026, 3, 20, 23, 15, 7, 250_000, tzinfo=UTC)  # clocks change nine days later
WINDOWS = [Window(7, 30), Window(1, 2), Window(90, 180)]

# On every edge there is: the very moment, one microsecond beside it, and the nights of the clocks.
EDGES = [days * DAY for days in (0, 1, 2, 6, 7, 8, 29, 30, 31, 90, 180)]
ELAPSED = st.one_of(
    st.sampled_from([edge + step * US for edge in EDGES for step in (-1, 0, 1)]),
    st.timedeltas(timedelta(days=-3), timedelta(days=40)),
)
RIDES = st.builds(
    lambda customer, elapsed, cents, status, kind: Ride(
        customer, START + customer * timedelta(hours=5) + elapsed, cents, status, kind
    ),
    st.integers(1, 4),
    ELAPSED,
    st.one_of(st.integers(0, 100_000), st.integers(-2_000, 0)),
    st.sampled_from(["done", "done", "done", "Cancelled", "canceled "]),
    st.sampled_from(["ride", "ride", "ride", "refund"]),
)
REGISTERED = {customer: START + customer * timedelta(hours=5) for customer in range(1, 6)}


def plain(rides: list[Ride]) -> list[Ride]:
    """As the engine understands words: trimmed and in small letters."""
    return [
        Ride(one.customer, one.at, one.cents, one.status.strip().lower(), one.kind) for one in rides
    ]


@LAW
@given(
    st.lists(RIDES, min_size=1, max_size=25),
    st.sampled_from(WINDOWS),
    st.sampled_from([None, REGISTERED]),
    st.sampled_from([None, START + 12 * DAY, START + 30 * DAY + 15 * timedelta(hours=1)]),
)
def test_the_activity_is_what_a_person_would_count(
    rides: list[Ride],
    window: Window,
    registered: dict[int, datetime] | None,
    as_of: datetime | None,
) -> None:
    # The log begins before everybody registered, so that it holds their first days.
    rides = [Ride(1, START - DAY, 100), *rides]
    expected = by_hand(plain(rides), registered, window=window, as_of=as_of)
    if not expected or not took_place(plain(rides), as_of):
        return  # refused, as other tests show: there is nothing to write
    with tempfile.TemporaryDirectory() as folder:
        log = write(table_of(rides), Path(folder) / "log.parquet")
        known = (
            write(registrations_of(registered), Path(folder) / "who.parquet")
            if registered
            else None
        )
        output = Path(folder) / "activity.parquet"
        on_duckdb(log, output, window=window, as_of=as_of, registrations=known)
        assert activity_of(output) == expected


@settings(LAW, max_examples=8)
@given(st.lists(RIDES, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_neither_the_order_of_the_rows_nor_later_rides_change_what_was_observed(
    rides: list[Ride], random: Random
) -> None:
    later = [Ride(1, START + 60 * DAY, 5_000), Ride(5, START + 61 * DAY, 700)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        who = write(registrations_of(REGISTERED), folder / "who.parquet")
        made = []
        rides = [Ride(1, START - DAY, 100), *rides]
        for log in (rides + later, random.sample(rides, len(rides)) + later * 2):
            path = write(table_of(log), folder / "log.parquet")
            on_duckdb(path, folder / "activity.parquet", registrations=who)
            made.append(activity_of(folder / "activity.parquet"))
        assert made[0] == made[1]


SQL = """
WITH taken AS (
    SELECT passenger_id, epoch_us(ridden_at) AS at_us, round(amount * 100)::BIGINT AS cents
    FROM read_parquet('{rides}')
), each AS (
    SELECT g.id, g.registered_at, at_us - epoch_us(g.registered_at) AS e, cents
    FROM read_parquet('{registered}') g LEFT JOIN taken ON passenger_id = g.id
)
SELECT id, registered_at,
    coalesce(max(e // 86400000000 + 1) FILTER (e >= 0 AND e < {week}), 0) AS recency_7,
    count(*) FILTER (e >= 0 AND e < {week}) AS frequency_7,
    coalesce(sum(cents) FILTER (e >= 0 AND e < {week}), 0)::DOUBLE / 100 AS monetary_value_7,
    count(*) FILTER (e >= 0 AND e < {month}) AS frequency_30,
    coalesce(sum(cents) FILTER (e >= 0 AND e < {month}), 0)::DOUBLE / 100 AS monetary_value_30
FROM each GROUP BY id, registered_at ORDER BY id
"""


def test_generated_rides_give_what_sql_by_hand_gives_and_what_they_were_generated_with(
    tmp_path: Path,
) -> None:
    files = write_sample(tmp_path, passengers=4_000)
    output = tmp_path / "made.parquet"
    built = on_duckdb(str(files.rides), output, registrations=str(files.activity))
    made = pa.table(pa.parquet.read_table(output).to_pydict())
    sql = SQL.format(
        rides=files.rides, registered=files.activity, week=7 * 86_400_000_000,
        month=30 * 86_400_000_000,
    )  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        by_sql = connection.sql(sql).to_arrow_table()
    assert made.to_pydict() == by_sql.to_pydict()
    generated = pa.parquet.read_table(files.activity)
    assert made.to_pydict() == generated.select(made.column_names).to_pydict()
    assert (built.customers, built.with_outcome, built.findings) == (4_000, 4_000, ())


def test_who_never_rode_is_a_row_of_zeros(tmp_path: Path) -> None:
    who = write(registrations_of({1: START, 9: START}), tmp_path / "who.parquet")
    log = write(
        table_of([Ride(1, START + DAY, 500), Ride(1, START + 50 * DAY, 900)]),
        tmp_path / "log.parquet",
    )
    on_duckdb(log, tmp_path / "out.parquet", registrations=who)
    _, nine = activity_of(tmp_path / "out.parquet")
    assert list(nine.values()) == [9, START, 0, 0, 0.0, 0, 0.0]


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2025-10-26"),
        ("America/New_York", "2026-03-08"),
    ],
)
def test_a_night_on_which_clocks_change_is_as_long_as_any(
    zone: str, night: str, tmp_path: Path
) -> None:
    """Seven days are 168 hours: the wall clock says 06:59 or 08:59 then, and decides nothing."""
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        connection.execute(
            f"CREATE TABLE who AS SELECT 1 AS id, TIMESTAMPTZ '{night} 08:00' - INTERVAL 72 HOURS "
            "AS registered_at"
        )
        connection.execute(
            "CREATE TABLE log AS SELECT 1 AS id, registered_at + to_microseconds(us) AS ts, "
            "10.0 AS amount FROM who, unnest([604799999999, 604800000000, 3456000000000]) t(us)"
        )
        for name in ("who", "log"):
            connection.execute(f"COPY {name} TO '{tmp_path / name}.parquet'")
    on_duckdb(
        str(tmp_path / "log.parquet"), tmp_path / "out.parquet",
        registrations=str(tmp_path / "who.parquet"),
    )  # fmt: skip
    (one,) = activity_of(tmp_path / "out.parquet")
    assert (one["recency_7"], one["frequency_7"], one["monetary_value_7"]) == (7, 1, 10.0)
    assert one["frequency_30"] == 2


def test_at_the_end_of_the_log_the_young_are_left_out_and_the_middling_have_no_outcome(
    tmp_path: Path,
) -> None:
    ages = {1: 30 * DAY, 2: 30 * DAY - US, 3: 7 * DAY, 4: 7 * DAY - US}
    log = [Ride(number, NOW - age - DAY, 100) for number, age in ages.items()]
    log.append(Ride(1, NOW - DAY, 100))  # the end
    built = on_duckdb(write(table_of(log), tmp_path / "log.parquet"), tmp_path / "out.parquet")
    assert (built.customers, built.with_outcome, built.too_young) == (3, 1, 1)
    assert built.as_of == NOW - DAY
    found = {row["id"]: row["monetary_value_30"] for row in activity_of(tmp_path / "out.parquet")}
    assert found == {1: 1.0, 2: None, 3: None}


def test_what_is_learnt_from_is_only_who_has_an_outcome(tmp_path: Path) -> None:
    log = [Ride(1, START, 100), Ride(2, START + 20 * DAY, 100), Ride(1, START + 40 * DAY, 100)]
    path = write(table_of(log), tmp_path / "log.parquet")
    built = on_duckdb(path, tmp_path / "out.parquet", to_train=True)
    assert [row["id"] for row in activity_of(tmp_path / "out.parquet")] == [1]
    assert (built.customers, built.with_outcome) == (1, 1)


def test_refunds_beyond_what_was_spent_leave_nothing_and_are_counted(tmp_path: Path) -> None:
    log = [
        Ride(1, START, 500), Ride(1, START + DAY, 900, kind="refund"),
        Ride(2, START, 500), Ride(2, START + DAY, 200, kind="Refunded"), Ride(2, NOW - DAY, 1),
    ]  # fmt: skip
    built = on_duckdb(write(table_of(log), tmp_path / "log.parquet"), tmp_path / "out.parquet")
    one, two = activity_of(tmp_path / "out.parquet")
    assert (one["frequency_7"], one["monetary_value_7"], one["recency_7"]) == (1, 0.0, 1)
    assert (two["frequency_7"], two["monetary_value_7"]) == (1, 3.0)
    assert {finding.code: finding.rows for finding in built.findings} == {
        "refund": 2, "more-refunded-than-spent": 1,
    }  # fmt: skip


def test_a_memory_limit_far_below_the_log_is_kept_by_spilling(tmp_path: Path) -> None:
    files = write_sample(tmp_path, passengers=40_000)
    roomy, tight = tmp_path / "roomy.parquet", tmp_path / "tight.parquet"
    on_duckdb(str(files.rides), roomy)
    on_duckdb(str(files.rides), tight, memory_limit="30MB")
    assert activity_of(roomy) == activity_of(tight)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["activity.parquet", "rides.parquet", "roomy.parquet", "tight.parquet"]
    )
