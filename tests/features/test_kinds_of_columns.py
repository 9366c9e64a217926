"""Ride logs in Parquet and DuckDB files: every type that other programs write for a column."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from clv.features import build, duckdb_engine
from clv.schema import Window

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TIMES = [datetime(2025, 1, 1, 10), datetime(2025, 1, 3, 10), datetime(2025, 4, 1)]  # noqa: DTZ001
COLUMNS = {
    "customer_id": pa.array([1, 1, 2]),
    "ridden_at": pa.array(TIMES, pa.timestamp("us")),
    "amount": pa.array([7.25, 3.0, 5.0]),
}
RIGHT = ["1", "3", "2", "10.25", "2", "10.25"]


def first_customer(log: Path, codes: set[str] | None = None) -> list[str]:
    """The first row of the activity table, without the date of registration."""
    output = log.with_name("activity.csv")
    with duckdb_engine(output) as engine:
        built = build(engine, str(log), str(output), window=Window(), now=NOW)
    assert {finding.code for finding in built.findings} == (codes or set())
    with output.open() as file:
        row = list(csv.reader(file))[1]
    return [row[0], *row[2:]]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("customer_id", pa.array([1, 1, 2], pa.uint64())),
        ("customer_id", pa.array([Decimal(1), Decimal(1), Decimal(2)], pa.decimal128(38, 0))),
        ("customer_id", pa.array([Decimal(1), Decimal(1), Decimal(2)], pa.decimal128(20, 2))),
        ("ridden_at", pa.array(TIMES, pa.timestamp("ns", "UTC"))),
        ("ridden_at", pa.array(TIMES, pa.timestamp("ns"))),
        ("amount", pa.array([Decimal("7.25"), Decimal(3), Decimal(5)], pa.decimal256(40, 2))),
    ],
    ids=lambda one: str(getattr(one, "type", one)),
)
def test_types_of_other_programs_are_read(column, values, tmp_path):
    log = tmp_path / "log.parquet"
    pyarrow.parquet.write_table(pa.table(COLUMNS | {column: values}), log)
    assert first_customer(log) == RIGHT


def test_whole_numbers_without_a_sign_are_amounts_and_times(tmp_path):
    log = tmp_path / "log.parquet"
    seconds = [int(time.replace(tzinfo=UTC).timestamp()) for time in TIMES]
    columns = {
        "ridden_at": pa.array(seconds, pa.uint64()),
        "amount": pa.array([7, 3, 5], pa.uint64()),
    }
    pyarrow.parquet.write_table(pa.table(COLUMNS | columns), log)
    assert first_customer(log) == ["1", "3", "2", "10.0", "2", "10.0"]


def test_an_amount_that_is_nan_is_no_amount(tmp_path):
    log = tmp_path / "log.parquet"
    amounts = pa.array([7.25, float("nan"), 5.0])
    pyarrow.parquet.write_table(pa.table(COLUMNS | {"amount": amounts}), log)
    assert first_customer(log, {"no-amount"}) == ["1", "1", "1", "7.25", "1", "7.25"]


def test_words_of_a_duckdb_file_may_be_an_enumeration(tmp_path):
    log = tmp_path / "log.duckdb"
    with duckdb.connect(str(log)) as connection:
        connection.execute(
            "CREATE TABLE rides AS SELECT customer_id, ridden_at::TIMESTAMP AS ridden_at, "
            "amount::UHUGEINT AS amount, status::ENUM('done', 'cancelled') AS status FROM (VALUES "
            "(7, '2025-01-01 10:00', 7, 'done'), (7, '2025-01-03', 8, 'cancelled'), "
            "(8, '2025-04-01', 5, 'done')) AS rides(customer_id, ridden_at, amount, status)"
        )
    expected = ["7", "1", "1", "7.0", "1", "7.0"]
    assert first_customer(log, {"cancelled", "completed"}) == expected
