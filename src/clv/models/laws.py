"""The laws that a champion keeps: more recent, or more spent, never lowers the expected increment.

A marketing team that sees a passenger fall in value because they rode again stops believing the
rest. Trees with monotone constraints keep the laws by construction; this looks whether a fitted
model does, whatever it is made of.
"""

from typing import Any

import numpy as np

from clv.schema import FEATURES, FREQUENCY, MONETARY, RECENCY, Floats

__all__ = ["broken_law"]

# A fall by less than a thousandth of a currency unit is how sums round.
_TOLERANCE = 1e-3
_AMOUNTS = 200
_FREQUENCIES = 12


def broken_law(estimator: Any, X: Floats) -> str:
    """Look for a fall of the expected increment on a grid that spans the rows of `X`.

    Parameters
    ----------
    estimator : fitted estimator of the total
    X : array of shape (n, 3)

    Returns
    -------
    str
        The first fall found, in words; empty where there is none.
    """
    days = np.unique(X[:, RECENCY])
    rides = np.unique(np.quantile(X[:, FREQUENCY], np.linspace(0, 1, _FREQUENCIES)).round())
    spent = X[:, MONETARY]
    # Beyond the highest amount, too: a customer who spends more than any before will come.
    amounts = np.unique(
        np.append(np.quantile(spent, np.linspace(0, 1, _AMOUNTS)), spent.max() * np.array([2, 8]))
    )
    grid = np.stack(np.meshgrid(days, rides, amounts, indexing="ij"), axis=-1)
    rows = grid.reshape(-1, len(FEATURES))
    served = np.maximum(estimator.predict(rows) - rows[:, MONETARY], 0.0)
    expected = served.reshape(grid.shape[:-1])
    for feature, axis in ((RECENCY, 0), (MONETARY, 2)):
        step = np.diff(expected, axis=axis)
        if step.size and step.min() < -_TOLERANCE:
            where = np.unravel_index(int(step.argmin()), step.shape)
            before = ", ".join(
                f"{name} {value:g}" for name, value in zip(FEATURES, grid[where], strict=True)
            )
            return (
                f"the expected increment falls by {-step.min():.2f} as {FEATURES[feature]} rises "
                f"from {before}"
            )
    return ""
