"""Customers to be judged: who they are and what they did, without an outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from clv.data.conform import conform, find_columns, settled
from clv.data.findings import (
    Finding,
    Tally,
    by_severity,
    three_decimals,
    without_duplicates,
)
from clv.data.sources import Source
from clv.errors import DataError
from clv.schema import ID_NAMES, MONETARY, Activity, Floats, Window

__all__ = ["Customers", "OnInvalid", "id_names", "read_customers"]

OnInvalid = Literal["stop", "skip"]


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers of a table, each once.

    Attributes
    ----------
    ids : array of shape (n,), str
    activity : Activity of length n
    rows_read : int
        Those left out included.
    findings : tuple of Finding
        What was left out, and why.
    """

    ids: np.ndarray
    activity: Activity
    rows_read: int
    findings: tuple[Finding, ...]

    def __len__(self) -> int:
        return len(self.activity)


def id_names(renamed: Mapping[str, str]) -> tuple[str, ...]:
    """What the column of ids of a list may be called, for `open_source`."""
    return tuple(renamed[name] for name in ID_NAMES if name in renamed) or ID_NAMES


def read_customers(
    source: Source,
    window: Window,
    *,
    renamed: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "stop",
) -> Customers:
    """Read all rows and keep those that can be judged, each customer once.

    Parameters
    ----------
    source : Source
    window : Window
    renamed : mapping of str to str, optional
        What columns are called in the source, by the names that they have here.
    on_invalid : {'stop', 'skip'}
        What a row means that cannot be used: an error, or a finding. The same row again is a
        finding either way.

    Raises
    ------
    DataError
        Where a column is missing, no row can be used, or a row cannot be and `on_invalid` is
        'stop'; the message holds every finding.
    """
    names = find_columns(
        source.name, source.columns, window, need_outcome=False, renamed=renamed or {}
    )
    names, read_as = settled(source, names)
    tally = Tally()
    ids: list[np.ndarray] = [np.empty(0, dtype=object)]
    matrices: list[Floats] = [np.empty((0, 3))]
    rows_read = 0
    for batch in source.batches(names.all()):
        conformed = conform(batch, names, window)
        for problem in conformed.problems:
            tally.add(problem, rows_read)
        rows_read += batch.num_rows
        usable = conformed.usable
        ids.append(np.asarray(conformed.ids.cast(pa.string()).to_pylist(), dtype=object)[usable])
        matrices.append(conformed.activity.matrix()[usable])
    if rows_read == 0:
        raise DataError(f"'{source.name}' holds no rows. Give a table with customers in it.")
    every, matrix = np.concatenate(ids), np.concatenate(matrices)
    keep, duplicates = without_duplicates(every, matrix, names.id)
    money = three_decimals(names.features[MONETARY], matrix[:, MONETARY])
    findings = by_severity([*read_as, *tally.findings(), *duplicates, *money])
    wrong = [one for one in findings if one.severity == "left out" and one.code != "duplicate"]
    if not keep.any() or (wrong and on_invalid == "stop"):
        advice = "Correct them, or leave such rows out." if keep.any() else "Correct the table."
        kept = f"{int(keep.sum()):,} of {rows_read:,} {'row' if rows_read == 1 else 'rows'}"
        raise DataError(
            f"'{source.name}' cannot be used as it is: {kept} can be used. "
            f"{' '.join(map(str, findings))} {advice}"
        )
    return Customers(every[keep], Activity(*matrix[keep].T.copy()), rows_read, findings)
