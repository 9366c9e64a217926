"""Order from sums, and distances of distributions, against what others compute."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from clv.metrics import (
    deciles,
    grouped_deciles,
    grouped_gini,
    normalised_gini,
    wasserstein,
)

customers = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 500)), min_size=20, max_size=200
).map(lambda rows: tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True)))


def grouped(by: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
    groups = np.unique(by)
    return [
        np.array([(by == group).sum() for group in groups]),
        *(np.array([column[by == group].sum() for group in groups]) for column in values),
    ]


@given(customers)
def test_gini_of_groups_is_that_of_their_customers(rows: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, actual = rows
    if actual.sum() == 0 or np.ptp(actual) == 0:
        return
    found = grouped_gini(*grouped(predicted, predicted, actual))
    perfect = grouped_gini(*grouped(actual, actual, actual))
    if np.ptp(predicted) == 0:
        assert found == pytest.approx(0, abs=1e-9)
    assert found / perfect == pytest.approx(normalised_gini(actual, predicted), abs=0.03)


def test_gini_of_many_small_groups_is_that_of_their_customers_exactly() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.integers(0, 200, 20_000) / 4
    actual = predicted * rng.exponential(1, 20_000)
    found = grouped_gini(*grouped(predicted, predicted, actual))
    perfect = grouped_gini(np.ones(20_000), actual, actual)
    assert found / perfect == pytest.approx(normalised_gini(actual, predicted), abs=1e-3)


def test_nothing_has_no_order() -> None:
    none = np.array([])
    assert np.isnan(grouped_gini(none, none, none))
    assert np.isnan(grouped_gini(np.array([3]), np.array([1.0]), np.array([0.0])))
    assert grouped_deciles(none, none, none) == []


def test_deciles_of_groups_are_those_of_their_customers() -> None:
    rng = np.random.default_rng(2)
    predicted = np.repeat(np.arange(50.0), 40)  # tenths fall between groups
    actual = predicted + rng.normal(0, 5, 2_000)
    found = grouped_deciles(*grouped(predicted, predicted, actual))
    for group, row in zip(found, deciles(actual, predicted), strict=True):
        assert (group.decile, group.customers) == (row.decile, row.customers)
        assert group.predicted == pytest.approx(row.predicted)
        assert group.actual == pytest.approx(row.actual)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=40), st.integers(0, 99))
def test_wasserstein_distance_is_scipys(values: list[int], seed: int) -> None:
    """Of values at the edges themselves, where nothing is spread between two."""
    edges = np.arange(0.5, 10.0, 1e-3)  # fine, so that steps are nearly vertical
    other = np.random.default_rng(seed).integers(1, 10, 30)

    def shares(sample: np.ndarray) -> np.ndarray:
        counts = np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1)
        return counts / len(sample)

    one = np.array(values, dtype=float)
    found = wasserstein(edges, shares(one), shares(other.astype(float)))
    assert found == pytest.approx(wasserstein_distance(one, other), abs=0.02)


def test_a_shift_by_one_bin_is_a_distance_of_one_bin() -> None:
    edges = np.arange(0.0, 11.0)
    before, after = np.zeros(12), np.zeros(12)
    before[3:6], after[4:7] = 1 / 3, 1 / 3
    assert wasserstein(edges, before, after) == pytest.approx(1.0)
    assert wasserstein(edges, before, before) == 0.0
    assert wasserstein(np.array([1.0]), np.array([0.5, 0.5]), np.array([0.1, 0.9])) == 0.0
