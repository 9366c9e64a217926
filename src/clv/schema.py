"""The contract of the data: windows, columns, ranges, and what an activity may not say.

An activity table has one row a customer. For the default window its columns are `id`,
`recency_7`, `frequency_7`, `monetary_value_7` and, where the outcome is known,
`monetary_value_30`; for another window the numbers follow. The HTTP interface says `monetary_7`
and `monetary_30` for short, and tables may, too.

`recency_7` is the *day* of the last ride in the observation window, counted from registration:
1 is the day of registration, 7 the last observed day, so high is recent. It is not the recency of
the BTYD literature. A customer without a ride has zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv.errors import DataError
from clv.window import (
    DEFAULT_PREDICTIONS,
    DEFAULT_RIDES,
    DEFAULT_TABLE,
    MAX_FREQUENCY,
    MAX_MONETARY,
    Column,
    Window,
)

__all__ = [
    "CLOCK_TOLERANCE",
    "CONTRADICTIONS",
    "DEFAULT_PREDICTIONS",
    "DEFAULT_RIDES",
    "DEFAULT_TABLE",
    "FEATURES",
    "FREQUENCY",
    "ID_NAMES",
    "MAX_FREQUENCY",
    "MAX_MONETARY",
    "MONETARY",
    "NOBODY",
    "RECENCY",
    "WHOLE_FLOAT",
    "Activity",
    "Column",
    "Contradiction",
    "Floats",
    "Instants",
    "Ints",
    "Mask",
    "Window",
    "require_valid",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Instants = NDArray[np.datetime64]  # microseconds, UTC

#: Moments up to so far ahead are taken for now: clocks of two machines differ.
CLOCK_TOLERANCE = timedelta(minutes=1)

#: What the column that identifies the customer may be called.
ID_NAMES = ("id", "passenger_id", "customer_id")

#: An id that was whole before its column had gaps: 70001.0 is what is left of 70001.
WHOLE_FLOAT = r"^\s*(0|-?[1-9]\d{0,17})\.0+\s*$"
#: What programs write, and people, where a customer is unknown; in small letters.
NOBODY = frozenset(
    (
        "",
        "nan",
        "none",
        "null",
        "na",
        "n/a",
        "#n/a",
        "<na>",
        "nat",
        "nil",
        "undefined",
        "missing",
        "guest",
        "guests",
        "anonymous",
        "unknown",
    )
)

#: Order of the features in every matrix and table of cells.
FEATURES = ("recency", "frequency", "monetary")
RECENCY, FREQUENCY, MONETARY = range(3)


@dataclass(frozen=True)  # without slots: they are sent to executors
class Contradiction:
    """Values that are valid each but cannot stand in one row.

    `holds`, of recency, frequency and monetary in this order, takes scalars and arrays alike.
    """

    code: str
    says: str
    holds: Callable[[Any, Any, Any], Any]


CONTRADICTIONS = (
    Contradiction(
        "recency-without-rides",
        "no ride was counted, yet there is a day of the last ride",
        lambda recency, frequency, _: (frequency == 0) & (recency > 0),
    ),
    Contradiction(
        "money-without-rides",
        "no ride was counted, yet money was spent",
        lambda _, frequency, monetary: (frequency == 0) & (monetary > 0),
    ),
    Contradiction(
        "rides-without-recency",
        "rides were counted, yet the day of the last ride is 0; a ride on the first day is day 1",
        lambda recency, frequency, _: (frequency > 0) & (recency == 0),
    ),
)


@dataclass(frozen=True, slots=True)
class Activity:
    """What customers did in the observation window.

    `Activity.of` checks it; whoever builds one directly vouches for the values.

    Attributes
    ----------
    recency, frequency, monetary : array of shape (n,), float64
        Day of the last ride (0 where there was none), rides, money in currency units.
    """

    recency: Floats
    frequency: Floats
    monetary: Floats

    @classmethod
    def of(cls, recency: ArrayLike, frequency: ArrayLike, monetary: ArrayLike) -> Self:
        """Build from anything that NumPy takes for three columns of one length.

        Raises
        ------
        DataError
            If a value cannot be: names it, its row and what was expected.
        """
        columns = []
        for name, given in zip(FEATURES, (recency, frequency, monetary), strict=True):
            try:
                columns.append(np.atleast_1d(np.asarray(given, dtype=np.float64)))
            except (TypeError, ValueError) as error:
                raise DataError(f"{name} holds a value that is not a number: {error}.") from error
        if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
            raise DataError(
                f"Columns of shapes {[column.shape for column in columns]}: "
                "expected three of one length."
            )
        activity = cls(*columns)
        require_valid(activity)
        return activity

    def __len__(self) -> int:
        return len(self.recency)

    def __getitem__(self, rows: Any) -> "Activity":
        """The given rows, by slice, mask or indices."""
        return Activity(self.recency[rows], self.frequency[rows], self.monetary[rows])

    def matrix(self) -> Floats:
        """Features of shape (n, 3), columns in the order of `FEATURES`, each of them contiguous."""
        return np.array((self.recency, self.frequency, self.monetary)).T


def require_valid(activity: Activity, window: Window | None = None) -> None:
    """See that each row can be what a customer did; without a window recency has no end.

    Raises
    ------
    DataError
        Names the first value that cannot be, its row and what was expected.
    """
    last = window.observation_days if window else np.finfo(np.float64).max
    for name, high, whole in (
        ("recency", last, True),
        ("frequency", MAX_FREQUENCY, True),
        ("monetary", MAX_MONETARY, False),
    ):
        values = getattr(activity, name)
        # Neither holds for NaN.
        valid = (values >= 0) & (values <= high)
        if whole:
            valid &= values == np.floor(values)
        if not valid.all():
            row = int(np.argmin(valid))
            kind = "a whole number" if whole else "a number"
            limit = f" to {high:,.0f}" if window or name != "recency" else ""
            raise DataError(
                f"{name} is {values[row]:g} in row {row}: expected {kind} from 0{limit}."
            )
    features = activity.recency, activity.frequency, activity.monetary
    for contradiction in CONTRADICTIONS:
        rows = contradiction.holds(*features)
        if rows.any():
            row = int(np.argmax(rows))
            said = ", ".join(
                f"{name}={values[row]:g}" for name, values in zip(FEATURES, features, strict=True)
            )
            raise DataError(f"{said} in row {row}: {contradiction.says}.")
