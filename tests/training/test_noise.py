"""The noise floor is found where it is known, and so is the error above it."""

import numpy as np
import pytest

from clv.schema import Floats, Ints
from clv.training.noise import _pairs, noise_floor
from clv.training.search import fold_of

ROWS = 20_000


@pytest.fixture(scope="module", name="X")
def _customers() -> Floats:
    rng = np.random.default_rng(1)
    frequency = rng.geometric(0.6, ROWS)
    return np.column_stack(
        (rng.integers(1, 8, ROWS), frequency, np.round(rng.gamma(2, 10, ROWS) * frequency, 2))
    ).astype(float)


@pytest.fixture(scope="module")
def folds() -> Ints:
    return fold_of(ROWS, seed=3)


def truth(X: Floats) -> Floats:
    return np.asarray(X[:, 2] * (1 + X[:, 0] / 7) + 5 * X[:, 1])


def test_chance_alone_is_the_floor_and_nothing_is_avoidable(X: Floats, folds: Ints) -> None:
    y = truth(X) + np.random.default_rng(2).normal(0, 10, ROWS)
    found = noise_floor(X, y, truth(X), folds, seed=1)
    assert found.low < 100 < found.high
    assert found.mse == pytest.approx(100, rel=0.05)
    assert found.avoidable_low < 0 < found.avoidable_high
    assert found.champion_mse == pytest.approx(found.mse + found.avoidable)
    assert found.pairs > 0.49 * ROWS


def test_what_a_model_gets_wrong_about_like_customers_is_avoidable(X: Floats, folds: Ints) -> None:
    y = truth(X) + np.random.default_rng(2).normal(0, 10, ROWS)
    wrong = truth(X) + np.where(X[:, 0] > 3, 6.0, -6.0)
    found = noise_floor(X, y, wrong, folds, seed=1)
    assert found.mse == pytest.approx(100, rel=0.05)
    assert found.avoidable == pytest.approx(36, rel=0.1)
    assert found.avoidable_low > 0


def test_mostly_nothing_and_sometimes_much_has_a_floor_too(X: Floats, folds: Ints) -> None:
    """As passengers are: returns with probability p, then spends an exponential amount."""
    rng = np.random.default_rng(4)
    p, mean = 0.1 + X[:, 0] / 20, 2 * X[:, 2]
    y = X[:, 2] + np.where(rng.random(ROWS) < p, rng.exponential(mean), 0)
    known = p * 2 * mean**2 - (p * mean) ** 2
    found = noise_floor(X, y, X[:, 2] + p * mean, folds, seed=1)
    assert found.low < known.mean() < found.high
    assert found.avoidable_low < 0 < found.avoidable_high


def test_pairs_are_alike_share_a_fold_and_nobody_is_in_two(X: Floats, folds: Ints) -> None:
    pairs = _pairs(X, folds, seed=1)
    assert len(np.unique(pairs)) == pairs.size
    one, other = pairs.T
    assert (folds[one] == folds[other]).all()
    assert (X[one, 0] == X[other, 0]).all()
    same = X[one, 1] == X[other, 1]
    assert same.mean() > 0.98
    assert np.median(np.abs(X[one, 2] - X[other, 2])[same]) < 1
    # At most one of each fold and recency is left over.
    assert ROWS - pairs.size <= 5 * 7


def test_who_costs_most_is_not_left_over(X: Floats, folds: Ints) -> None:
    """The error of the few big spenders is most of all error: a floor without them is too low."""
    paired = np.unique(_pairs(X, folds, seed=1))
    left = np.setdiff1d(np.arange(ROWS), paired)
    assert len(left) > 0
    assert X[left, 2].mean() < X[:, 2].mean()
    assert X[left, 2].max() < np.quantile(X[:, 2], 0.99)


def test_a_fold_is_where_a_row_was_left_out() -> None:
    fold = fold_of(103, seed=7)
    assert sorted(np.bincount(fold)) == [20, 20, 21, 21, 21]
    assert (fold == fold_of(103, seed=7)).all()
    assert (fold != fold_of(103, seed=8)).any()
