"""Columns are found under their names, and each broken rule is pointed at."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.conform import (
    ColumnNames,
    Conformed,
    choose_notation,
    conform,
    find_columns,
    read_instants,
)
from clv.errors import DataError
from clv.schema import Window

COLUMNS = ("id", "recency_7", "frequency_7", "monetary_value_7", "monetary_value_30")
NAMES = ColumnNames("id", COLUMNS[1:4], "monetary_value_30")
GOOD: dict[str, Any] = dict(zip(COLUMNS, (1, 2, 3, 8.5, 9.5), strict=True))


def conformed(*rows: dict[str, Any], names: ColumnNames = NAMES) -> Conformed:
    return conform(pa.RecordBatch.from_pylist(list(rows)), names, Window())


# ---------------------------------------------------------------- finding the columns


def test_columns_are_found_under_their_names_in_any_order():
    found = find_columns("x.csv", ["note", *COLUMNS[::-1]], Window(), need_outcome=True)
    assert found == NAMES
    assert found.all() == list(COLUMNS)


@pytest.mark.parametrize("name", ["id", "passenger_id", "customer_id"])
def test_the_id_has_three_names(name):
    found = find_columns("x.csv", [name, *COLUMNS[1:]], Window(), need_outcome=True)
    assert found.id == name


def test_money_has_a_short_name_too():
    short = ["id", "recency_7", "frequency_7", "monetary_7", "monetary_30"]
    assert find_columns("x.csv", short, Window(), need_outcome=True).all() == short


def test_the_names_follow_the_window():
    names = ["id", "recency_14", "frequency_14", "monetary_value_14", "monetary_value_90"]
    assert find_columns("x", names, Window(14, 90), need_outcome=True).all() == names


def test_the_outcome_is_needed_only_where_it_is_asked_for():
    without = COLUMNS[:4]
    assert find_columns("x.csv", without, Window(), need_outcome=False).outcome is None
    with pytest.raises(DataError, match="'monetary_value_30'"):
        find_columns("x.csv", without, Window(), need_outcome=True)


@pytest.mark.parametrize(
    ("missing", "there", "meaning"),
    [
        ("id", "Id", "identifies the customer"),
        ("recency_7", "Recency_7", "day of the last ride, counted from registration"),
        ("frequency_7", "frequencies_7", "rides in the first 7 days"),
        ("monetary_value_7", "monetary_values_7", "money spent in the first 7 days"),
        ("monetary_value_30", "monetary_value30", "money spent in the first 30 days"),
    ],
)
def test_a_misnamed_column_is_told_with_its_meaning_and_the_nearest_name(missing, there, meaning):
    names = [there if name == missing else name for name in COLUMNS]
    with pytest.raises(DataError) as refused:
        find_columns("my.csv", names, Window(), need_outcome=True)
    assert str(refused.value) == (
        f"Column '{missing}' ({meaning}) is missing from 'my.csv'; columns there: "
        f"{', '.join(names)}. Did you mean '{there}'? "
        "Rename the column or make a view that does."
    )


def test_a_column_unlike_any_other_is_told_without_a_guess():
    with pytest.raises(DataError, match=r"columns there: a, b\. Rename the column"):
        find_columns("my.csv", ["a", "b"], Window(), need_outcome=False)


# ---------------------------------------------------------------- reading the numbers


def test_a_good_row_has_no_problem():
    good = conformed(GOOD)
    assert good.problems == ()
    assert good.usable.tolist() == [True]
    assert good.activity.matrix().tolist() == [[2.0, 3.0, 8.5]]
    assert good.outcome is not None
    assert good.outcome.tolist() == [9.5]


def test_a_customer_without_a_ride_is_a_good_row():
    nobody = GOOD | {"recency_7": 0, "frequency_7": 0, "monetary_value_7": 0}
    assert conformed(nobody).problems == ()


def test_the_limits_themselves_are_valid():
    rows = [
        GOOD | {"recency_7": 7, "frequency_7": 10_000, "monetary_value_7": 1e9},
        GOOD | {"recency_7": 1, "frequency_7": 1, "monetary_value_7": 0.0},
    ]
    assert conformed(*rows).problems == ()


nan, inf = float("nan"), float("inf")
BROKEN = [
    ("recency_7", None, "null", "empty; expected a whole number from 0 to 7"),
    ("recency_7", "Monday", "not-a-number", "not a number; expected a whole number from 0 to 7"),
    ("recency_7", -1, "negative", "negative; expected a whole number from 0 to 7"),
    ("recency_7", 8, "too-large", "too large; expected a whole number from 0 to 7"),
    ("recency_7", 1.5, "fraction", "not whole; expected a whole number from 0 to 7"),
    ("recency_7", nan, "non-finite", "not finite; expected a whole number from 0 to 7"),
    ("frequency_7", 10_001, "too-large", "too large; expected a whole number from 0 to 10,000"),
    ("frequency_7", 2.5, "fraction", "not whole; expected a whole number from 0 to 10,000"),
    ("frequency_7", True, "not-a-number", "(rides in the first 7 days)"),
    ("frequency_7", datetime(2026, 1, 2, tzinfo=UTC), "not-a-number", "not a number"),
    ("monetary_value_7", -0.01, "negative", "expected a number from 0 to 1,000,000,000"),
    ("monetary_value_7", 2e9, "too-large", "too large; expected a number from 0 to 1,000,000,000"),
    ("monetary_value_7", inf, "non-finite", "(money spent in the first 7 days)"),
    ("monetary_value_7", "8,50", "not-a-number", "not a number"),
    ("monetary_value_7", "1_000", "not-a-number", "not a number"),
    ("monetary_value_7", "", "not-a-number", "not a number"),
    ("monetary_value_7", "nan", "non-finite", "not finite"),
    ("monetary_value_7", [1.0], "not-a-number", "not a number"),
    ("monetary_value_30", None, "null", "(money spent in the first 30 days)"),
    ("monetary_value_30", -1.0, "negative", "negative; expected a number"),
    ("id", None, "null", "missing id"),
]


@pytest.mark.parametrize(("column", "value", "code", "says"), BROKEN, ids=str)
def test_a_value_that_breaks_a_rule_is_pointed_at(column, value, code, says):
    broken = conformed(GOOD | {column: value})
    (problem,) = broken.problems
    assert (problem.code, problem.column) == (code, column)
    assert says in problem.says
    assert problem.rows.tolist() == [True]
    assert problem.values[0] is value or problem.values[0] == value or value != value  # noqa: PLR0124
    assert not broken.usable.any()


def test_only_the_row_at_fault_is_unusable():
    rows = [GOOD, GOOD | {"recency_7": 9}, GOOD, GOOD | {"recency_7": -2, "frequency_7": None}]
    found = conformed(*rows)
    assert found.usable.tolist() == [True, False, True, False]
    assert {problem.code: np.flatnonzero(problem.rows).tolist() for problem in found.problems} == {
        "too-large": [1],
        "negative": [3],
        "null": [3],
    }


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ((3, 0, 0.0), "recency-without-rides"),
        ((0, 0, 5.0), "money-without-rides"),
        ((0, 2, 5.0), "rides-without-recency"),
    ],
)
def test_values_that_cannot_stand_in_one_row_are_pointed_at(values, code):
    row = GOOD | dict(zip(COLUMNS[1:4], values, strict=True))
    (problem,) = conformed(row).problems
    assert problem.code == code
    assert problem.column == "recency_7, frequency_7, monetary_value_7"
    assert problem.values[0] == "recency_7={}, frequency_7={}, monetary_value_7={:g}".format(
        *values
    )


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(21, 2)], ids=str
)
def test_numbers_may_be_of_any_type(kind):
    batch = pa.RecordBatch.from_pylist([GOOD])
    for position, name in enumerate(COLUMNS[:4]):
        whole = pa.array([GOOD[name] // 1]).cast(kind)
        batch = batch.set_column(position, name, whole)
    read = conform(batch, NAMES, Window())
    assert read.problems == ()
    assert read.activity.matrix().tolist() == [[2.0, 3.0, 8.0]]


def test_numbers_may_stand_as_text_beside_words():
    texts = ["8.5", " 8.5 ", "85e-1", "+8.5", "word"]
    read = conformed(*(GOOD | {"monetary_value_7": text} for text in texts))
    assert read.activity.monetary[:4].tolist() == [8.5] * 4
    assert read.usable.tolist() == [True] * 4 + [False]


@settings(derandomize=True)
@given(st.integers(0, 10**11))
def test_a_decimal_and_a_float_of_the_same_digits_are_the_same_number(cents):
    money = Decimal(cents).scaleb(-2)
    read = conformed(GOOD | {"monetary_value_7": money})
    assert read.activity.monetary[0] == float(str(money))


@pytest.mark.parametrize("name", [b"\xff\x00", [1], {"a": 1}], ids=str)
def test_ids_that_no_output_could_hold_are_refused(name):
    with pytest.raises(DataError, match=r"^Column 'id' holds .*; expected whole numbers or text"):
        conformed(GOOD | {"id": name})


def test_all_examples_stand_in_their_rows_however_many_there_are():
    found = conformed(*(GOOD | {"recency_7": 100 + row} for row in range(40)))
    (problem,) = found.problems
    assert problem.rows.sum() == 40
    assert problem.values[:3].tolist() == [100, 101, 102]


# ---------------------------------------------------------------- who returned, who registered when

OPTIONAL = ColumnNames("id", COLUMNS[1:4], "monetary_value_30", "frequency_30", "registered_at")


def test_the_optional_columns_are_used_where_there_are_any_and_an_outcome_is_needed():
    available = [*COLUMNS, "frequency_30", "registered_at"]
    assert find_columns("x.csv", available, Window(), need_outcome=True) == OPTIONAL
    assert find_columns("x.csv", available, Window(), need_outcome=False).all() == list(COLUMNS[:4])
    assert find_columns("x.csv", COLUMNS, Window(), need_outcome=True).registered_at is None


def test_who_returned_is_told_by_rides_where_they_are_counted_and_else_by_money():
    by_money = conformed(GOOD, GOOD | {"monetary_value_30": 8.5}, GOOD | {"monetary_value_30": 8.0})
    assert by_money.returned is not None
    assert by_money.returned.tolist() == [True, False, False]
    rows = [
        GOOD | {"frequency_30": rides, "registered_at": None, "monetary_value_30": month}
        for rides, month in ((3, 9.5), (4, 8.5), (2, 8.5), (None, 9.5), (None, 8.5))
    ]
    by_rides = conformed(*rows, names=OPTIONAL)
    assert by_rides.returned is not None
    assert by_rides.returned.tolist() == [False, True, False, True, False]


def test_noise_in_the_last_digits_is_no_return():
    returned = conformed(GOOD | {"monetary_value_7": 0.3, "monetary_value_30": 0.1 + 0.2}).returned
    assert returned is not None
    assert returned.tolist() == [False]


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        "2026-03-01 12:00:00",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00Z",
        "2026-03-01T14:00:00+02:00",
    ],
)
def test_a_registration_is_read_as_utc_whatever_it_is_written_as(value):
    assert registered(value).tolist() == [datetime(2026, 3, 1, 12)]  # noqa: DTZ001


def test_a_day_is_its_first_moment_and_what_is_no_date_is_none():
    days = registered("2026-03-01", "soon", None, "2026-03-02 10:30")
    assert days.astype("datetime64[m]").astype(str).tolist() == [
        "2026-03-01T00:00",
        "NaT",
        "NaT",
        "2026-03-02T10:30",
    ]


@pytest.mark.parametrize("value", [1767225600, 20260101, 1767225600000])
def test_a_whole_number_is_a_date_if_it_can_be_only_one(value):
    assert registered(value).tolist() == [datetime(2026, 1, 1)]  # noqa: DTZ001


@pytest.mark.parametrize("value", [46023.0, 46023, 12])
def test_any_other_number_is_no_date(value):
    assert np.isnat(registered(value)).all()


def test_a_moment_beyond_the_calendar_is_no_date():
    assert np.isnat(registered("9999-12-31T23:59:59-03:00", "n/a")).all()


def registered(*values: Any) -> Any:
    """Dates of registration of rows that are good otherwise."""
    rows = [GOOD | {"frequency_30": 3, "registered_at": value} for value in values]
    found = conformed(*rows, names=OPTIONAL)
    assert found.problems == ()
    assert found.registered_at is not None
    return read_instants(found.registered_at, choose_notation("column", [found.registered_at]))
