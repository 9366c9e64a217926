"""What is said of customers, and the arithmetic from what a model computes to what is said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from clv.bundle.intervals import Intervals
from clv.bundle.surroundings import Surroundings
from clv.errors import BundleError
from clv.metrics import to_micros
from clv.schema import FEATURES, MONETARY, Floats, Ints, Mask

__all__ = ["Prediction", "Predictions", "complete", "to_cents", "unusable"]

_P_DIGITS = 4


class Prediction(NamedTuple):
    """What one customer is expected to be worth; fields as in `Predictions`."""

    monetary: float
    expected_increment: float
    p_return: float
    level: float
    low: float
    high: float
    score_bin: int
    similar: int
    in_support: bool

    def in_cents(self) -> "Prediction":
        """As it leaves the house; the same as `Predictions.in_cents`."""
        # As NumPy rounds, without its 3 us a call.
        return Prediction(
            round(self.monetary * 100.0) / 100.0 + 0.0,
            round(self.expected_increment * 100.0) / 100.0 + 0.0,
            round(self.p_return * 10.0**_P_DIGITS) / 10.0**_P_DIGITS,
            self.level,
            round(self.low * 100.0) / 100.0 + 0.0,
            round(self.high * 100.0) / 100.0 + 0.0,
            self.score_bin,
            self.similar,
            self.in_support,
        )


@dataclass(frozen=True, slots=True)
class Predictions:
    """What customers are expected to be worth, each attribute of shape (n,), and how surely.

    Attributes
    ----------
    monetary : array of float
        Expected spend from registration to the horizon, in currency units.
    expected_increment : array of float
        The part of it that is still to come after the observation window; never negative.
    p_return : array of float
        Probability of any further ride, between 0 and 1, never either.
    level : float
        Share of customers whose spend lies in their interval.
    low, high : array of float
        The shortest interval of the spend from registration to the horizon that holds the level
        among customers of the same score bin. Where enough of them never ride again it begins, and
        may end, at what is spent already: the mean of a mostly-zero future can lie above it.
    score_bin : array of int
        From 1, the lowest expected increments, upwards.
    similar : array of int
        Training customers who were like this one.
    in_support : array of bool
        Whether those are enough for the prediction to rest on.
    """

    monetary: Floats
    expected_increment: Floats
    p_return: Floats
    level: float
    low: Floats
    high: Floats
    score_bin: Ints
    similar: Ints
    in_support: Mask

    def __len__(self) -> int:
        return len(self.monetary)

    def in_cents(self) -> "Predictions":
        """As they leave the house: money rounded to cents, probabilities to four digits."""
        return replace(
            self,
            monetary=to_cents(self.monetary),
            expected_increment=to_cents(self.expected_increment),
            p_return=np.round(self.p_return, _P_DIGITS),
            low=to_cents(self.low),
            high=to_cents(self.high),
        )

    def holds(self, outcome: Floats) -> Mask:
        """Whether each outcome lies in its interval, to a millionth; shape (n,)."""
        return np.asarray(
            (to_micros(outcome - self.low) >= 0) & (to_micros(self.high - outcome) >= 0)
        )

    def rows(self) -> list[Prediction]:
        """Each row, as plain numbers."""
        columns = (
            self.monetary,
            self.expected_increment,
            self.p_return,
            np.broadcast_to(self.level, len(self)),
            self.low,
            self.high,
            self.score_bin,
            self.similar,
            self.in_support,
        )
        # All at once: a tenth of the time of asking each row for each number.
        return [Prediction(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def __getitem__(self, row: int) -> Prediction:
        """One row, as plain numbers."""
        return Prediction(
            float(self.monetary[row]),
            float(self.expected_increment[row]),
            float(self.p_return[row]),
            self.level,
            float(self.low[row]),
            float(self.high[row]),
            int(self.score_bin[row]),
            int(self.similar[row]),
            bool(self.in_support[row]),
        )


def to_cents(values: Any) -> Any:
    """Money as it leaves the house: rounded to cents, never -0.0; scalars and arrays alike."""
    return np.round(values, 2) + 0.0


def unusable(features: Sequence[float]) -> BundleError:
    """That a model computes no number, or a senseless one, for a customer."""
    said = ", ".join(f"{name}={value:g}" for name, value in zip(FEATURES, features, strict=True))
    return BundleError(
        f"The model gives no usable prediction for {said}. Roll back to another version."
    )


def complete(
    X: Floats,
    increment: Floats,
    p_return: Floats,
    intervals: Intervals,
    surroundings: Surroundings,
    level: float,
) -> Predictions:
    """Everything that is said of customers, given what a model computes of them."""
    spent = X[:, MONETARY]
    # What is loaded was checked; this is the last chance to notice a number that is none.
    sound = (increment >= 0) & (increment < np.inf) & (p_return >= 0) & (p_return <= 1)
    if not sound.all():
        raise unusable(X[int(np.argmin(sound))].tolist())
    bins = intervals.bin_of(increment)
    low, high = intervals.around(increment, bins, level)
    similar = surroundings.similar(X)
    return Predictions(
        monetary=spent + increment,  # in float64: no cent of what is known is lost
        expected_increment=increment,
        p_return=p_return,
        level=level,
        low=np.maximum(spent + low, 0.0),  # a refund gives back no more than was spent
        high=np.maximum(spent + high, 0.0),
        score_bin=bins + 1,
        similar=similar,
        in_support=similar >= surroundings.needed,
    )
