"""Metrics against other people's implementations, brute force, and the laws they must obey."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error, mean_squared_error

from clv.metrics import (
    PairedDifference,
    bias,
    decile_mape,
    deciles,
    mae,
    mse,
    normalised_gini,
    paired_bootstrap,
    paired_difference,
    squared_errors,
)
from clv.schema import Floats

# The same examples at every run, however slow the machine.
LAW = settings(derandomize=True, deadline=None, max_examples=60)

CENTS = st.integers(0, 100_000).map(lambda cents: cents / 100)
SIZES = st.shared(st.integers(2, 60), key="n")


def money(elements: st.SearchStrategy[float] = CENTS) -> st.SearchStrategy[Floats]:
    """Amounts in cents, all columns of one example of one length, mostly with ties."""
    return SIZES.flatmap(lambda n: arrays(np.float64, n, elements=elements))


def not_all_equal(actual: Floats) -> bool:
    return bool(np.ptp(actual) > 0)


# ---------------------------------------------------------------- errors


@LAW
@given(money(), money())
def test_errors_are_those_of_scikit_learn(actual: Floats, predicted: Floats) -> None:
    assert mse(actual, predicted) == pytest.approx(mean_squared_error(actual, predicted))
    assert mae(actual, predicted) == pytest.approx(mean_absolute_error(actual, predicted))
    assert squared_errors(actual, predicted).mean() == mse(actual, predicted)


def test_bias_is_the_money_that_was_promised_too_much() -> None:
    assert bias(np.array([50.0, 50.0]), np.array([30.0, 68.0])) == pytest.approx(-0.02)
    assert bias(np.array([0.0, 10.0]), np.array([5.0, 10.0])) == pytest.approx(0.5)


def test_bias_of_customers_who_spent_nothing_is_not_defined() -> None:
    assert np.isnan(bias(np.zeros(3), np.ones(3)))


# ---------------------------------------------------------------- order


def gini_by_pairs(actual: Floats, predicted: Floats) -> float:
    """Of all pairs of customers: the money that the prediction puts in order, less what it puts in
    disorder, as a share of the money there is to put in order.
    """
    apart = actual[:, None] - actual[None, :]
    said = np.sign(predicted[:, None] - predicted[None, :])
    return float((said * apart).sum() / np.abs(apart).sum())


@LAW
@given(money().filter(not_all_equal), money())
def test_gini_counts_pairs_that_are_in_order(actual: Floats, predicted: Floats) -> None:
    assert normalised_gini(actual, predicted) == pytest.approx(
        gini_by_pairs(actual, predicted), abs=1e-9
    )


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ([4, 3, 2, 1], 1.0),
        ([1, 2, 3, 4], -1.0),
        # Worked by hand for actuals 6, 3, 1, 0. All pairs hold 3+5+6+2+3+1 = 20 of money; 3 and 6
        # swapped lose 2 x 3, and a tie of the two loses 3.
        ([3, 4, 2, 1], 0.7),
        ([4, 4, 2, 1], 0.85),
        ([1, 1, 1, 1], 0.0),
    ],
)
def test_gini_of_a_table_worked_by_hand(predicted: list[float], expected: float) -> None:
    actual = np.array([6.0, 3.0, 1.0, 0.0])
    assert normalised_gini(actual, np.array(predicted, float)) == pytest.approx(expected)


@LAW
@given(money().filter(not_all_equal))
def test_gini_is_one_for_the_true_order(actual: Floats) -> None:
    assert normalised_gini(actual, actual) == pytest.approx(1)


@LAW
@given(money().filter(not_all_equal), CENTS)
def test_gini_is_nought_for_a_constant_even_on_sorted_rows(actual: Floats, value: float) -> None:
    for rows in (actual, np.sort(actual), np.sort(actual)[::-1]):
        assert normalised_gini(rows, np.full(len(rows), value)) == pytest.approx(0, abs=1e-9)


@LAW
@given(money().filter(not_all_equal), money(), st.randoms(use_true_random=False))
def test_gini_does_not_depend_on_the_order_of_the_rows(actual, predicted, random) -> None:
    rows = list(range(len(actual)))
    random.shuffle(rows)
    assert normalised_gini(actual[rows], predicted[rows]) == pytest.approx(
        normalised_gini(actual, predicted), abs=1e-9
    )


@pytest.mark.parametrize("transform", [np.sqrt, np.log1p, lambda money: 3 * money + 7])
@LAW
@given(actual=money().filter(not_all_equal), predicted=money())
def test_gini_sees_only_the_order_of_the_predictions(
    transform: Callable[[Floats], Floats], actual: Floats, predicted: Floats
) -> None:
    assert normalised_gini(actual, transform(predicted)) == pytest.approx(
        normalised_gini(actual, predicted), abs=1e-9
    )


@pytest.mark.parametrize("increment", [14.28, 0.1, 3.3333])
def test_the_same_increment_for_all_is_no_order_whatever_was_spent_before(
    increment: float,
) -> None:
    """Adding the spend and taking it away again leaves noise in the last digits."""
    rng = np.random.default_rng(1)
    spent = np.round(rng.exponential(40, 500), 2)
    actual = np.round(rng.exponential(10, 500) * spent, 2)
    predicted = (spent + increment) - spent
    assert len(np.unique(predicted)) > 1
    assert normalised_gini(actual, predicted) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    "actual", [np.zeros(5), np.full(5, 7.3), (np.arange(5.0) + 50) - np.arange(5)]
)
def test_there_is_no_gini_where_there_is_no_order_to_find(actual: Floats) -> None:
    assert np.isnan(normalised_gini(actual, np.arange(5.0)))
    nearly = np.array([50, 50.000_000_000_01, 50])
    assert np.isnan(normalised_gini(nearly, np.arange(3.0)))


# ---------------------------------------------------------------- deciles


@LAW
@given(money(), money())
def test_deciles_partition_the_customers_and_their_money(actual: Floats, predicted: Floats) -> None:
    rows = deciles(actual, predicted)
    sizes = [row.customers for row in rows]
    assert [row.decile for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == min(10, len(actual))
    assert sum(sizes) == len(actual)
    assert max(sizes) - min(sizes) <= 1
    assert sum(row.customers * row.actual for row in rows) == pytest.approx(actual.sum())
    assert sum(row.customers * row.predicted for row in rows) == pytest.approx(predicted.sum())
    said = [row.predicted for row in rows]
    assert all(low <= high + 1e-9 for low, high in pairwise(said))


def test_deciles_are_the_tenths_of_the_sorted_rows() -> None:
    rng = np.random.default_rng(3)
    predicted = rng.permutation(1_000).astype(float)
    actual = rng.exponential(20, 1_000)
    order = np.argsort(predicted)
    assert [row.actual for row in deciles(actual, predicted)] == pytest.approx(
        actual[order].reshape(10, 100).mean(axis=1)
    )


def test_decile_mape_of_a_table_worked_by_hand() -> None:
    actual, predicted = np.repeat([10.0, 20.0], 5), np.repeat([11.0, 16.0], 5)
    assert decile_mape(actual, predicted) == pytest.approx((0.1 + 0.2) / 2)


@LAW
@given(money().filter(np.any))
def test_decile_mape_of_the_truth_is_nought(actual: Floats) -> None:
    assert decile_mape(actual, actual) == pytest.approx(0, abs=1e-9)


def test_deciles_without_spend_do_not_count() -> None:
    actual, predicted = np.repeat([0.0, 10.0], 10), np.repeat([5.0, 12.0], 10)
    assert decile_mape(actual, predicted) == pytest.approx(0.2)
    assert np.isnan(decile_mape(np.zeros(20), predicted))


@LAW
@given(money().filter(np.any), money(), st.randoms(use_true_random=False))
def test_deciles_do_not_depend_on_the_order_of_the_rows(actual, predicted, random) -> None:
    """Most predictions are tied: a table sorted by outcome must not score another error."""
    rows = list(range(len(actual)))
    random.shuffle(rows)
    assert [row.actual for row in deciles(actual[rows], predicted[rows])] == pytest.approx(
        [row.actual for row in deciles(actual, predicted)]
    )


# ---------------------------------------------------------------- differences


@LAW
@given(money(), money())
def test_exchanging_two_models_turns_their_difference_round(one: Floats, other: Floats) -> None:
    forth, back = paired_difference(one, other), paired_difference(other, one)
    assert forth.mean == pytest.approx(-back.mean)
    assert forth.standard_error == pytest.approx(back.standard_error)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))
    assert forth.rows == len(one)


def test_a_paired_difference_is_the_mean_and_its_standard_error() -> None:
    one, other = np.array([3.0, 5.0, 10.0, 2.0]), np.array([1.0, 6.0, 4.0, 1.0])
    found = paired_difference(one, other)
    # Differences 2, -1, 6, 1: mean 2, sum of squares about it 26, so the error is sqrt(26/3/4).
    assert found.mean == pytest.approx(2)
    assert found.standard_error == pytest.approx((26 / 12) ** 0.5)
    assert found.high - found.mean == pytest.approx(1.96 * found.standard_error)


def test_the_bootstrap_interval_holds_the_mean_and_shrinks_as_rows_are_added() -> None:
    rng = np.random.default_rng(5)
    one, other = rng.exponential(10, 6_400), rng.exponential(12, 6_400)
    widths = []
    for rows in (100, 1_600, 6_400):
        found = paired_bootstrap(one[:rows], other[:rows], seed=1, resamples=400)
        assert found.low < found.mean < found.high
        assert found.mean == pytest.approx((one[:rows] - other[:rows]).mean())
        widths.append(found.high - found.low)
    # Four times the rows, half the width; within what 400 resamples and 100 rows can tell.
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.35)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.2)


def test_the_bootstrap_is_the_same_for_the_same_seed() -> None:
    one, other = np.random.default_rng(0).exponential(10, (2, 200))
    first = paired_bootstrap(one, other, seed=1, resamples=200)
    assert paired_bootstrap(one, other, seed=1, resamples=200) == first
    assert paired_bootstrap(one, other, seed=2, resamples=200) != first


def test_bootstrap_and_normal_interval_agree_where_there_are_no_tails() -> None:
    one, other = np.random.default_rng(0).normal(10, 3, (2, 1_000))
    drawn, normal = paired_bootstrap(one, other, seed=1), paired_difference(one, other)
    assert drawn.standard_error == pytest.approx(normal.standard_error, rel=0.06)
    assert (drawn.low, drawn.high) == pytest.approx((normal.low, normal.high), abs=0.02)


def test_a_model_does_not_differ_from_itself() -> None:
    errors = np.random.default_rng(0).exponential(10, 50)
    assert paired_bootstrap(errors, errors, seed=1, resamples=50) == PairedDifference(
        0, 0, 0, 0, 50
    )
    assert paired_difference(errors, errors) == PairedDifference(0, 0, 0, 0, 50)


@pytest.mark.parametrize(
    "interval",
    [
        paired_difference,
        lambda one, other: paired_bootstrap(one, other, seed=1, resamples=300),
    ],
    ids=["normal", "bootstrap"],
)
def test_intervals_hold_the_true_difference_about_as_often_as_they_say(
    interval: Callable[[Floats, Floats], PairedDifference],
) -> None:
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(300):
        # Squared errors of two models that share most of their noise; the truth is 6 apart.
        noise = rng.gamma(1, 20, 250)
        one, other = noise + rng.gamma(2, 8, 250), noise + rng.gamma(2, 5, 250)
        found = interval(one, other)
        held += found.low <= 6 <= found.high
    # 95% nominal; 300 repetitions are uncertain by 1.3 points, three times that is tolerated.
    assert 0.91 <= held / 300 <= 0.99
