"""Where the model has seen enough customers to speak: counts of training customers by cell.

A cell holds customers who are alike: last ride on the same day (in the same seventh of a longer
window), rides within a half of each other, money within a factor of two.
"""

import math
from bisect import bisect_right
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from clv.bundle.part import Part
from clv.bundle.surroundings import Surroundings
from clv.schema import Activity, Window

__all__ = ["Support"]

#: Fewer customers like this one, and the mean of what they spent says little.
NEEDED = 20
_RECENCY_CELLS = 7
_MOST_CUSTOMERS = 10**12
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
    observation_days: int = Field(ge=1)
    needed: int = Field(default=NEEDED, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        cells = math.prod(len(edges) + 1 for edges in self.edges)
        if len(self.counts) != cells:
            raise ValueError(f"{len(self.counts)} counts for {cells} cells")
        if min(self.counts) < 0 or max(self.counts) > _MOST_CUSTOMERS:
            raise ValueError(f"counts must be from 0 to {_MOST_CUSTOMERS:,}")
        if any(list(edges) != sorted(set(edges)) for edges in self.edges):
            raise ValueError("edges must increase")
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
