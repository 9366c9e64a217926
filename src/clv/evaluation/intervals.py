"""Whether intervals hold their level: in each score bin, and not only overall.

Overall coverage hides what matters: intervals that hold nine in ten of all customers can hold one
in five of those with the highest predictions.
"""

from dataclasses import dataclass

import numpy as np

from clv.bundle import Predictions
from clv.data.checks import History
from clv.schema import Floats, Mask

__all__ = ["BinCoverage", "Coverage", "coverage"]

# Narrower than half a cent is a point.
_POINT = 0.005


@dataclass(frozen=True, slots=True)
class BinCoverage:
    """The intervals of one score bin.

    Attributes
    ----------
    score_bin : int
        From 1, the lowest expected increments.
    customers : int
    expected_increment : float
        Mean, in currency units.
    never_returning : float
        Share of the customers who did not ride again.
    covered : float
        Share whose spend lay in their interval.
    standard_error : float
        Of `covered`, were the level true.
    width : float
        Mean, in currency units.
    is_point : bool
        Whether the interval is what is spent already and nothing else: more than the level never
        return, so it holds the level without any width. It then covers their share, not the level.
    """

    score_bin: int
    customers: int
    expected_increment: float
    never_returning: float
    covered: float
    standard_error: float
    width: float
    is_point: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """The intervals at one level: share of customers covered and mean width, and each bin."""

    level: float
    covered: float
    width: float
    bins: tuple[BinCoverage, ...]


def coverage(history: History, predictions: Predictions) -> Coverage:
    """Count which outcomes lie in their intervals."""
    held = predictions.holds(history.outcome)
    widths = predictions.high - predictions.low
    return Coverage(
        level=predictions.level,
        covered=float(held.mean()),
        width=float(widths.mean()),
        bins=tuple(
            _of_bin(int(number), predictions.score_bin == number, history, predictions, held)
            for number in np.unique(predictions.score_bin)
        ),
    )


def _of_bin(
    number: int, rows: Mask, history: History, predictions: Predictions, held: Mask
) -> BinCoverage:
    level, customers = predictions.level, int(rows.sum())
    widths: Floats = (predictions.high - predictions.low)[rows]
    return BinCoverage(
        score_bin=number,
        customers=customers,
        expected_increment=float(predictions.expected_increment[rows].mean()),
        never_returning=float(1 - history.returned[rows].mean()),
        covered=float(held[rows].mean()),
        standard_error=float(np.sqrt(level * (1 - level) / customers)),
        width=float(widths.mean()),
        is_point=bool((widths < _POINT).all()),
    )
