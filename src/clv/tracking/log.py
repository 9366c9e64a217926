"""The port: what the service asks of the place where answered predictions are kept."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, Self, get_args

from clv.errors import StoreError

__all__ = ["InMemoryRequestLog", "RequestLog", "Source", "TrackedRequest"]

_INT32, _INT64 = 2**31, 2**63

#: How a prediction was requested. Those of the page are tried out: they are kept, and never count
#: as the prediction of a passenger.
Source = Literal["api", "batch", "page"]
_SOURCES = frozenset(get_args(Source))


class TrackedRequest(NamedTuple):
    """One answered prediction, its fields in the order of the columns that it is stored in.

    A tuple, because ten thousand are made in a batch. Whoever stores it has it `checked` first.

    Attributes
    ----------
    passenger_id : int or None
        Any signed integer of 64 bits; None only for a prediction of the page.
    recency, frequency : int
        Day of the last ride (0 where there was none) and rides in the observation window.
    monetary : float
        Money spent in the observation window, in currency units.
    predicted : float
        Expected spend from registration to the horizon, as it was answered.
    expected_increment : float
        The part of `predicted` that is still to come.
    p_return : float
        Probability of any further ride, as it was answered.
    level : float
        Share of customers whose spend lies in their interval.
    low, high : float
        The interval of the spend from registration to the horizon, as it was answered.
    score_bin : int
        From 1, the lowest expected increments, upwards.
    in_support : bool
        Whether enough training customers were like this one.
    model_version : str
        The version that answered.
    requested_at : datetime
        When; aware.
    challenger_version : str or None
        The version that predicted in shadow, where one did; its answer was not given to anybody.
    challenger_predicted, challenger_p_return, challenger_low, challenger_high : float or None
        What it would have answered.
    source : {'api', 'batch', 'page'}
        How the prediction was requested.
    """

    passenger_id: int | None
    recency: int
    frequency: int
    monetary: float
    predicted: float
    expected_increment: float
    p_return: float
    level: float
    low: float
    high: float
    score_bin: int
    in_support: bool
    model_version: str
    requested_at: datetime
    challenger_version: str | None = None
    challenger_predicted: float | None = None
    challenger_p_return: float | None = None
    challenger_low: float | None = None
    challenger_high: float | None = None
    source: Source = "api"

    def checked(self) -> Self:
        """Itself, where every database can store it.

        Many callers share one transaction, so a row that a database would refuse must not get as
        far as that: it would fail its neighbours, too.

        Raises
        ------
        ValueError
            Where a value cannot be stored on every database.
        """
        if self.source not in _SOURCES:
            raise ValueError(f"source={self.source!r}; expected one of {', '.join(_SOURCES)}.")
        if self.passenger_id is None:
            if self.source != "page":
                raise ValueError("passenger_id=None; expected an integer of 64 bits.")
        elif not -_INT64 <= self.passenger_id < _INT64:
            raise ValueError(f"passenger_id={self.passenger_id}; expected an integer of 64 bits.")
        if not (
            0 <= self.recency < _INT32
            and 0 <= self.frequency < _INT32
            and 0 <= self.score_bin < _INT32
        ):
            raise ValueError(
                f"recency={self.recency}, frequency={self.frequency}, score_bin={self.score_bin}; "
                "expected counts of 32 bits."
            )
        # One sum tells of seven values at a seventh of the cost; only absurd ones overflow it.
        if not math.isfinite(
            self.monetary
            + self.predicted
            + self.expected_increment
            + self.p_return
            + self.level
            + self.low
            + self.high
        ):
            raise ValueError(
                f"monetary={self.monetary}, predicted={self.predicted}, "
                f"expected_increment={self.expected_increment}, p_return={self.p_return}, "
                f"level={self.level}, low={self.low}, high={self.high}; expected finite numbers."
            )
        if self.requested_at.tzinfo is None:
            raise ValueError(
                f"requested_at={self.requested_at.isoformat()} has no time zone; expected one."
            )
        return self


class RequestLog(Protocol):
    """Where answered predictions are kept.

    Every method raises `StoreError` where the store refuses, is away or is closed.
    """

    @property
    def waiting_rows(self) -> int:
        """Rows that were accepted and are not yet durable."""

    async def append(self, rows: Sequence[TrackedRequest]) -> None:
        """Keep the rows, all or none; returns once they are durable."""

    async def count(self, passenger_id: int) -> int:
        """How many predictions of this passenger are kept, those of the page not counted."""

    async def clear(self) -> int:
        """Delete what was appended before, with what came of it; returns how many rows."""

    async def check(self) -> None:
        """See that rows can be stored, by storing one and taking it back."""

    async def close(self) -> None:
        """Refuse further calls, finish those that were accepted, let go of the store."""


class InMemoryRequestLog:
    """The fake for tests: keeps the same promises, except that nothing outlives the process."""

    def __init__(self) -> None:
        self.rows: list[TrackedRequest] = []
        self._closed = False

    @property
    def waiting_rows(self) -> int:
        """None ever wait."""
        return 0

    async def append(self, rows: Sequence[TrackedRequest]) -> None:
        """Keep the rows."""
        self._refuse_when_closed()
        self.rows.extend([row.checked() for row in rows])

    async def count(self, passenger_id: int) -> int:
        """How many predictions of this passenger are kept."""
        self._refuse_when_closed()
        return sum(row.passenger_id == passenger_id and row.source != "page" for row in self.rows)

    async def clear(self) -> int:
        """Delete everything."""
        self._refuse_when_closed()
        cleared = len(self.rows)
        self.rows.clear()
        return cleared

    async def check(self) -> None:
        """See that it is not closed."""
        self._refuse_when_closed()

    async def close(self) -> None:
        """Refuse further calls."""
        self._closed = True

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StoreError("The request log is closed. Start the service again to use it.")
