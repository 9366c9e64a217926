"""The contract of the data: windows, columns, activity, and what cannot stand in one row."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv import schema
from clv.errors import DataError
from clv.schema import CONTRADICTIONS, FEATURES, Activity, Window

days = st.integers(1, 400)


@settings(derandomize=True)
@given(days, days)
def test_the_names_of_the_columns_follow_the_days(observation, more):
    window = Window(observation, observation + more)
    horizon = observation + more
    assert [column.name for column in window.features] == [
        f"recency_{observation}",
        f"frequency_{observation}",
        f"monetary_value_{observation}",
    ]
    assert window.outcome.name == f"monetary_value_{horizon}"
    assert window.prediction == f"monetary_{horizon}"
    assert window.outcome.names == (window.outcome.name, window.prediction)
    assert window.features[0].high == observation
    assert all(str(observation) in column.meaning for column in window.features[1:])


@settings(derandomize=True)
@given(st.integers(-5, 60), st.integers(-5, 60))
def test_a_window_ends_before_its_horizon_or_cannot_be_made(observation, horizon):
    if 0 < observation < horizon:
        assert Window(observation, horizon).horizon_days == horizon
    else:
        with pytest.raises(ValueError, match="expected 0 < observation_days < horizon_days") as no:
            Window(observation, horizon)
        assert f"observation_days={observation}, horizon_days={horizon}" in str(no.value)


def test_the_usual_window_is_a_week_of_a_month():
    assert Window() == Window(7, 30)
    assert [column.name for column in Window().features] == [
        "recency_7",
        "frequency_7",
        "monetary_value_7",
    ]


def test_a_window_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Window().horizon_days = 60  # type: ignore[misc]


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (schema.RECENCY, "a whole number from 0 to 7"),
        (schema.FREQUENCY, "a whole number from 0 to 10,000"),
        (schema.MONETARY, "a number from 0 to 1,000,000,000"),
    ],
)
def test_what_is_expected_of_a_column_is_said_in_words(position, expected):
    assert Window().features[position].expected == expected


def test_activity_is_three_columns_of_one_length():
    activity = Activity.of([1, 7], (2, 3), np.array([8.5, 20]))
    assert len(activity) == 2
    assert activity.matrix().tolist() == [[1, 2, 8.5], [7, 3, 20]]
    assert activity.matrix().dtype == np.float64
    assert FEATURES == ("recency", "frequency", "monetary")


def test_one_customer_is_an_activity_too():
    assert Activity.of(1, 2, 8.5).matrix().tolist() == [[1, 2, 8.5]]


@pytest.mark.parametrize(
    "columns",
    [
        ([1, 2], [1], [1, 2]),
        ([1], [1], []),
        ([[1, 2]], [[1, 2]], [[1, 2]]),
        (1, [1, 2], [1, 2]),
    ],
    ids=str,
)
def test_columns_of_other_shapes_are_refused(columns):
    with pytest.raises(DataError, match=r"Columns of shapes .*: expected three of one length\."):
        Activity.of(*columns)


def test_words_are_refused():
    with pytest.raises(
        DataError, match="recency holds a value that is not a number: could not convert"
    ):
        Activity.of(["Monday"], [1], [1])


def test_rows_are_taken_by_slice_mask_and_position():
    activity = Activity.of([1, 2, 3], [1, 1, 1], [5, 6, 7])
    for rows in (slice(1, 3), np.array([False, True, True]), [1, 2]):
        assert activity[rows].matrix().tolist() == [[2, 1, 6], [3, 1, 7]]


values = st.sampled_from([0, 1, 7, 0.5, -1, float("nan"), float("inf")])


@settings(derandomize=True)
@given(st.lists(st.tuples(values, values, values), min_size=1, max_size=20))
def test_a_contradiction_is_the_same_for_one_customer_and_for_many(rows):
    columns = np.array(rows, dtype=np.float64).T
    for contradiction in CONTRADICTIONS:
        one_by_one = [bool(contradiction.holds(*row)) for row in rows]
        assert contradiction.holds(*columns).tolist() == one_by_one


@settings(derandomize=True)
@given(st.integers(0, 7), st.integers(0, 5), st.integers(0, 50))
def test_nothing_contradicts_itself_exactly_where_rides_and_their_traces_agree(
    recency, frequency, monetary
):
    agree = (recency > 0) == (frequency > 0) and (frequency > 0 or monetary == 0)
    contradicted = any(one.holds(recency, frequency, monetary) for one in CONTRADICTIONS)
    assert contradicted is not agree


def test_each_contradiction_has_a_name_of_its_own():
    assert len({one.code for one in CONTRADICTIONS}) == len(CONTRADICTIONS) == 3
    assert all(one.says for one in CONTRADICTIONS)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (([1, float("nan")], [1, 1], [5, 5]), "recency is nan in row 1: expected a whole number"),
        ((-1, 1, 5), "recency is -1 in row 0: expected a whole number from 0."),
        ((1.5, 1, 5), "recency is 1.5 in row 0"),
        (
            (1, float("inf"), 5),
            "frequency is inf in row 0: expected a whole number from 0 to 10",
        ),
        ((1, 0.5, 5), "frequency is 0.5 in row 0"),
        ((1, 10_001, 5), "frequency is 10001 in row 0"),
        ((1, 1, -0.01), "monetary is -0.01 in row 0: expected a number from 0 to 1,000,000,000"),
        ((1, 1, 2e9), "monetary is 2e+09 in row 0"),
        ((0, 0, 5), "recency=0, frequency=0, monetary=5 in row 0: no ride was counted, yet money"),
        ((3, 0, 0), "no ride was counted, yet there is a day"),
        (([1, 0], [1, 2], [5, 5]), "recency=0, frequency=2, monetary=5 in row 1: rides were"),
    ],
)
def test_what_no_customer_can_have_done_is_refused(columns, says):
    with pytest.raises(DataError) as refused:
        Activity.of(*columns)
    assert says in str(refused.value)
