"""The arithmetic of a prediction, and nothing else.

This module and those it imports need NumPy only and hold no state between calls, so that a scorer
can be sent to where a prediction is wanted (`clv.scoring.spark`): an executor of a cluster computes
with this very code.
"""

from math import inf
from typing import Literal

import numpy as np

from clv.bundle.cells import Cells
from clv.bundle.intervals import DEFAULT_LEVEL, Intervals
from clv.bundle.predictions import Prediction, Predictions, complete, unusable
from clv.bundle.surroundings import Surroundings
from clv.schema import MONETARY, Floats

__all__ = ["Scorer", "Target"]

Target = Literal["increment", "total"]


class Scorer:
    """Says what customers are expected to be worth. Safe to share between threads.

    Parameters
    ----------
    cells : Cells
    target : {'increment', 'total'}
        What the cells hold.
    intervals : Intervals
    surroundings : Surroundings
    """

    def __init__(
        self, cells: Cells, target: Target, intervals: Intervals, surroundings: Surroundings
    ) -> None:
        self.cells = cells
        self.target = target
        self.intervals = intervals
        self.surroundings = surroundings

    def predict(self, X: Floats, level: float = DEFAULT_LEVEL) -> Predictions:
        """Predict each row of `X`, shape (n, 3), with intervals at `level`."""
        cells = self.cells.of(X)
        increment = self.cells.expected[cells]
        if self.target == "total":
            # What is spent is spent: a model of the total that says less is not followed.
            total = increment + self.cells.linear(*X.T)
            increment = np.maximum(total - X[:, MONETARY], 0.0)
        return complete(
            X, increment, self.cells.p_return[cells], self.intervals, self.surroundings, level
        )

    def predict_one(
        self, recency: float, frequency: float, monetary: float, level: float = DEFAULT_LEVEL
    ) -> Prediction:
        """Predict one customer; the same answer as in a batch, to the last bit.

        The arithmetic of `predict` in plain numbers: NumPy takes ten times as long for one row.
        """
        cell = self.cells.of_one(recency, frequency, monetary)
        increment = float(self.cells.expected[cell])
        if self.target == "total":
            total = increment + self.cells.linear(recency, frequency, monetary)
            increment = max(total - monetary, 0.0)
        score_bin, low, high = self.intervals.around_one(increment, level)
        similar = self.surroundings.similar_to(recency, frequency, monetary)
        p_return = float(self.cells.p_return[cell])
        # As in `complete`.
        if not (0.0 <= increment < inf and 0.0 <= p_return <= 1.0):
            raise unusable((recency, frequency, monetary))
        return Prediction(
            monetary + increment,
            increment,
            p_return,
            level,
            max(monetary + low, 0.0),
            max(monetary + high, 0.0),
            score_bin + 1,
            similar,
            similar >= self.surroundings.needed,
        )
