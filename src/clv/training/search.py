"""Search every candidate by cross-validation on the training rows, and choose among them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import joblib
import numpy as np
from lightgbm.basic import LightGBMError
from sklearn.base import clone
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

from clv.bundle.cells import MAX_CELLS
from clv.errors import DataError
from clv.metrics import PairedDifference, mse, paired_difference, squared_errors
from clv.models.candidates import AVERAGE, AVERAGED, Candidate
from clv.models.estimators import AverageRegressor
from clv.models.laws import broken_law
from clv.models.tabulate import size_of
from clv.schema import Floats, Ints
from clv.training.progress import Progress

__all__ = [
    "FOLDS",
    "Choice",
    "Contender",
    "SearchPlan",
    "choose",
    "fold_of",
    "out_of_fold",
    "search",
]

FOLDS = 5


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How parameters are searched.

    Attributes
    ----------
    kind : {'grid', 'optuna'}
        The grid of each candidate; or beyond it, by Optuna, for those that have a space.
    trials : int
        Points that Optuna tries of each candidate after its grid. They are the budget: one in
        minutes would make the result depend on the machine.
    """

    kind: Literal["grid", "optuna"] = "grid"
    trials: int = 40


@dataclass(frozen=True, slots=True)
class Contender:
    """A candidate after its search.

    Attributes
    ----------
    name : str
    on : {'total', 'increment'}
    estimator : estimator
        Fitted on all training rows with the best parameters.
    parameters : dict
        The best that the search found, by mean squared error over the folds.
    out_of_fold : array of shape (n_train,)
        Prediction of each training row by a model that did not see it.
    fit_seconds : float
        One fit on all training rows.
    breaks : str
        How it breaks the laws that a champion keeps (`clv.models.laws`), or that its table would be
        too large to serve; empty where neither is so.
    """

    name: str
    on: Literal["total", "increment"]
    estimator: Any
    parameters: dict[str, Any]
    out_of_fold: Floats
    fit_seconds: float
    breaks: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The champion and why it is that one.

    `best` has the lowest error of those that keep the laws; the champion is the simplest of them
    that cannot be told apart from it.
    """

    champion: Contender
    best: Contender
    difference: PairedDifference


def search(
    candidates: Sequence[Candidate],
    X: Floats,
    y: Floats,
    *,
    plan: SearchPlan = SearchPlan(),
    seed: int,
    jobs: int,
    progress: Progress,
) -> tuple[list[Contender], dict[str, str]]:
    """Search each candidate's parameters, then average the best on the increment.

    Returns
    -------
    contenders : list of Contender
        In the order of `candidates`, from simplest to most complex, the average last.
    failed : dict of str to str
        Candidates that could not be fitted on this data, and why.
    """
    contenders, failed = [], {}
    # Threads, not processes: trees release the interpreter lock, and nothing has to be copied.
    with joblib.parallel_config("threading", n_jobs=jobs):
        for candidate in candidates:
            try:
                contenders.append(_search_one(candidate, X, y, plan, seed, progress))
            except (ValueError, LightGBMError) as error:
                failed[candidate.name] = str(error).strip().splitlines()[-1]
    if not contenders:
        raise DataError(f"No candidate could be fitted: {failed}")
    average = _average_of_the_best(contenders, X, y)
    return [*contenders, *([average] if average else [])], failed


def _search_one(
    candidate: Candidate, X: Floats, y: Floats, plan: SearchPlan, seed: int, progress: Progress
) -> Contender:
    points = int(np.prod([len(values) for values in candidate.grid.values()]))
    trials = plan.trials if plan.kind == "optuna" and candidate.space else 0
    searched = points + trials if points + trials > 1 else 0
    progress.start(candidate.name, (searched + 1) * FOLDS)

    def score(estimator: Any, rows: Floats, actual: Floats) -> float:
        progress.step()
        return -float(mean_squared_error(actual, estimator.predict(rows)))

    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    if trials:
        # Optuna takes half a second to import, and most trainings do without it.
        from clv.training.tune import tune  # noqa: PLC0415

        parameters = tune(candidate, X, y, folds=folds, score=score, trials=trials, seed=seed)
    elif searched:
        parameters = _best_of_the_grid(candidate, X, y, folds, score)
    else:
        parameters = {name: values[0] for name, values in sorted(candidate.grid.items())}
    estimator = clone(candidate.estimator).set_params(**parameters)
    started = time.perf_counter()
    estimator.fit(X, y)
    fit_seconds = time.perf_counter() - started
    unseen = out_of_fold(estimator, X, y, seed=seed)
    for _ in range(FOLDS):
        progress.step()
    return Contender(
        candidate.name,
        candidate.on,
        estimator,
        parameters,
        unseen,
        fit_seconds,
        _breaks(estimator, X),
    )


def _breaks(estimator: Any, X: Floats) -> str:
    cells = size_of(estimator)
    if cells > MAX_CELLS:
        return f"its table would have {cells:,} cells, more than the {MAX_CELLS:,} that are served"
    return broken_law(estimator, X)


def _best_of_the_grid(
    candidate: Candidate, X: Floats, y: Floats, folds: KFold, score: Callable[..., float]
) -> dict[str, Any]:
    found = GridSearchCV(
        candidate.estimator,
        {name: list(values) for name, values in candidate.grid.items()},
        scoring=score,
        cv=folds,
        refit=False,
        error_score="raise",
    ).fit(X, y)
    return dict(found.best_params_)


def out_of_fold(estimator: Any, X: Floats, y: Floats, *, seed: int) -> Floats:
    """Prediction of each row by a model that did not see it, shape (n,).

    The folds are others than those that chose the parameters: a parameter that was lucky on its
    folds has to do without that luck here.
    """
    folds = _judging_folds(seed)
    return np.asarray(cross_val_predict(clone(estimator), X, y, cv=folds), dtype=np.float64)


def fold_of(rows: int, *, seed: int) -> Ints:
    """Fold of `out_of_fold` in which each row was left out, shape (rows,)."""
    fold = np.empty(rows, dtype=np.int64)
    for number, (_, left_out) in enumerate(_judging_folds(seed).split(np.empty(rows))):
        fold[left_out] = number
    return fold


def _judging_folds(seed: int) -> KFold:
    return KFold(FOLDS, shuffle=True, random_state=seed + 1)


def _average_of_the_best(contenders: Sequence[Contender], X: Floats, y: Floats) -> Contender | None:
    """Average the best candidates on the increment that could be champion themselves.

    Their out-of-fold predictions come from the same folds, so the average of those is the average's
    own: nothing is fitted again.
    """
    searched = [
        one for one in contenders if one.on == "increment" and one.parameters and not one.breaks
    ]
    best = sorted(searched, key=lambda one: mse(y, one.out_of_fold))[:AVERAGED]
    if len(best) < 2:
        return None
    average = AverageRegressor([clone(one.estimator) for one in best])
    average.regressors_ = [one.estimator for one in best]
    average.n_features_in_ = best[0].estimator.n_features_in_
    return Contender(
        AVERAGE,
        "increment",
        average,
        {"of": [one.name for one in best]},
        np.mean([one.out_of_fold for one in best], axis=0),
        sum(one.fit_seconds for one in best),
        _breaks(average, X),
    )


def choose(contenders: Sequence[Contender], y: Floats) -> Choice:
    """The simplest lawful contender whose error is within one paired standard error of the lowest.

    `contenders` stand from simplest to most complex; those that break a law are only compared
    with. Source of the one-standard-error rule: Breiman et al. (1984), Classification and
    Regression Trees, section 3.4.3; here the standard error is that of the *difference* on the same
    rows, which is far smaller than that of the error.

    Raises
    ------
    DataError
        Where all break a law.
    """
    lawful = [one for one in contenders if not one.breaks]
    if not lawful:
        broken = "; ".join(f"{one.name}: {one.breaks}" for one in contenders)
        raise DataError(f"No candidate can become champion. {broken}. Train among more candidates.")
    errors = {one.name: squared_errors(y, one.out_of_fold) for one in lawful}
    best = min(lawful, key=lambda one: float(errors[one.name].mean()))
    for contender in lawful:
        difference = paired_difference(errors[contender.name], errors[best.name])
        if contender is best or difference.mean <= difference.standard_error:
            return Choice(contender, best, difference)
    raise AssertionError("the best contender is among the contenders")
