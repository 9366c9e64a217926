"""Errors of predictions in money, and the difference between two models on the same rows."""

from dataclasses import dataclass

import numpy as np

from clv.schema import Floats

__all__ = [
    "PairedDifference",
    "bias",
    "mae",
    "mse",
    "paired_bootstrap",
    "paired_difference",
    "squared_errors",
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
