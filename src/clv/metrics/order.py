"""How well predictions put customers in order, and how much money those who come first hold.

Most predictions are tied. Everything here averages the actuals within ties; otherwise the order of
the rows leaks into the figures.
"""

from dataclasses import dataclass

import numpy as np

from clv.schema import Floats

__all__ = [
    "CurvePoint",
    "DecileRow",
    "averaged_within_ties",
    "capture_curve",
    "captured",
    "decile_mape",
    "deciles",
    "normalised_gini",
    "rank_correlation",
    "ranks",
    "to_micros",
]


def normalised_gini(actual: Floats, predicted: Floats) -> float:
    """Ordering quality: 1 for the true order, 0 for none.

    Actuals are averaged within ties of `predicted`; otherwise the order of the rows leaks into the
    score and a constant prediction can reach .9 on sorted data.

    Source: Wang, Liu, Miao (2019), arXiv:1912.07753, section 4.2, ties as described above.

    Returns
    -------
    float
        NaN where all actuals are equal: then there is no order to find.
    """
    if np.ptp(to_micros(actual)) == 0 or actual.sum() <= 0:
        return float("nan")
    tied = averaged_within_ties(actual, predicted)
    return _gini(tied, to_micros(predicted)) / _gini(actual, actual)


def to_micros(values: Floats) -> Floats:
    """Round to a millionth of the currency unit: what is nearer than that is equal.

    To add what is spent to a prediction and take it away again leaves noise in the last digits,
    by which customers with one and the same increment would be put in an order.
    """
    return np.round(values, 6)


def averaged_within_ties(actual: Floats, predicted: Floats) -> Floats:
    """Mean of `actual` over the rows with the same prediction, shape (n,)."""
    _, group = np.unique(to_micros(predicted), return_inverse=True)
    return np.asarray((np.bincount(group, actual) / np.bincount(group))[group])


def _gini(values: Floats, order_by: Floats) -> float:
    """2 mean(L) - 1 where L is the Lorenz curve of `values`, largest `order_by` first, centred."""
    captured = np.cumsum(values[np.argsort(-order_by, kind="stable")]) / values.sum()
    # The curve starts at 0: the mean over n + 1 points, trapezoidal, leaves no 1/n term.
    return float(2 * (captured.sum() - 0.5) / len(values) - 1)


@dataclass(frozen=True, slots=True)
class DecileRow:
    """One tenth of the customers, by predicted rank; 1 holds the lowest predictions."""

    decile: int
    customers: int
    predicted: float
    actual: float


def deciles(actual: Floats, predicted: Floats) -> list[DecileRow]:
    """Mean predicted against mean actual, a tenth of the customers at a time, by rank.

    Cut by rank, not by value: most predictions are tied, and cutting by value fails on equal edges.
    Actuals are averaged within ties; otherwise the order of the rows leaks into the tenths.
    """
    actual = averaged_within_ties(actual, predicted)
    parts = np.array_split(np.argsort(predicted, kind="stable"), 10)
    return [
        DecileRow(number, len(rows), float(predicted[rows].mean()), float(actual[rows].mean()))
        for number, rows in enumerate(parts, start=1)
        if len(rows)
    ]


def decile_mape(actual: Floats, predicted: Floats) -> float:
    """Mean over the deciles of the error as a share of actual; deciles without spend excepted."""
    rows = [row for row in deciles(actual, predicted) if row.actual > 0]
    if not rows:
        return float("nan")
    return float(np.mean([abs(row.predicted - row.actual) / row.actual for row in rows]))


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Share of the money that a share of the customers holds, highest predictions first."""

    customers: float
    money: float


def capture_curve(actual: Floats, predicted: Floats, *, points: int = 200) -> list[CurvePoint]:
    """Share of the money that is found as ever more customers are chosen, best predictions first.

    The Lorenz curve from its other end, also called cumulative gains. It is thinned to at most
    `points` + 1 points, from (0, 0) to (1, 1): a straight line between neighbours is what is lost.
    The trap is ties: a curve over unaveraged actuals shows whatever order the table had.

    Returns
    -------
    list of CurvePoint
        Empty where there is no money.

    Source: Lorenz (1905), Publications of the American Statistical Association 9(70).
    """
    if actual.sum() <= 0:
        return []
    shares = _captured_shares(actual, predicted)
    kept = np.unique(np.linspace(0, len(actual), min(points, len(actual)) + 1).round().astype(int))
    return [CurvePoint(float(row / len(actual)), float(shares[row])) for row in kept]


def captured(actual: Floats, predicted: Floats, share: float) -> float:
    """Share of the money that the `share` of customers with the highest predictions hold.

    Where the border falls into a tie, the tied customers count in proportion. NaN without money.
    """
    if actual.sum() <= 0:
        return float("nan")
    shares = _captured_shares(actual, predicted)
    return float(np.interp(share * len(actual), np.arange(len(shares)), shares))


def _captured_shares(actual: Floats, predicted: Floats) -> Floats:
    """Share of the money held by the first 0, 1, ..., n customers, shape (n + 1,)."""
    tied = averaged_within_ties(actual, predicted)
    order = np.argsort(-to_micros(predicted), kind="stable")
    return np.concatenate(([0.0], np.cumsum(tied[order]) / actual.sum()))


def ranks(values: Floats) -> Floats:
    """Rank of each value from 1, the mean rank where values are tied, shape (n,)."""
    _, group, counts = np.unique(to_micros(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[group])


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's correlation: 1 where one is a rising function of the other, whatever its shape.

    Its trap is ties, which take their mean rank. NaN where either does not vary.

    Source: Spearman (1904), The American Journal of Psychology 15(1).
    """
    first, second = ranks(one), ranks(other)
    if len(one) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
