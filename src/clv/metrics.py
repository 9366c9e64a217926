"""What is measured about predictions: pure functions of arrays, each with its trap and its source.

Throughout, `actual` and `predicted` are arrays of shape (n,) in currency units.
"""

from dataclasses import dataclass

import numpy as np

from clv.schema import Floats

__all__ = [
    "DecileRow",
    "PairedDifference",
    "Quality",
    "bias",
    "decile_mape",
    "deciles",
    "mae",
    "measure",
    "mse",
    "normalised_gini",
    "paired_bootstrap",
    "paired_difference",
    "squared_errors",
    "to_micros",
]


def squared_errors(actual: Floats, predicted: Floats) -> Floats:
    """Squared error of each row, shape (n,)."""
    return np.asarray((actual - predicted) ** 2)


def mse(actual: Floats, predicted: Floats) -> float:
    """Mean squared error: it is minimised by the mean, which is what a budget needs."""
    return float(squared_errors(actual, predicted).mean())


def mae(actual: Floats, predicted: Floats) -> float:
    """Mean absolute error: minimised by the median, so it rewards models that say too little."""
    return float(np.abs(actual - predicted).mean())


def bias(actual: Floats, predicted: Floats) -> float:
    """Predicted over actual money, less 1: -0.02 promises 2% too little in all; NaN of nothing."""
    return float(predicted.sum() / actual.sum() - 1) if actual.any() else float("nan")


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
    tied = _averaged_within_ties(actual, predicted)
    return _gini(tied, to_micros(predicted)) / _gini(actual, actual)


def to_micros(values: Floats) -> Floats:
    """Round to a millionth of the currency unit: what is nearer than that is equal.

    To add what is spent to a prediction and take it away again leaves noise in the last digits,
    by which customers with one and the same increment would be put in an order.
    """
    return np.round(values, 6)


def _averaged_within_ties(actual: Floats, predicted: Floats) -> Floats:
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
    actual = _averaged_within_ties(actual, predicted)
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
class Quality:
    """How good predictions of the total are; errors in currency units, shares as shares."""

    mse: float
    mae: float
    bias: float
    gini_total: float
    gini_increment: float
    decile_mape: float


def measure(actual: Floats, predicted: Floats, spent: Floats) -> Quality:
    """Measure predictions of the total; `spent` is what was known already, part of both."""
    return Quality(
        mse=mse(actual, predicted),
        mae=mae(actual, predicted),
        bias=bias(actual, predicted),
        gini_total=normalised_gini(actual, predicted),
        gini_increment=normalised_gini(np.maximum(actual - spent, 0.0), predicted - spent),
        decile_mape=decile_mape(actual, predicted),
    )


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean of a difference between two models on the same rows, with its uncertainty.

    Negative where the first has the smaller error. `low` and `high` bound it at `level`.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    rows: int
    level: float = 0.95


def paired_difference(errors: Floats, other: Floats) -> PairedDifference:
    """Mean of `errors - other`, row by row, with a normal 95% interval.

    Only paired comparisons mean anything here: the same few big spenders make every model's MSE,
    and the difference on the same rows is certain long before either error is.
    """
    difference = errors - other
    rows = len(difference)
    mean = float(difference.mean())
    error = float(difference.std(ddof=1) / np.sqrt(rows)) if rows > 1 else float("nan")
    return PairedDifference(mean, error, mean - 1.96 * error, mean + 1.96 * error, rows)


def paired_bootstrap(
    errors: Floats, other: Floats, *, seed: int, resamples: int = 2_000
) -> PairedDifference:
    """Mean of `errors - other` with a percentile bootstrap interval over the rows.

    Squared errors of spend are heavy-tailed: a handful of rows decide, which the bootstrap shows
    and a normal interval hides.
    """
    difference = errors - other
    rows = len(difference)
    rng = np.random.default_rng(seed)
    # One resample at a time: 2,000 x n indices at once would be gigabytes.
    means = np.array([difference[rng.integers(0, rows, rows)].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [0.025, 0.975])
    return PairedDifference(
        float(difference.mean()), float(means.std(ddof=1)), float(low), float(high), rows
    )
