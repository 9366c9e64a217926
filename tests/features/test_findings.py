"""Dirty logs: everything odd is counted, what can be used is used, and the rest is told."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from clv.errors import DataError, OutputError, UsageError
from clv.features import Features, Words
from clv.schema import Window
from features.logs import DAY, NOW, Ride, activity_of, on_duckdb, registrations_of, table_of, write

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
END = "2026-10-01T00:00:00Z"  # a last ride, so that every horizon has passed


def lines(path: Path, *rows: str, header: str = "customer_id,ridden_at,amount") -> str:
    path.write_text("\n".join([header, *rows, ""]))
    return str(path)


def counted(built: Features) -> dict[str, int]:
    return {finding.code: finding.rows for finding in built.findings}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "activity.parquet"


def test_every_kind_of_dirt_is_counted_with_examples_and_the_rest_is_used(
    tmp_path: Path, output: Path
) -> None:
    log = lines(
        tmp_path / "log.csv",
        "7,2026-03-02T09:30:00Z,10.00,done",
        "7,2026-03-02 13:30:00+02:00,2.50,DONE",
        "7,2026-03-04,3.00,",
        "7,2026-03-04,3.00,done",  # again
        "7,,4.00,done",
        "7,yesterday,4.00,done",
        "7,2026-02-30T10:00:00Z,4.00,done",
        "7,2026-03-05T10:00:00Z,,done",
        "7,2026-03-05T10:00:00Z,much,done",
        "7,2026-03-05T10:00:00Z,inf,done",
        "7,2026-03-05T10:00:00Z,1e12,done",
        ",2026-03-05T10:00:00Z,4.00,done",
        "7,2027-03-05T10:00:00Z,4.00,done",
        "7,2026-03-05T10:00:00Z,4.00,Cancelled",
        "7,2026-03-06T10:00:00Z,-1.25,done",
        f"8,{END},1.00,done",
        header="customer_id,ridden_at,amount,status",
    )
    built = on_duckdb(log, output)
    assert counted(built) == {
        "no-time": 3, "no-amount": 4, "no-customer": 1, "future": 1, "cancelled": 1,
        "negative": 1, "copy": 1, "no-zone": 2, "completed": 15,
    }  # fmt: skip
    assert (built.rides_read, built.rides_used) == (16, 6)
    (seven,) = (row for row in activity_of(output) if row["id"] == 7)
    # 10 + 2.50 + 3 + 3 - 1.25; the negative amount is no ride, and 13:30+02:00 is 11:30.
    assert (seven["recency_7"], seven["frequency_7"]) == (2, 4)
    assert seven["monetary_value_7"] == 17.25
    shown = {finding.code: str(finding) for finding in built.findings}
    assert "'yesterday'" in shown["no-time"]
    assert "expected a date or time, as in 2026-11-01T08:30:00Z" in shown["no-time"]
    assert "'much'" in shown["no-amount"]
    assert "later than now, 2026-11-01 00:00 UTC" in shown["future"]
    assert {f.code: f.severity for f in built.findings}["copy"] == "kept"


def test_mixed_time_zones_are_one_time(tmp_path: Path, output: Path) -> None:
    moments = [
        "2026-03-02T09:30:00Z", "2026-03-02 09:30:00", "2026-03-02T10:30+01",
        "2026-03-02T04:00:00-0530", "2026-03-02T09:30:00.000000999Z",
        " 2026-03-02 15:15:00.000 +05:45 ",
    ]  # fmt: skip
    rows = [f"{number},{moment},1" for number, moment in enumerate(moments)]
    log = lines(tmp_path / "log.csv", *rows, f"99,{END},1")
    built = on_duckdb(log, output)
    assert counted(built) == {"no-zone": 1}
    assert {row["registered_at"] for row in activity_of(output) if row["id"] != 99} == {START}


@pytest.mark.parametrize(
    ("ids", "kind"),
    [(["7", "8"], int), (["007", "8"], str), (["a-1", "ü"], str), (["1.10", "1.1"], str)],
)
def test_ids_are_what_stands_there(
    ids: list[str], kind: type, tmp_path: Path, output: Path
) -> None:
    rows = [f"{name},2026-03-02,1" for name in ids]
    built = on_duckdb(lines(tmp_path / "log.csv", *rows, f"{ids[0]},{END[:10]},1"), output)
    assert counted(built) == ({"text-id": 2} if ids[0] == "007" else {})
    assert sorted(row["id"] for row in activity_of(output)) == sorted(map(kind, ids))


def test_ids_that_are_numbers_here_and_text_there_are_the_same_customers(
    tmp_path: Path, output: Path
) -> None:
    who = write(registrations_of({7: START, 8: START}), tmp_path / "who.parquet")
    text = pa.table({"user_id": ["7", "7"], "date": ["2026-03-03", END[:10]], "price": [2, 3]})
    built = on_duckdb(write(text, tmp_path / "log.parquet"), output, registrations=who)
    assert [(row["id"], row["monetary_value_7"]) for row in activity_of(output)] == [
        ("7", 2.0), ("8", 0.0),
    ]  # fmt: skip
    assert counted(built) == {"dates": 2}


def test_rides_of_strangers_and_before_the_registration_are_left_out_and_counted(
    tmp_path: Path, output: Path
) -> None:
    who = write(registrations_of({1: START}), tmp_path / "who.parquet")
    rides = [Ride(1, START - DAY, 900), Ride(1, START, 500), Ride(2, START, 100), Ride(3, START, 1)]
    log = write(table_of([*rides, Ride(1, START + 50 * DAY, 1)]), tmp_path / "log.parquet")
    built = on_duckdb(log, output, registrations=who)
    assert counted(built) == {"before-registration": 1, "unregistered": 2}
    assert [row["monetary_value_30"] for row in activity_of(output)] == [5.0]


def test_who_registered_twice_did_so_the_first_time(tmp_path: Path, output: Path) -> None:
    who = pa.table({"id": [1, 1, 1], "registered_at": [START + DAY, START, None]})
    log = write(table_of([Ride(1, START, 500), Ride(1, NOW - DAY, 1)]), tmp_path / "log.parquet")
    on_duckdb(log, output, registrations=write(who, tmp_path / "who.parquet"))
    assert [row["registered_at"] for row in activity_of(output)] == [START]


@pytest.mark.parametrize("kind", [pa.decimal128(25, 3), pa.int64(), pa.float32(), pa.string()])
@pytest.mark.parametrize(
    "time", [pa.timestamp("ns"), pa.timestamp("ms", "Asia/Tokyo"), pa.date32()]
)
def test_whatever_types_a_log_has_the_values_are_the_same(
    kind: pa.DataType, time: pa.DataType, tmp_path: Path, output: Path
) -> None:
    at = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 2), (3, 4), (9, 1))]
    amounts = pa.array([8, 12, 1]).cast(pa.string() if pa.types.is_string(kind) else kind)
    moments = pa.array(at, pa.timestamp("us", "UTC"))
    if not (pa.types.is_timestamp(time) and time.tz):
        moments = moments.cast(pa.timestamp("us"))
    log = pa.table({"id": [1, 1, 1], "ts": moments.cast(time), "fare": amounts})
    on_duckdb(write(log, tmp_path / "log.parquet"), output)
    (one,) = activity_of(output)
    assert (one["recency_7"], one["frequency_7"], one["monetary_value_7"]) == (3, 2, 20.0)
    assert one["registered_at"] == datetime(2026, 3, 2, tzinfo=UTC)


def test_the_words_for_cancelled_and_refund_can_be_others(tmp_path: Path, output: Path) -> None:
    log = [
        Ride(1, START, 500), Ride(1, START, 700, status="storniert"),
        Ride(1, START, 100, kind="Gutschrift"), Ride(1, NOW - DAY, 1),
    ]  # fmt: skip
    path = write(table_of(log), tmp_path / "log.parquet")
    built = on_duckdb(path, output, words=Words(["storniert"], ["gutschrift"]))
    assert counted(built) == {"completed": 3, "cancelled": 1, "refund": 1}
    assert activity_of(output)[0]["monetary_value_7"] == 4.0


def test_a_log_in_a_database_is_read_as_one_in_a_file(tmp_path: Path, output: Path) -> None:
    with sqlite3.connect(tmp_path / "log.sqlite") as connection:
        connection.execute("CREATE TABLE rides (customer_id INTEGER, date TEXT, amount REAL)")
        connection.executemany(
            "INSERT INTO rides VALUES (?, ?, ?)",
            [(1, "2026-03-02", 4.5), (1, "2026-03-05", 5.5), (1, "nonsense", 1), (1, END[:10], 1)],
        )
    built = on_duckdb(str(tmp_path / "log.sqlite"), output)
    assert counted(built) == {"no-time": 1}
    assert activity_of(output)[0]["monetary_value_7"] == 10.0


def test_an_epoch_that_is_a_float_with_gaps_is_read(tmp_path: Path, output: Path) -> None:
    seconds = [START.timestamp(), float("nan"), None, (START + 50 * DAY).timestamp()]
    log = pa.table({"id": [1, 1, 1, 1], "time": seconds, "amount": [5.0, 1.0, 1.0, 7.0]})
    built = on_duckdb(write(log, tmp_path / "log.parquet"), output)
    assert counted(built) == {"no-time": 2}
    assert [row["registered_at"] for row in activity_of(output)] == [START]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("header", "row", "says"),
    [
        ("customer_id,when,amount", "1,2026-03-02,1", "time of the ride; expected ridden_at"),
        ("customer_id,when,amount", "1,2026-03-02,1", "when, amount. Name it with --time-column"),
        ("who,date,amount", "1,2026-03-02,1", "Name it with --customer-column"),
        ("customer_id,date,paid", "1,2026-03-02,1", "Name it with --amount-column"),
        ("customer_id,date,amount", "1,2026-03-02,true", "column 'amount': no readable amount"),
    ],
)
def test_a_log_that_cannot_be_used_is_refused_by_column_and_with_what_to_do(
    header: str, row: str, says: str, tmp_path: Path, output: Path
) -> None:
    with pytest.raises(DataError, match=says):
        on_duckdb(lines(tmp_path / "log.csv", row, row, header=header), output)
    assert not output.exists()


def test_an_activity_table_is_not_taken_for_a_log(tmp_path: Path, output: Path) -> None:
    header = "id,recency_7,frequency_7,monetary_value_7"
    table = lines(tmp_path / "activity.csv", "1,1,1,8.5", header=header)
    with pytest.raises(DataError, match=r"is an activity table.*Use the table as it is"):
        on_duckdb(table, output)


def test_a_log_without_a_usable_row_says_why_not(tmp_path: Path, output: Path) -> None:
    log = lines(tmp_path / "log.csv", "1,soon,5", "2,2026-03-02,nothing")
    with pytest.raises(DataError, match=r"None of the 2 rows of '.*log.csv' can be used.*'soon'"):
        on_duckdb(log, output)
    with pytest.raises(DataError, match="no customer whose first 7 days had passed by"):
        on_duckdb(lines(tmp_path / "young.csv", "1,2026-03-02,5"), output)
    assert not output.exists()


def test_a_column_that_is_named_must_be_there(tmp_path: Path, output: Path) -> None:
    log = lines(tmp_path / "log.csv", "1,2026-03-02,1")
    with pytest.raises(DataError, match=r"--time-column 'riden_at'.*Did you mean 'ridden_at'\?"):
        on_duckdb(log, output, columns={"time": "riden_at"})


def test_an_instant_to_come_is_no_time_to_look_from(tmp_path: Path, output: Path) -> None:
    log = lines(tmp_path / "log.csv", "1,2026-03-02,1")
    with pytest.raises(UsageError, match="2026-11-02 00:00 is in the future"):
        on_duckdb(log, output, as_of=NOW + DAY)


@pytest.mark.parametrize("name", ["out.xlsx", "out"])
def test_an_output_of_no_known_kind_is_refused(name: str, tmp_path: Path) -> None:
    log = lines(tmp_path / "log.csv", "1,2026-03-02,1", f"1,{END},1")
    with pytest.raises(OutputError, match=r"Expected a name ending in \.csv or \.parquet"):
        on_duckdb(log, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_a_memory_limit_that_is_none_is_refused(tmp_path: Path, output: Path) -> None:
    log = lines(tmp_path / "log.csv", "1,2026-03-02,1", f"1,{END},1")
    with pytest.raises(UsageError, match="'much': expected a size such as 500MB or 4GB"):
        on_duckdb(log, output, memory_limit="much")


def test_csv_comes_out_where_csv_is_asked_for(tmp_path: Path) -> None:
    log = lines(tmp_path / "log.csv", "1,2026-03-02T09:30:00Z,1.50", f"1,{END},1")
    on_duckdb(log, tmp_path / "out.csv", window=Window(7, 30))
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "id,registered_at,recency_7,frequency_7,monetary_value_7,frequency_30,monetary_value_30",
        "1,2026-03-02 09:30:00+00,1,1,1.5,1,1.5",
    ]


@pytest.mark.parametrize("which", ["log.csv", "who.parquet"])
def test_the_table_never_takes_the_place_of_what_it_is_made_from(
    which: str, tmp_path: Path
) -> None:
    log = lines(tmp_path / "log.csv", "1,2026-03-02,1", f"1,{END},1")
    who = write(registrations_of({1: START}), tmp_path / "who.parquet")
    before = (tmp_path / which).read_bytes()
    with pytest.raises(UsageError, match="is the input"):
        on_duckdb(log, tmp_path / which, registrations=who)
    assert (tmp_path / which).read_bytes() == before


# ---------------------------------------------------------------- amounts and quantities


def with_end(*rows: str, last: str) -> list[str]:
    return [*rows, f"9,{END},{last}"]


@pytest.mark.parametrize(
    ("amounts", "code", "examples"),
    [
        (["8.50", "1.234"], "three-decimals", ("1.234",)),
        (["8.5", "1.234", "2.3456"], "rounded", ("1.234", "2.3456")),
        (["8.50", "1.230", "2"], None, ()),
    ],
)
def test_money_with_more_than_two_decimals_is_a_finding_of_a_log(
    amounts: list[str], code: str | None, examples: tuple[str, ...], tmp_path: Path, output: Path
) -> None:
    rows = [f"7,2026-03-02T09:30:00Z,{amount}" for amount in amounts]
    typed = pa.table(
        {
            "customer_id": [7] * len(amounts) + [9],
            "ridden_at": ["2026-03-02T09:30:00Z"] * len(amounts) + [END],
            "amount": [float(one) for one in amounts] + [1.0],
        }
    )
    for log in (
        lines(tmp_path / "log.csv", *with_end(*rows, last="1")),
        write(typed, tmp_path / "log.parquet"),
    ):
        built = on_duckdb(log, output)
        found = [one for one in built.findings if one.code in ("three-decimals", "rounded")]
        assert [one.code for one in found] == ([code] if code else [])
        if code:
            assert (found[0].column, found[0].rows) == ("amount", len(examples))
            assert found[0].examples == examples
            assert "rounded to cents" in found[0].action


def test_floats_of_32_bits_have_no_more_decimals_than_they_say(
    tmp_path: Path, output: Path
) -> None:
    fares = pa.array([8.1, 23.11, 1234.56, 99999.99, 1.0], pa.float32())
    times = ["2026-03-02T09:30:00Z"] * 4 + [END]
    log = pa.table({"customer_id": [1, 2, 3, 4, 1], "ridden_at": times, "amount": fares})
    assert counted(on_duckdb(write(log, tmp_path / "log.parquet"), output)) == {}


def test_unreadable_and_negative_quantities_are_reported_under_their_own_column(
    tmp_path: Path, output: Path
) -> None:
    log = lines(
        tmp_path / "log.csv",
        *with_end(
            "7,2026-03-02,4.00,2",
            "7,2026-03-03,4.00,many",
            "7,2026-03-03,4.00,",
            "7,2026-03-03,much,1",
            "7,2026-03-04,4.00,-1",
            "7,2026-03-05,-0.50,2",
            last="1,1",
        ),
        header="customer_id,ridden_at,price,pieces",
    )
    built = on_duckdb(log, output, columns={"quantity": "pieces"})
    found = {(one.code, one.column): (one.rows, one.examples) for one in built.findings}
    assert found["no-quantity", "pieces"] == (2, ("'many'",))
    assert found["no-amount", "price"] == (1, ("'much'",))
    assert found["negative", "pieces"][0] == found["negative", "price"][0] == 1
    (seven,) = (row for row in activity_of(output) if row["id"] == 7)
    assert seven["monetary_value_7"] == 3.0  # 2 * 4 - 4 - 2 * 0.50


def test_a_wrong_column_of_quantities_is_refused_by_its_name(tmp_path: Path, output: Path) -> None:
    rows = [f"7,2026-03-0{day},4.00,many" for day in range(1, 5)]
    log = lines(
        tmp_path / "log.csv", *with_end(*rows, last="1,1"),
        header="customer_id,ridden_at,price,pieces",
    )  # fmt: skip
    with pytest.raises(
        DataError, match=r"column 'pieces': no readable quantity.*--quantity-column"
    ):
        on_duckdb(log, output, columns={"quantity": "pieces"})


def test_quantities_are_read_in_the_notation_of_their_column(tmp_path: Path, output: Path) -> None:
    log = lines(
        tmp_path / "log.csv", *with_end('7,2026-03-02,4.00,"2,5"', last='1,"1,5"'),
        header="customer_id,ridden_at,price,kilos",
    )  # fmt: skip
    on_duckdb(log, output, columns={"quantity": "kilos"})
    (seven,) = (row for row in activity_of(output) if row["id"] == 7)
    assert seven["monetary_value_7"] == 10.0
