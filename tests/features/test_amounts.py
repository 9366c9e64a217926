"""Amounts of a ride log are decided by the rule of activity tables, on every engine."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from clv.data.numbers import NumberFormat, count_numbers, decide, to_floats
from clv.errors import DataError
from clv.features import Reading, build, duckdb_engine
from clv.features.amounts import amount, notation_of_numbers
from clv.features.engine import Engine
from clv.schema import Window
from features.logs import NOW


def read(tmp_path: Path, amounts: list[str], told: NumberFormat = NumberFormat()) -> list[float]:  # noqa: B008
    """Amounts of customers by id, each with one ride."""
    lines = [f"{row};2026-01-0{1 + row % 9};{text}" for row, text in enumerate(amounts)]
    log = tmp_path / "rides.csv"
    log.write_text("\n".join(("customer_id;time;amount", *lines, "99;2026-06-01;1", "")))
    output = tmp_path / "activity.parquet"
    with duckdb_engine(output) as engine:
        build(
            engine,
            str(log),
            str(output),
            window=Window(),
            now=NOW,
            reading=Reading(numbers=told),
        )
    table = pa.parquet.read_table(output)
    rows = zip(table["id"].to_pylist(), table["monetary_value_7"].to_pylist(), strict=True)
    return [money for _, money in sorted(rows) if _ != 99]


@pytest.mark.parametrize(
    ("amounts", "read_as"),
    [
        (["1.234,50", "8,5"], [1234.5, 8.5]),
        (["$1,234.00", "7"], [1234, 7]),
        (["1 234,5", "3,00"], [1234.5, 3]),
        (["12.25", "8"], [12.25, 8]),
        (["5,-", "7,– €", "3,50"], [5, 7, 3.5]),
    ],
)
def test_amounts_are_read_as_people_write_them(amounts, read_as, tmp_path):
    assert read(tmp_path, amounts) == read_as


@pytest.mark.parametrize("amounts", [["1,234", "900"], ["1.234", "900"]])
def test_amounts_that_can_be_read_in_two_ways_are_refused(amounts, tmp_path):
    with pytest.raises(DataError, match=r"Column 'amount' can be read in two ways.*--decimal"):
        read(tmp_path, amounts)
    other = "." if "," in amounts[0] else ","
    assert read(tmp_path, amounts, NumberFormat(other)) == [1234, 900]  # type: ignore[arg-type]


COLUMNS = (
    ["1.234,50", "8,5", "1,234"],
    ["1,234", "7"],
    ["1.234,50", "2.50"],
    ["€5", "(3,5)", "x", ""],
    ["1 234", "1\u00a0234,5", "9e1"],
    ["2.5-", "−8", "7"],
    ["85e-1", "1,5"],
    ["1'234.5", "7 USD"],
    ["7 USD", "8 INR"],
    ["8.5", "nan", "x"],
    ["1,23,456", "5"],
    ["5,-", "5,-- €", "2,50-", "7.-kr", "1.-5"],
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with duckdb_engine(tmp_path_factory.mktemp("engine") / "x.parquet") as running:
        yield running


@pytest.mark.parametrize("texts", COLUMNS, ids=str)
def test_both_forms_of_the_rule_decide_alike(texts, engine, tmp_path):
    array = pa.array(texts)
    path = tmp_path / "log.parquet"
    pyarrow.parquet.write_table(pa.table({"amount": array}), path)
    log = engine.open(str(path), "rides", text=[]).table()
    expected = decided(lambda: decide("amount", count_numbers(array), NumberFormat()))
    found = decided(lambda: notation_of_numbers(engine, log.amount, "amount", NumberFormat()))
    assert found == expected
    if isinstance(found, str) or found[0] is None:
        return
    rows = engine.fetch(log.select(value=amount(log.amount, found[0])))
    values, unreadable = to_floats(array, found[0])
    assert [row["value"] for row in rows] == [
        None if bad else value for value, bad in zip(values.tolist(), unreadable, strict=True)
    ]


def decided(decision: Callable[[], Any]) -> Any:
    """What was decided, or why it was refused, without its examples."""
    try:
        return decision()
    except DataError as refused:
        return re.sub("for example .*?\\.|'.*?'", "", str(refused))
