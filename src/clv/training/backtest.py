"""What the recipe would have done in the past: learn from older cohorts, predict younger ones.

A random split asks whether the model knows customers like those it saw. It serves those who come
later. Where there are dates of registration, the origin rolls over the younger half of them: at
each, a model is fitted on the customers whose outcome was known by then, and judged on those who
registered next.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from lightgbm.basic import LightGBMError
from sklearn.base import clone

from clv.data.checks import MIN_ROWS, History
from clv.metrics import PairedDifference, Quality, brier, measure, paired_bootstrap, squared_errors
from clv.schema import Mask
from clv.training.fitted import finish
from clv.training.progress import Progress
from clv.training.search import out_of_fold

__all__ = ["COHORTS", "Cohort", "backtest"]

#: Cohorts that are predicted, of the younger half of the customers.
COHORTS = 4
_OLDEST = 0.5
# Fewer customers say nothing about heavy-tailed errors.
_MIN_COHORT = 100


@dataclass(frozen=True, slots=True)
class Cohort:
    """Customers who registered in one period, predicted by a model of what was known before it.

    Attributes
    ----------
    start, end : date
        First day of registration, and the first day after the last.
    learnt_from, tested_on : int
        Customers.
    champion, persistence : Quality
        Of the champion's recipe, and of "the month equals the week".
    to_persistence : PairedDifference
        Squared error of the recipe less that of persistence.
    level, covered : float
        What the intervals promised, and the share that held.
    brier : float
        Of `p_return`.
    predicted, actual : float
        Mean increment, currency units.
    """

    start: date
    end: date
    learnt_from: int
    tested_on: int
    champion: Quality
    persistence: Quality
    to_persistence: PairedDifference
    level: float
    covered: float
    brier: float
    predicted: float
    actual: float


def backtest(history: History, recipe: Any, *, seed: int, progress: Progress) -> tuple[Cohort, ...]:
    """Roll the origin over the younger half of the registrations.

    Parameters
    ----------
    history : History
    recipe : estimator
        The champion's, with its parameters; fitted anew at each origin, calibration included.
    seed : int
    progress : Progress
        A stage with a step for each cohort; none if there are no cohorts.

    Returns
    -------
    tuple of Cohort
        Oldest first; fewer where too little was known at an origin, none without dates.
    """
    cohorts = []
    # In an order of its own, because folds go by position: how a table is sorted decides nothing.
    by_id = np.argsort(history.ids.astype(str), kind="stable")
    history = history[by_id]
    origins = list(_origins(history))
    if origins:
        progress.start("younger cohorts", len(origins))
    for start, end, known, tested in origins:
        # As in the search: what was known early may be too little for this recipe.
        with suppress(ValueError, LightGBMError):
            cohorts.append(_test(history[known], history[tested], recipe, start, end, seed))
        progress.step()
    return tuple(cohorts)


def _origins(history: History) -> Iterator[tuple[date, date, Mask, Mask]]:
    """First and last day of each cohort, who was known on the first, and who is in the cohort."""
    if history.registered_at is None:
        return
    days = history.registered_at.astype("datetime64[D]")
    dated = np.sort(days[~np.isnat(days)])
    if not len(dated):
        return
    # Whole days: who registers on one day sees the same weather.
    at = np.linspace(_OLDEST, 1, COHORTS + 1)[:-1]
    starts = np.unique(dated[(at * len(dated)).astype(int)])
    ends = np.append(starts[1:], dated[-1] + 1)
    # Nobody's outcome is known before their horizon has passed.
    horizon = np.timedelta64(history.window.horizon_days, "D")
    for start, end in zip(starts, ends, strict=True):
        known = days + horizon < start
        tested = (days >= start) & (days < end)
        enough = known.sum() >= MIN_ROWS and tested.sum() >= _MIN_COHORT
        if enough and history.increment[known].any() and history.outcome[tested].any():
            yield start.item(), end.item(), known, tested


def _test(
    known: History, tested: History, recipe: Any, start: date, end: date, seed: int
) -> Cohort:
    X, y = known.activity.matrix(), known.outcome
    fitted = finish(clone(recipe).fit(X, y), out_of_fold(recipe, X, y, seed=seed), known, seed=seed)
    said = fitted.predict(tested.activity)
    spent, actual = tested.activity.monetary, tested.outcome
    return Cohort(
        start=start,
        end=end,
        learnt_from=len(known),
        tested_on=len(tested),
        champion=measure(actual, said.monetary, spent),
        persistence=measure(actual, spent, spent),
        to_persistence=paired_bootstrap(
            squared_errors(actual, said.monetary), squared_errors(actual, spent), seed=seed
        ),
        level=said.level,
        covered=float(said.holds(actual).mean()),
        brier=brier(tested.returned, said.p_return),
        predicted=float(said.expected_increment.mean()),
        actual=float(tested.increment.mean()),
    )
