"""Amounts of a ride log are decided by the rule of activity tables, on every engine."""

from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.numbers import NumberFormat, count_numbers, decide, to_floats
from clv.errors import DataError
from clv.features import Reading, build, duckdb_engine
from clv.features.amounts import amount, notation_of_amounts
from clv.schema import Window
from features.logs import NOW

TEXTS = ("1.234,50", "8,5", "1,234", "1.234", "7", "€5", "(3,5)", "2.5-", "1 234", "x", "", "9e1")


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
        (["1 234,5", "(3,00)"], [1234.5, 0]),
        (["12.25", "8"], [12.25, 8]),
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


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6))
def test_both_forms_of_the_rule_decide_alike(tmp_path_factory, texts):
    array = pa.array(texts)
    try:
        expected = decide("amount", count_numbers(array), NumberFormat())
    except DataError as refused:
        expected = str(refused)
    with duckdb_engine(tmp_path_factory.mktemp("engine") / "x.parquet") as engine:
        log = ibis.memtable(pa.table({"amount": array}))
        try:
            found = notation_of_amounts(engine, log, "amount", NumberFormat())
        except DataError as refused:
            found = str(refused)
        if isinstance(found, str) or isinstance(expected, str):
            assert isinstance(found, str)
            assert isinstance(expected, str)
            assert found.partition("'")[0] == expected.partition("'")[0]
            return
        assert found == expected
        notation = found[0]
        if notation is None:
            return
        rows = engine.fetch(log.select(value=amount(log.amount, notation)))
    values, unreadable = to_floats(array, notation)
    assert [row["value"] for row in rows] == [
        None if bad else value for value, bad in zip(values.tolist(), unreadable, strict=True)
    ]
