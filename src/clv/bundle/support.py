"""Where the model has seen enough customers to speak: counts of training customers by cell.

A cell holds customers who are alike: last ride on the same day (in the same seventh of a longer
window), rides within a half of each other, money within a factor of two.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import model_validator

from clv.bundle.part import Part
from clv.schema import FREQUENCY, MONETARY, RECENCY, Activity, Floats, Ints, Window

__all__ = ["Support", "Surroundings"]

#: Fewer customers like this one, and the mean of what they spent says little.
NEEDED = 20
_RECENCY_CELLS = 7
# 1, 2, 3, 4, 6, 8, 12, 16, 24, ... rides
_RIDES = tuple(sorted({1.0} | {2.0**k for k in range(1, 15)} | {3.0 * 2**k for k in range(13)}))


class Support(Part):
    """How many training customers were in each cell.

    Attributes
    ----------
    edges : three tuples of float
        Of recency, frequency and monetary; a cell begins at its lower edge. The first cell of each
        feature begins at 0. The last is open, and that of rides and money begins beyond everybody
        learnt from.
    counts : tuple of int
        Of the cells, the last feature varying fastest.
    observation_days : int
        Where the last cell of recency ends.
    needed : int
        With fewer a customer is out of support.
    """

    edges: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
    counts: tuple[int, ...]
    observation_days: int
    needed: int = NEEDED

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        cells = int(np.prod([len(edges) + 1 for edges in self.edges]))
        if len(self.counts) != cells:
            raise ValueError(f"{len(self.counts)} counts for {cells} cells")
        return self

    @classmethod
    def of(cls, activity: Activity, window: Window) -> Self:
        """Count the customers that a model learnt from."""
        spent = activity.monetary[activity.monetary > 0]
        least = float(np.quantile(spent, 0.01)) if len(spent) else 1.0
        most = float(spent.max()) if len(spent) else 1.0
        days = np.linspace(0, window.observation_days, _RECENCY_CELLS, endpoint=False)
        edges = (
            tuple(np.unique(np.floor(days) + 1).tolist()),
            _RIDES[: bisect_right(_RIDES, activity.frequency.max()) + 1],
            tuple(least * 2.0**k for k in range(64) if least * 2.0 ** (k - 1) <= most),
        )
        size = int(np.prod([len(part) + 1 for part in edges]))
        empty = cls(edges=edges, counts=(0,) * size, observation_days=window.observation_days)
        cells = Surroundings(empty).cell_of(activity.matrix())
        counts = np.bincount(cells, minlength=size)
        return empty.model_copy(update={"counts": tuple(counts.tolist())})


class Surroundings:
    """A `Support` made ready for looking up; holds NumPy arrays only.

    Parameters
    ----------
    support : Support
    """

    def __init__(self, support: Support) -> None:
        self.support = support
        self._edges = [np.array(edges) for edges in support.edges]
        self._plain = tuple(list(edges) for edges in support.edges)
        self._counts = np.array(support.counts)
        self._strides = (
            (len(self._edges[FREQUENCY]) + 1) * (len(self._edges[MONETARY]) + 1),
            len(self._edges[MONETARY]) + 1,
        )

    def cell_of(self, X: Floats) -> Ints:
        """Cell of each row, shape (n,)."""
        recency, frequency, monetary = (
            np.searchsorted(edges, X[:, feature], side="right")
            for feature, edges in enumerate(self._edges)
        )
        return recency * self._strides[0] + frequency * self._strides[1] + monetary

    def similar(self, X: Floats) -> Ints:
        """How many training customers were like each row, shape (n,)."""
        return np.asarray(self._counts[self.cell_of(X)])

    def similar_to(self, recency: float, frequency: float, monetary: float) -> int:
        """How many training customers were like this one; `similar` of one row."""
        edges = self._plain
        return self.support.counts[
            bisect_right(edges[RECENCY], recency) * self._strides[0]
            + bisect_right(edges[FREQUENCY], frequency) * self._strides[1]
            + bisect_right(edges[MONETARY], monetary)
        ]

    def describe(self, recency: float, frequency: float, monetary: float) -> str:
        """Say what customers like this one have in common."""
        days = _bounds(self._plain[RECENCY], recency)
        rides = _bounds(self._plain[FREQUENCY], frequency)
        low, high = _bounds(self._plain[MONETARY], monetary)
        money = f"{low:,.2f} to {high:,.2f}" if high < np.inf else f"{low:,.2f} or more"
        last = min(days[1], self.support.observation_days + 1)
        counted = _whole(*rides)
        noun = "ride" if counted == "1" else "rides"
        return f"last ride on day {_whole(days[0], last)}, {counted} {noun}, {money} spent"


def _bounds(edges: Sequence[float], value: float) -> tuple[float, float]:
    """Where the cell of a value begins and the next one does."""
    cell = bisect_right(edges, value)
    return (edges[cell - 1] if cell else 0.0), (edges[cell] if cell < len(edges) else np.inf)


def _whole(low: float, end: float) -> str:
    """The whole numbers from `low` to before `end`."""
    if end == np.inf:
        return f"{low:.0f} or more"
    return f"{low:.0f}" if end - low <= 1 else f"{low:.0f} to {end - 1:.0f}"
