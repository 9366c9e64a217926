"""Times that stand for no time decide neither who is new nor when a log begins or ends."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from clv.data.placeholders import without_date
from clv.errors import DataError
from clv.features import Features
from features.logs import DAY, NOW, activity_of, on_duckdb, write

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
INSTANT = pa.timestamp("us", "UTC")


def log_of(path: Path, rides: list[tuple[int, datetime]]) -> str:
    """A log of rides at 5.00 each."""
    ids, times = [one for one, _ in rides], [time for _, time in rides]
    columns = {
        "customer_id": ids,
        "ridden_at": pa.array(times, INSTANT),
        "amount": [5.0] * len(ids),
    }
    return write(pa.table(columns), path)


def daily(customers: int = 40, first: datetime = START) -> list[tuple[int, datetime]]:
    """A new customer each day, who rides again on the next day and a month later."""
    times = [(one, first + one * DAY) for one in range(customers)]
    return [(one, at + days * DAY) for one, at in times for days in (0, 1, 40)]


def finding(built: Features, code: str) -> Any:
    (found,) = (one for one in built.findings if one.code == code)
    return found


def codes(built: Features) -> set[str]:
    return {one.code for one in built.findings}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "activity.parquet"


@pytest.mark.parametrize(
    "day",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 19, tzinfo=UTC),  # where clocks are behind
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(1899, 12, 30, tzinfo=UTC),
        datetime(1753, 1, 1, tzinfo=UTC),
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
    ],
)
def test_rides_at_a_placeholder_are_left_out_and_counted_and_decide_nothing(
    day: datetime, tmp_path: Path, output: Path
) -> None:
    plain = on_duckdb(log_of(tmp_path / "plain.parquet", daily()), tmp_path / "plain-out.parquet")
    placed = [(one, day) for one in range(5)]
    built = on_duckdb(log_of(tmp_path / "log.parquet", [*placed, *daily()]), output)
    found = finding(built, "placeholder-time")
    assert (found.severity, found.column, found.rows) == ("left out", "ridden_at", 5)
    assert "in 5 rows" in found.examples[0]
    assert built.rides_used == plain.rides_used
    assert activity_of(output) == activity_of(tmp_path / "plain-out.parquet")
    assert codes(built) - codes(plain) == {"placeholder-time"}


def test_several_placeholders_are_found_in_text_and_named(tmp_path: Path, output: Path) -> None:
    rows = [f"{one},{at:%Y-%m-%d %H:%M:%S},5.00" for one, at in daily()]
    odd = ["1,1970-01-01 00:00:00,5.00", "2,1970-01-01,5.00", "3,1900-01-01,5.00"]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["customer_id,ridden_at,amount", *odd, *rows, ""]))
    built = on_duckdb(str(path), output)
    found = finding(built, "placeholder-time")
    assert (found.rows, found.examples) == (
        3,
        ("1970-01-01 in 2 rows", "1899-12-30 to 1900-01-01 in 1 row"),
    )
    assert min(row["registered_at"] for row in activity_of(output)) == START


def test_an_epoch_of_zero_is_a_placeholder_where_the_notation_is_given(
    tmp_path: Path, output: Path
) -> None:
    rows = [f"{one},{at.timestamp():.0f},5.00" for one, at in daily()]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["customer_id,ridden_at,amount", "1,0,5.00", *rows, ""]))
    built = on_duckdb(str(path), output, date_format="epoch-s")
    assert finding(built, "placeholder-time").rows == 1


@pytest.mark.parametrize(
    "first", [datetime(1969, 12, 20, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
)
def test_a_log_that_is_of_that_year_keeps_its_rides(
    first: datetime, tmp_path: Path, output: Path
) -> None:
    built = on_duckdb(log_of(tmp_path / "log.parquet", daily(first=first)), output)
    assert "placeholder-time" not in codes(built)
    assert built.rides_used == built.rides_read
    assert min(row["registered_at"] for row in activity_of(output)) == first


def test_a_log_of_placeholders_for_the_most_part_is_refused(tmp_path: Path, output: Path) -> None:
    placed = [(one, datetime(1970, 1, 1, tzinfo=UTC)) for one in range(500)]
    log = log_of(tmp_path / "log.parquet", [*placed, *daily()])
    with pytest.raises(DataError, match=r"500 of 620 rows.*placeholder.*1970-01-01 in 500 rows"):
        on_duckdb(log, output)


def test_the_begin_of_a_log_is_seen_behind_a_placeholder(tmp_path: Path, output: Path) -> None:
    # 40 customers registered long before the log begins: it does not hold their first days.
    who = [(one, START - (30 + one % 5) * DAY) for one in range(100, 140)]
    who += [(one, START + one * DAY) for one in range(40)]
    registered = {
        "id": [one for one, _ in who],
        "registered_at": pa.array([at for _, at in who], INSTANT),
    }
    registrations = write(pa.table(registered), tmp_path / "who.parquet")
    rides = [(0, datetime(1970, 1, 1, tzinfo=UTC)), *daily()]
    built = on_duckdb(log_of(tmp_path / "log.parquet", rides), output, registrations=registrations)
    assert finding(built, "before-the-log").rows == 41  # and the first one, who rode at once
    assert {row["id"] for row in activity_of(output)} <= set(range(40))


@pytest.mark.parametrize("micros", [-(2**63) + 1, -70_000_000_000_000_000, 570_000_000_000_000_000])
def test_times_beyond_the_calendar_cannot_be_read(
    micros: int, tmp_path: Path, output: Path
) -> None:
    times = [micros, *(int(at.timestamp() * 1e6) for _, at in daily())]
    columns = {
        "customer_id": [0, *(one for one, _ in daily())],
        "ridden_at": pa.array(times, INSTANT),
        "amount": [5.0] * len(times),
    }
    built = on_duckdb(write(pa.table(columns), tmp_path / "log.parquet"), output)
    assert [(one.code, one.rows) for one in built.findings] == [("no-time", 1)]


@pytest.mark.parametrize("infinity", ["infinity", "-infinity"])
def test_an_infinite_time_cannot_be_read(infinity: str, tmp_path: Path, output: Path) -> None:
    log = tmp_path / "log.duckdb"
    with duckdb.connect(log) as connection:
        connection.execute(
            "CREATE TABLE rides AS SELECT range AS id, 1.0 AS amount, "
            "TIMESTAMP '2026-03-02' + INTERVAL (range) DAY AS date FROM range(60)"
        )
        connection.execute(f"INSERT INTO rides VALUES (99, 1.0, TIMESTAMP '{infinity}')")
    built = on_duckdb(str(log), output)
    (found,) = built.findings
    assert (found.code, found.rows, found.examples) == ("no-time", 1, (f"'{infinity}'",))


def test_a_number_of_seconds_before_the_calendar_cannot_be_read(
    tmp_path: Path, output: Path
) -> None:
    rows = [f"{one},{at.timestamp():.0f},5.00" for one, at in daily()]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["customer_id,ridden_at,amount", "1,-99999999999,5.00", *rows, ""]))
    built = on_duckdb(str(path), output, date_format="epoch-s")
    assert finding(built, "no-time").rows == 1


# ---------------------------------------------------------------- days far from all others


def test_several_rides_at_one_far_instant_are_a_placeholder(tmp_path: Path, output: Path) -> None:
    default = datetime(2010, 5, 5, tzinfo=UTC)
    placed = [(one, default) for one in range(12)]
    built = on_duckdb(log_of(tmp_path / "log.parquet", [*placed, *daily()]), output)
    assert finding(built, "placeholder-time").examples == ("2010-05-05 00:00 in 12 rows",)
    assert min(row["registered_at"] for row in activity_of(output)) == START


def test_a_single_ride_years_before_all_others_is_used_and_said(
    tmp_path: Path, output: Path
) -> None:
    far = datetime(2012, 5, 5, 7, 45, tzinfo=UTC)
    built = on_duckdb(log_of(tmp_path / "log.parquet", [(0, far), *daily()]), output)
    found = finding(built, "time-apart")
    assert (found.severity, found.rows, found.examples) == ("kept", 1, ("2012-05-05 07:45",))
    assert "--registered-from 2026-03-02" in found.action
    again = on_duckdb(
        str(tmp_path / "log.parquet"), output, registered_from=datetime(2026, 3, 2, tzinfo=UTC)
    )
    assert "time-apart" not in codes(again)
    assert finding(again, "registered-from").rows == 1


def test_old_customers_at_the_begin_are_seen_behind_a_far_ride(
    tmp_path: Path, output: Path
) -> None:
    regular = [(one, START + one % 150 * timedelta(hours=1)) for one in range(200, 260)]
    rides = [
        *daily(100),
        *((one, at + 7 * week * DAY) for one, at in regular for week in range(20)),
    ]
    plain = on_duckdb(log_of(tmp_path / "plain.parquet", rides), tmp_path / "plain-out.parquet")
    assert "log-begins-late" in codes(plain)
    far = (0, datetime(2012, 5, 5, 7, 45, tzinfo=UTC))
    built = on_duckdb(log_of(tmp_path / "log.parquet", [far, *rides]), output)
    assert codes(built) == {*codes(plain), "time-apart"}


def test_a_single_ride_long_after_all_others_does_not_end_the_log(
    tmp_path: Path, output: Path
) -> None:
    rides = daily(first=datetime(2019, 3, 2, 9, 30, tzinfo=UTC))
    last = max(at for _, at in rides)
    plain = on_duckdb(log_of(tmp_path / "plain.parquet", rides), tmp_path / "plain-out.parquet")
    far = datetime(2024, 5, 5, 7, 45, tzinfo=UTC)
    log = log_of(tmp_path / "log.parquet", [*rides, (3, far)])
    built = on_duckdb(log, output)
    assert (built.as_of, built.with_outcome) == (last, plain.with_outcome)
    found = finding(built, "time-apart")
    assert (found.severity, found.rows) == ("left out", 1)
    assert "add --as-of 2024-05-06" in found.action
    told = on_duckdb(log, output, as_of=datetime(2024, 5, 6, tzinfo=UTC))
    assert (told.rides_used, "time-apart" in codes(told)) == (len(rides) + 1, False)


def test_a_long_break_of_a_log_is_no_far_day(tmp_path: Path, output: Path) -> None:
    rides = [*daily(), *daily(first=START - 800 * DAY)]
    built = on_duckdb(log_of(tmp_path / "log.parquet", rides), output)
    assert not codes(built) & {"time-apart", "placeholder-time"}


# ---------------------------------------------------------------- registrations


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), "placeholder-registration"),
        (datetime(1900, 1, 1, tzinfo=UTC), "placeholder-registration"),
        (datetime(9999, 12, 31, tzinfo=UTC), "registration-future"),
        (NOW + DAY, "registration-future"),
    ],
)
def test_registrations_at_a_placeholder_or_to_come_are_left_out_and_counted(
    moment: datetime, code: str, tmp_path: Path, output: Path
) -> None:
    who = {one: START + one * DAY for one in range(40)} | {7: moment}
    table = {"id": list(who), "registered_at": pa.array(list(who.values()), INSTANT)}
    registrations = write(pa.table(table), tmp_path / "who.parquet")
    log = log_of(tmp_path / "log.parquet", daily())
    built = on_duckdb(log, output, registrations=registrations)
    found = finding(built, code)
    assert (found.severity, found.column, found.rows) == ("left out", "registered_at", 1)
    assert finding(built, "unregistered").rows == 3
    assert 7 not in {row["id"] for row in activity_of(output)}
    assert codes(built) == {code, "unregistered"}


def test_registrations_of_1970_in_a_log_of_1970_are_registrations(
    tmp_path: Path, output: Path
) -> None:
    first = datetime(1970, 1, 1, tzinfo=UTC)
    table = {"id": [0, 1], "registered_at": pa.array([first, first], INSTANT)}
    registrations = write(pa.table(table), tmp_path / "who.parquet")
    log = log_of(tmp_path / "log.parquet", daily(first=first))
    built = on_duckdb(log, output, registrations=registrations)
    assert codes(built) == {"unregistered"}
    assert [row["registered_at"] for row in activity_of(output)] == [first, first]


@pytest.mark.parametrize(
    ("days", "unknown"),
    [
        (["1970-01-01", "2026-03-01", "2026-03-02"], [True, False, False]),
        (["1970-01-01", "1970-06-01", "2026-03-02"], [False, False, False]),
        (["9999-12-31", "1900-01-01", "2026-03-02", "NaT"], [True, True, False, False]),
        (["1970-01-01", "1970-01-01"], [False, False]),
        ([], []),
    ],
)
def test_dates_of_a_table_are_placeholders_by_the_same_rule(
    days: list[str], unknown: list[bool]
) -> None:
    assert without_date(np.array(days, dtype="datetime64[us]")).tolist() == unknown


def test_the_day_of_a_placeholder_is_that_of_the_calendar() -> None:
    assert without_date(
        np.array([date(1970, 1, 1), date(2026, 1, 1)], dtype="datetime64[us]")
    ).tolist() == [True, False]
