"""Numbers as people write them: read as they were meant, or refused, never another number."""

import json
import sqlite3
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clv.data.conform import read_numbers
from clv.data.customers import Customers, read_customers
from clv.data.numbers import (
    NOTATIONS,
    Notation,
    NumberCounts,
    NumberFormat,
    count_numbers,
    decide,
)
from clv.data.sources import open_source
from clv.errors import DataError, UsageError
from clv.schema import DEFAULT_TABLE, MAX_MONETARY, Column, Window

HEADER = "id;recency_7;frequency_7;monetary_value_7\n"
MONEY = Column(("m",), -MAX_MONETARY, MAX_MONETARY, False, "money")
WORDS = {" ": "space", "": "none"}
CURRENCIES = ("", "€", "$", "US$", "EUR", "CHF", "kr", "Rs.")


def written(value: Decimal, notation: Notation, decimals: int, form: str, currency: str) -> str:
    """A number as somebody writes it."""
    text = f"{abs(value):,.{decimals}f}"
    text = text.translate({ord(","): notation.thousands or None, ord("."): notation.decimal})
    sign = "-" if value < 0 else ""
    return {
        "before": f"{sign}{currency} {text}" if currency else f"{sign}{text}",
        "after": f"{sign}{text} {currency}".rstrip(),
        "tight": f"{currency}{sign}{text}",
        "accounts": f"({currency}{text})" if sign else f"{currency}{text}",
        "trailing": f"{text}{sign}",
        "narrow": f"{sign}{text}".replace(" ", "\u202f"),
    }[form]


@st.composite
def columns(draw: st.DrawFn, least: int = -(10**8)) -> tuple[list[Decimal], list[str], Notation]:
    notation = draw(st.sampled_from(NOTATIONS))
    form = draw(st.sampled_from(("before", "after", "tight", "accounts", "trailing", "narrow")))
    currency = draw(st.sampled_from(CURRENCIES))
    most = draw(st.sampled_from((0, 1, 2, 3)))
    values, texts = [], []
    for _ in range(draw(st.integers(1, 8))):
        decimals = draw(st.integers(0, most))
        value = Decimal(draw(st.integers(least, 10**8))).scaleb(-decimals)
        values.append(value)
        texts.append(written(value, notation, decimals, form, currency))
    return values, texts, notation


def read_as(texts: list[str | None], told: NumberFormat = NumberFormat()) -> list[float]:  # noqa: B008
    array = pa.array(texts, pa.string())
    half = len(texts) // 2
    counts = count_numbers(array[:half]) + count_numbers(array[half:])
    counts = NumberCounts.from_json(counts.to_json())
    notation, _ = decide("m", counts, told)
    return read_numbers(array, "m", MONEY, notation)[0].tolist()


@settings(max_examples=250, deadline=None, derandomize=True)
@given(columns())
def test_a_column_is_read_as_it_was_meant_or_refused(column):
    values, texts, _ = column
    assert read_or_none(texts) in (None, [float(value) for value in values])


@settings(max_examples=120, deadline=None, derandomize=True)
@given(columns(), st.booleans())
def test_whoever_says_the_notation_gets_every_number(column, whole):
    values, texts, notation = column
    thousands = WORDS.get(notation.thousands, notation.thousands) if whole else None
    told = NumberFormat(notation.decimal, thousands)  # type: ignore[arg-type]
    assert read_as(texts, told) == [float(value) for value in values]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(columns(), columns())
def test_two_notations_in_one_column_are_never_another_number(one, other):
    values = [float(value) for value in one[0] + other[0]]
    try:
        read = read_as(one[1] + other[1])
    except DataError:
        return
    # What both notations share was not ambiguous in either.
    fits_both = [read_or_none(one[1]), read_or_none(other[1])]
    assume(None not in fits_both)
    assert read == values


def read_or_none(texts: list[str]) -> list[float] | None:
    try:
        return read_as(list(texts))
    except DataError as refused:
        says = str(refused)
    assert "--decimal" in says
    return None


@settings(max_examples=25, deadline=None, derandomize=True)
@given(columns(least=0), st.sampled_from(("csv", "sqlite")))
def test_so_it_is_from_a_file(column, kind):
    values, texts, _ = column
    with tempfile.TemporaryDirectory() as folder:
        rows = [(row, 1, 1, text) for row, text in enumerate(texts)]
        location = Path(folder) / f"list.{kind}"
        if kind == "csv":
            lines = "".join(f"{row};1;1;{text}\n" for row, _, _, text in rows)
            location.write_text(HEADER + lines)
        else:
            with sqlite3.connect(location) as connection:
                connection.execute(f"CREATE TABLE {DEFAULT_TABLE} ({HEADER.replace(';', ',')})")
                connection.executemany(f"INSERT INTO {DEFAULT_TABLE} VALUES (?, ?, ?, ?)", rows)
            connection.close()
        try:
            found = customers(location).activity.monetary.tolist()
        except DataError:
            found = None
    assert found in (None, [float(value) for value in values])


def customers(location: Path, decimal: str | None = None) -> Customers:
    numbers = NumberFormat(decimal)  # type: ignore[arg-type]
    with open_source(location, numbers=numbers) as source:
        return read_customers(source, Window())


