"""What there is to learn from again: tracked requests and what came of them."""

import hashlib
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from clv.data.checks import History
from clv.data.conform import returned_of
from clv.errors import DataError
from clv.monitoring import MATURE_AFTER, monday_before
from clv.schema import Activity, Mask, Window
from clv.tracking import Judged

__all__ = ["MIN_LEARNT", "MIN_TESTED", "Material", "material"]

#: Fewer passengers than this are not learnt from, and fewer not compared on: their errors are
#: heavy-tailed, and a model of a few hundred is worse than one that is a little out of date.
MIN_LEARNT, MIN_TESTED = 1_000, 500
# The newest weeks that may be put together to compare on enough.
_MOST_WEEKS = 4
_WINDOW = Window()
# From the prediction to its horizon.
_TO_COME = timedelta(days=_WINDOW.horizon_days - _WINDOW.observation_days)


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to learn from, and to compare on.

    Attributes
    ----------
    history : History
    tested : array of shape (n,), bool
        The newest matured cohort, or the newest few.
    start, end : date
        Mondays: of the first week that is compared on, and after the last.
    since : date or None
        Outcomes of before that week are not in it.
    """

    history: History
    tested: Mask
    start: date
    end: date
    since: date | None

    @property
    def key(self) -> str:
        """The same for the same passengers and outcomes."""
        parts = self.history.fingerprint(), self.history[self.tested].fingerprint(), self.start
        return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:16]


def material(
    judged: Judged,
    today: date,
    since: date | None = None,
    after: date | None = None,
    source: History | None = None,
) -> Material:
    """Gather what is learnt from, and mark in it whom models are compared on.

    Parameters
    ----------
    judged : Judged
    today : date
    since : date or None
        Where passengers behave otherwise since then: the week in which the first of those outcomes
        were known. Only passengers whose horizon passed then or later are learnt from.
    after : date or None
        Whom the champion has learnt from came before that; models are compared on others.
    source : History, optional
        Passengers to learn from besides, unless `since` says that they behaved otherwise.

    Raises
    ------
    DataError
        Where there is too little of either.
    """
    weeks = _monday_of(judged.asked_at)
    last = np.datetime64(monday_before(today - MATURE_AFTER), "D")
    due = weeks <= last
    fresh = due if after is None else due & (weeks >= np.datetime64(after, "D"))
    start = _newest_weeks(weeks[fresh])
    if start is None:
        newer = f" after {after}, up to when the champion has learnt," if after else ""
        raise DataError(
            f"fewer than {MIN_TESTED:,} passengers of the newest {_MOST_WEEKS} weeks whose horizon "
            f"has passed{newer} have a known outcome"
        )
    tested = due & (weeks >= start)
    learnt = weeks < start
    if since is not None:
        # By when they were asked about: many outcomes of those before come late.
        learnt &= weeks >= np.datetime64(monday_before(since - _TO_COME), "D")
    used = learnt | tested
    history, is_tested = _history(judged, used), tested[used]
    if source is not None and since is None:
        history, others = _with_others(history, source)
        is_tested = np.concatenate((np.zeros(others, dtype=bool), is_tested))
    seen = history[~is_tested]
    if len(seen) < MIN_LEARNT or not seen.increment.any():
        of_late = f" since the week of {since}, when something changed" if since else ""
        raise DataError(
            f"{len(seen):,} passengers to learn from{of_late}; at least {MIN_LEARNT:,} are needed. "
            "Run it again when more outcomes are known"
        )
    first: date = start.astype("datetime64[D]").item()
    end: date = last.item() + timedelta(days=7)
    return Material(history, is_tested, first, end, since)


def _newest_weeks(weeks: np.ndarray) -> np.datetime64 | None:
    """The week from which on there are enough passengers, no farther back than allowed."""
    counted = 0
    found, counts = np.unique(weeks, return_counts=True)
    for week, passengers in list(zip(found[::-1], counts[::-1], strict=True))[:_MOST_WEEKS]:
        counted += int(passengers)
        if counted >= MIN_TESTED:
            return np.datetime64(week)
    return None


def _history(judged: Judged, rows: Mask) -> History:
    activity = Activity(*judged.activity[rows].T.copy())
    outcome = judged.outcome[rows]
    return History(
        ids=judged.ids[rows].astype(str).astype(object),
        activity=activity,
        outcome=outcome,
        window=_WINDOW,
        source="outcomes of tracked requests",
        rows_read=int(rows.sum()),
        returned=returned_of(activity, outcome, judged.rides[rows]),
        registered_at=judged.registered_at[rows],
    )


def _with_others(history: History, source: History) -> tuple[History, int]:
    """Passengers of a source who were never judged, and how many; then those who were."""
    others = source[~np.isin(source.ids.astype(str), history.ids.astype(str))]
    undated = np.full(len(others), np.datetime64("NaT", "us"))
    dates = undated if others.registered_at is None else others.registered_at
    both = replace(
        history,
        ids=np.concatenate((others.ids, history.ids)),
        activity=Activity(*np.vstack((others.activity.matrix(), history.activity.matrix())).T),
        outcome=np.concatenate((others.outcome, history.outcome)),
        returned=np.concatenate((others.returned, history.returned)),
        registered_at=np.concatenate((dates, np.asarray(history.registered_at))),
        rows_read=history.rows_read + source.rows_read,
        source=f"{source.source} and {history.source}",
    )
    return both, len(others)


def _monday_of(moments: np.ndarray) -> np.ndarray:
    """Monday of the week of each moment."""
    # The week of 1970 began on a Thursday.
    days = moments.astype("datetime64[D]")
    return days - (days.astype(np.int64) + 3) % 7
