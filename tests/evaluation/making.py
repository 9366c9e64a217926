"""Histories that are made for a test."""

import numpy as np
import pyarrow as pa

from clv.data.checks import History
from clv.schema import Activity, Window

__all__ = ["history_of"]


def history_of(table: pa.Table, window: Window) -> History:
    """A history from an activity table of generated passengers."""
    names = [*(column.name for column in window.features), window.outcome.name]
    *features, outcome = (table[name].to_numpy().astype(float) for name in names)
    ids = np.array([str(name) for name in table["id"].to_pylist()], dtype=object)
    activity = Activity.of(*features)
    returned = table[window.rides_due.name].to_numpy() > activity.frequency
    return History(ids, activity, outcome, window, "unseen.csv", len(table), returned)
