"""One batch of an activity table, scored: the same on this machine and on an executor of a cluster.

NumPy and Arrow only, as `clv.bundle.scorer`: it travels.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clv.bundle.predictions import Predictions
from clv.bundle.scorer import Scorer
from clv.data.conform import ColumnNames, Conformed, conform
from clv.schema import Mask, Window

__all__ = ["BatchScorer", "ScoredBatch"]


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """What is written of a batch, and what it came to.

    `predictions` are of the `usable` rows only; the others are blank in `rows`.
    """

    rows: pa.RecordBatch
    conformed: Conformed
    usable: Mask
    predictions: Predictions


@dataclass(frozen=True)  # with slots it would arrive empty where it is sent
class BatchScorer:
    """Turns batches with an activity into batches of predictions, row by row.

    Attributes
    ----------
    scorer : Scorer
    window : Window
        Of the model.
    version : str
        Of the model.
    names : ColumnNames
        What the columns are called.
    level : float
        Of the intervals.
    """

    scorer: Scorer
    window: Window
    version: str
    names: ColumnNames
    level: float

    def __call__(self, batch: pa.RecordBatch) -> ScoredBatch:
        """Score a batch; a row that breaks a rule of the schema has no prediction."""
        conformed = conform(batch, self.names, self.window)
        usable = conformed.usable
        activity = conformed.activity if usable.all() else conformed.activity[usable]
        predictions = self.scorer.predict(activity.matrix(), self.level)
        rows = self._rows(conformed.ids, usable, predictions)
        return ScoredBatch(rows, conformed, usable, predictions)

    def _rows(self, ids: pa.Array, usable: Mask, predictions: Predictions) -> pa.RecordBatch:
        said = predictions.in_cents()
        columns = {"id": ids}
        for name, values in (
            (self.window.prediction, said.monetary),
            ("expected_increment", said.expected_increment),
            ("p_return", said.p_return),
            ("low", said.low),
            ("high", said.high),
            ("score_bin", said.score_bin.astype(np.int16)),
            ("in_support", said.in_support),
        ):
            columns[name] = pa.array(values) if usable.all() else _spread(values, usable)
        columns["model_version"] = pa.repeat(pa.scalar(self.version), len(usable))
        return pa.RecordBatch.from_pydict(columns)


def _spread(values: np.ndarray, usable: Mask) -> pa.Array:
    """The values in the usable rows, nothing in the others."""
    spread = np.zeros(len(usable), dtype=values.dtype)
    spread[usable] = values
    return pa.array(spread, mask=~usable)
