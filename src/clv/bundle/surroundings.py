"""How many training customers were like one: a `Support` made ready for looking up.

NumPy only, as all that a prediction is computed with (`clv.bundle.scorer`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clv.schema import FREQUENCY, MONETARY, RECENCY, Floats, Ints

if TYPE_CHECKING:
    from clv.bundle.support import Support

__all__ = ["Surroundings"]


class Surroundings:
    """A `Support` made ready for looking up; plain numbers and NumPy arrays only.

    Parameters
    ----------
    support : Support
    """

    def __init__(self, support: "Support") -> None:
        self.needed = support.needed
        self.edges = tuple(list(edges) for edges in support.edges)
        self._observation_days = support.observation_days
        self._edges = [np.array(edges) for edges in support.edges]
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
        edges = self.edges
        return int(
            self._counts[
                bisect_right(edges[RECENCY], recency) * self._strides[0]
                + bisect_right(edges[FREQUENCY], frequency) * self._strides[1]
                + bisect_right(edges[MONETARY], monetary)
            ]
        )

    def describe(self, recency: float, frequency: float, monetary: float) -> str:
        """Say what customers like this one have in common."""
        days = _bounds(self.edges[RECENCY], recency)
        rides = _bounds(self.edges[FREQUENCY], frequency)
        low, high = _bounds(self.edges[MONETARY], monetary)
        money = f"{low:,.2f} to {high:,.2f}" if high < np.inf else f"{low:,.2f} or more"
        last = min(days[1], self._observation_days + 1)
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