def list_of(tmp_path: Path, *money: str) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(HEADER + "".join(f"{row};1;1;{text}\n" for row, text in enumerate(money)))
    return path


@pytest.mark.parametrize(
    ("texts", "numbers", "said"),
    [
        (["1.234,50", "8,5"], [1234.5, 8.5], "read as 1.234,50: '.' for thousands, ',' as decimal"),
        (["1 234,5", "7"], [1234.5, 7], "space for thousands"),
        (["1\u00a0234,5", "7"], [1234.5, 7], "space for thousands"),
        (["1'234.50", "9"], [1234.5, 9], "apostrophe for thousands"),
        (["€23.11", "5"], [23.11, 5], "currency €"),
        (["23,11 €", "5"], [23.11, 5], "currency €"),
        (["$1,234.00", "7"], [1234, 7], "currency $"),
        (["10 USD", "8"], [10, 8], "currency USD"),
        (["1,23,456.50", "1,00,000"], [123456.5, 100000], "',' for thousands"),
        (["1,234,567", "1,234"], [1234567, 1234], "',' for thousands"),
        (["0,125", "1,234"], [0.125, 1.234], "',' as decimal mark"),
    ],
    ids=str,
)
def test_an_unambiguous_column_is_read_and_said(texts, numbers, said, tmp_path):
    found = customers(list_of(tmp_path, *texts))
    assert found.activity.monetary.tolist() == numbers
    (finding,) = (one for one in found.findings if one.code == "notation")
    assert said in finding.says
    assert "--decimal" in finding.action


@pytest.mark.parametrize("text", ["(12.50)", "12.50-", "-12.50", "($12.50)", "−12.50"])
def test_a_negative_amount_is_negative_however_it_is_written(text):
    assert read_as([text, "7.25"]) == [-12.5, 7.25]


@pytest.mark.parametrize("texts", [("1,234", "900"), ("1.234", "900"), ("1.234",), ("$1,234", "5")])
def test_a_column_that_can_be_read_in_two_ways_is_refused_until_the_user_says(texts, tmp_path):
    path = list_of(tmp_path, *texts)
    with pytest.raises(DataError) as refused:
        customers(path)
    for part in ("monetary_value_7", texts[0], "two ways", "--decimal .", "--decimal ,"):
        assert part in str(refused.value)
    mark = "," if "," in texts[0] else "."
    other = "." if mark == "," else ","
    assert customers(path, other).activity.monetary[0] == 1234
    assert customers(path, mark).activity.monetary[0] == 1.234


def test_two_notations_are_refused_with_an_example_of_each(tmp_path):
    path = list_of(tmp_path, "1.234,50", "8.50")
    with pytest.raises(DataError, match=r"two notations, for example '8\.50' and '1\.234,50'"):
        customers(path)
    with pytest.raises(DataError, match=r"row 2 holds '8\.50'"):
        customers(path, ",")


def test_a_column_of_two_currencies_is_refused(tmp_path):
    with pytest.raises(DataError, match="several currencies, for example INR and USD"):
        customers(list_of(tmp_path, "10 USD", "8319.00 INR"))


def test_a_number_within_words_is_none(tmp_path):
    with pytest.raises(DataError, match="row 2 holds '12 USD 345'"):
        customers(list_of(tmp_path, "1,5 USD", "12 USD 345"))


def test_money_with_three_decimals_is_a_finding(tmp_path):
    found = customers(list_of(tmp_path, "1.234", "8.5"))
    assert found.activity.monetary.tolist() == [1.234, 8.5]
    (finding,) = found.findings
    assert (finding.code, finding.rows, finding.examples) == ("three-decimals", 1, ("1.234",))
    assert customers(list_of(tmp_path, "1.2345", "8.125")).findings == ()


def test_only_columns_that_are_needed_are_judged(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(HEADER.replace("id;", "id;note;") + "1;1,234;1;1;8.5\n")
    assert customers(path).activity.monetary.tolist() == [8.5]


def test_numbers_that_are_numbers_are_not_read_twice(tmp_path):
    table = pa.table(dict(zip(HEADER.strip().split(";"), ([1], [1], [1], [1.234]), strict=True)))
    pyarrow.parquet.write_table(table, tmp_path / "list.parquet")
    with open_source(tmp_path / "list.parquet") as source:
        assert source.texts(source.columns) == []
        assert read_customers(source, Window()).activity.monetary.tolist() == [1.234]
    clean = list_of(tmp_path, "1.234", "8.5")
    with open_source(clean) as source:
        assert source.texts(source.columns) == []


def test_one_mark_for_both_is_wrong_usage():
    with pytest.raises(UsageError, match="both ','; expected two different ones"):
        NumberFormat(",", ",")


def test_what_is_counted_survives_being_sent():
    counts = count_numbers(pa.array(["1,5", "8 EUR", None, "x"]))
    assert NumberCounts.from_json(counts.to_json()) == counts
    assert json.loads(counts.to_json())[0] == 2
    assert np.isnan(read_as([None, "1,5"])[0])
