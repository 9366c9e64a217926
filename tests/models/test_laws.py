"""A model that breaks a law is found out, wherever it falls, and one that keeps them is not."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from clv.models.laws import broken_law
from clv.schema import FREQUENCY, MONETARY, RECENCY, Floats


class Formula(RegressorMixin, BaseEstimator):
    """What is spent, and a formula of it."""

    def __init__(self, increment: Callable[[Floats], Floats]) -> None:
        self.increment = increment

    def predict(self, X: Floats) -> Floats:
        return np.asarray(X[:, MONETARY] + self.increment(X))


@pytest.fixture(scope="module", name="X")
def activity() -> Floats:
    rng = np.random.default_rng(7)
    return np.column_stack(
        (
            rng.integers(0, 8, 4_000),
            rng.geometric(0.5, 4_000),
            np.round(rng.gamma(1.5, 15, 4_000), 2),
        )
    ).astype(float)


@pytest.mark.parametrize(
    "increment",
    [
        lambda X: np.zeros(len(X)),
        lambda X: 2 * X[:, RECENCY] + 0.1 * X[:, MONETARY],
        lambda X: np.sqrt(X[:, MONETARY]) * (1 + X[:, RECENCY] / 7) / X[:, FREQUENCY],
        lambda X: np.minimum(X[:, MONETARY], 50) - 60.0,  # never above what is spent
    ],
    ids=["nothing", "rising", "falling with rides alone", "below nothing"],
)
def test_who_keeps_the_laws_is_not_accused(
    X: Floats, increment: Callable[[Floats], Floats]
) -> None:
    assert broken_law(Formula(increment), X) == ""


def test_a_fall_with_recency_is_named_with_its_place_and_size(X: Floats) -> None:
    said = broken_law(Formula(lambda X: np.where(X[:, RECENCY] == 5, 7.0, 9.0)), X)
    assert said.startswith("the expected increment falls by 2.00 as recency rises from recency 4")


def test_a_fall_among_many_rides_alone_is_found(X: Floats) -> None:
    def falls(X: Floats) -> Floats:
        return np.where(X[:, FREQUENCY] >= X[:, FREQUENCY].max(), 50 - X[:, RECENCY], 50.0)

    assert "as recency rises" in broken_law(Formula(falls), X)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_fall_with_money_is_found_wherever_it_is(X: Floats, share: float) -> None:
    threshold = float(np.quantile(X[:, MONETARY], share))
    said = broken_law(Formula(lambda X: np.where(X[:, MONETARY] > threshold, 7.0, 9.0)), X)
    assert "falls by 2.00 as monetary rises" in said


def test_a_fall_beyond_everybody_seen_is_found(X: Floats) -> None:
    """A linear model of the total grows by less than was spent, and in the end says nothing."""
    most = X[:, MONETARY].max()
    assert "as monetary rises" in broken_law(
        Formula(lambda X: np.where(X[:, MONETARY] > 1.5 * most, 0.0, 10.0)), X
    )


def test_how_sums_round_is_no_fall(X: Floats) -> None:
    assert not broken_law(Formula(lambda X: 10 - X[:, RECENCY] * 1e-6), X)
