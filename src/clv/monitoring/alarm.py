"""Whether promises are no longer kept: tests that may be looked at every day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from clv.bundle import Calibration
from clv.metrics import evidence, likeliest_start
from clv.monitoring.quality import Figure
from clv.monitoring.sums import Sums
from clv.schema import Floats

__all__ = ["FALSE_ALARMS", "Alarm", "Watch", "watch_bias", "watch_coverage"]

#: Share of years in which nothing changes and yet an alarm is raised, at the most: of bias, and
#: again of coverage, however often one looks and however many versions serve in a year.
FALSE_ALARMS = 0.05
# What nobody would act on: a hundredth of all money promised, two of a hundred passengers.
_BIAS_TOLERATED, _COVERAGE_TOLERATED = 0.01, 0.02
# Beyond this many standard errors of what training could tell, it was not the luck of its draw.
_LUCK = 2.0

Kind = Literal["bias", "coverage", "drift"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that needs a decision.

    Attributes
    ----------
    kind : {'bias', 'coverage', 'drift'}
    model_version : str
    subject : str
        The quantity that drifted; empty elsewhere.
    since : date or None
        Monday of the week since when it is likeliest so, by when outcomes were known.
    raised : date or None
        Monday of the week in which the evidence was enough.
    says, advice : str
        For people.
    """

    kind: Kind
    model_version: str
    subject: str
    since: date | None
    raised: date | None
    says: str
    advice: str


@dataclass(frozen=True, slots=True)
class Watch:
    """The evidence week by week, as outcomes came to be known.

    Attributes
    ----------
    weeks : tuple of date
        Mondays.
    evidence : tuple of float
        After each; without a change it reaches `limit` in one of 20 years at the most.
    limit : float
    raised : date or None
        The first week that reached it.
    since : date or None
        The likeliest week of the change, where it was reached.
    off : float
        By how much since then, or in all where nothing was raised: as a share of what was promised.
    tolerated : float
        What is not held against it, in the same unit.
    """

    weeks: tuple[date, ...]
    evidence: tuple[float, ...]
    limit: float
    raised: date | None
    since: date | None
    off: Figure
    tolerated: Figure


def watch_bias(sums: Sums, calibration: Calibration | None) -> Watch:
    """Watch whether spend differs from what was promised, upwards or downwards.

    The variance of a week is that of its score bins in the calibration: taken from the outcomes it
    would be small just when the few who spend much are missing. Of a version whose calibration is
    gone it is taken from them all the same.

    Parameters
    ----------
    sums : Sums
        Of the version's answers.
    calibration : Calibration or None
        Of the version.
    """
    weeks, judged = _by_week(sums)
    promised = _totals(judged, "predicted")
    off = _totals(judged, "actual") - promised
    variance, luck = _of_errors(judged, calibration)
    tolerated = _BIAS_TOLERATED * promised + _LUCK * luck
    return _watch(weeks, (off, -off), promised, tolerated, variance)


def watch_coverage(sums: Sums, calibration: Calibration | None) -> Watch:
    """Watch whether fewer outcomes lie in their intervals than was promised.

    More than promised is no fault: an interval that is the point "rides no more" covers all who do
    not.
    """
    weeks, judged = _by_week(sums)
    customers = _totals(judged, "customers")
    off = _totals(judged, "level") - _totals(judged, "covered")
    variance = np.maximum(_totals(judged, "level_variance"), 1e-9)
    rows = sum(part.rows for part in calibration.bins) if calibration else 0
    luck = np.sqrt(customers * variance / rows) if rows else np.zeros(len(weeks))
    tolerated = _COVERAGE_TOLERATED * customers + _LUCK * luck
    return _watch(weeks, (off,), customers, tolerated, variance)


def _watch(
    weeks: list[date],
    sides: Sequence[Floats],
    promised: Floats,
    tolerated: Floats,
    variance: Floats,
) -> Watch:
    """Watch each side with an equal part of the stake; the last has the sign of what is told."""
    limit = 1 / FALSE_ALARMS
    by_side = [evidence(side - tolerated, variance) for side in sides]
    found = np.mean(by_side, axis=0)
    reached = np.flatnonzero(found >= limit)
    raised = int(reached[0]) if len(reached) else None
    start = 0
    if raised is not None:
        side = sides[int(np.argmax([one[raised] for one in by_side]))]
        start = likeliest_start((side - tolerated)[: raised + 1], variance[: raised + 1])
    off = sides[-1]
    money = promised[start:].sum()
    return Watch(
        tuple(weeks),
        tuple(found.tolist()),
        limit,
        None if raised is None else weeks[raised],
        None if raised is None else weeks[start],
        float(off[start:].sum() / money) if money else float("nan"),
        float(tolerated[start:].sum() / money) if money else float("nan"),
    )


def _by_week(sums: Sums) -> tuple[list[date], list[Sums]]:
    """By when outcomes were known: what is known later changes nothing of an earlier week."""
    found = [(date.fromisoformat(week), of_one) for week, of_one in sums.judged().by("known")]
    held = [(week, of_one) for week, of_one in found if of_one.total("predicted") > 0]
    return [week for week, _ in held], [of_one for _, of_one in held]


def _totals(weeks: list[Sums], name: str) -> Floats:
    return np.array([of_one.total(name) for of_one in weeks], dtype=np.float64)


def _of_errors(weeks: list[Sums], calibration: Calibration | None) -> tuple[Floats, Floats]:
    """Variance of each week's sum of errors, and the standard error of what training could tell."""
    if calibration is None:
        return np.maximum(_totals(weeks, "squared_error"), 1e-9), np.zeros(len(weeks))
    known = np.array([part.variance for part in calibration.bins])
    rows = np.array([part.rows for part in calibration.bins])
    counts = np.array([_in_bins(of_one, len(known)) for of_one in weeks]).reshape(-1, len(known))
    variance = np.maximum(counts @ known, 1e-9)
    return variance, np.sqrt(counts**2 @ (known / rows))


def _in_bins(sums: Sums, bins: int) -> Floats:
    at = np.clip(sums["score_bin"] - 1, 0, bins - 1)
    return np.bincount(at, sums["customers"], minlength=bins).astype(np.float64)
