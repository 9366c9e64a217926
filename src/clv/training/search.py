"""Search every candidate by cross-validation on the training rows, and choose among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import joblib
import numpy as np
from lightgbm.basic import LightGBMError
from sklearn.base import clone
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

from clv.errors import DataError
from clv.metrics import PairedDifference, mse, paired_difference, squared_errors
from clv.models.candidates import AVERAGE, AVERAGED, Candidate
from clv.models.estimators import AverageRegressor
from clv.schema import Floats
from clv.training.progress import Progress

__all__ = ["FOLDS", "Choice", "Contender", "choose", "search"]

FOLDS = 5


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
        The best of the grid, by mean squared error over the folds.
    out_of_fold : array of shape (n_train,)
        Prediction of each training row by a model that did not see it.
    fit_seconds : float
        One fit on all training rows.
    """

    name: str
    on: Literal["total", "increment"]
    estimator: Any
    parameters: dict[str, Any]
    out_of_fold: Floats
    fit_seconds: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The champion and why it is that one.

    `best` has the lowest error; the champion is the simplest that cannot be told apart from it.
    """

    champion: Contender
    best: Contender
    difference: PairedDifference


def search(
    candidates: Sequence[Candidate],
    X: Floats,
    y: Floats,
    *,
    seed: int,
    jobs: int,
    progress: Progress,
) -> tuple[list[Contender], dict[str, str]]:
    """Search each candidate's grid, then average the best on the increment.

    Returns
    -------
    contenders : list of Contender
        In the order of `candidates`, from simplest to most complex, the average last.
    failed : dict of str to str
        Candidates that could not be fitted on this data, and why.
    """
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    contenders, failed = [], {}
    # Threads, not processes: trees release the interpreter lock, and nothing has to be copied.
    with joblib.parallel_config("threading", n_jobs=jobs):
        for candidate in candidates:
            try:
                contenders.append(_search_one(candidate, X, y, folds, progress))
            except (ValueError, LightGBMError) as error:
                failed[candidate.name] = str(error).strip().splitlines()[-1]
    if not contenders:
        raise DataError(f"No candidate could be fitted: {failed}")
    average = _average_of_the_best(contenders, y)
    return [*contenders, *([average] if average else [])], failed


def _search_one(
    candidate: Candidate, X: Floats, y: Floats, folds: KFold, progress: Progress
) -> Contender:
    points = int(np.prod([len(values) for values in candidate.grid.values()]))
    progress.start(candidate.name, (points + 1) * FOLDS)

    def score(estimator: Any, rows: Floats, actual: Floats) -> float:
        progress.step()
        return -float(mean_squared_error(actual, estimator.predict(rows)))

    found = GridSearchCV(
        candidate.estimator,
        {name: list(values) for name, values in candidate.grid.items()},
        scoring=score,
        cv=folds,
        error_score="raise",
    ).fit(X, y)
    out_of_fold = cross_val_predict(clone(found.best_estimator_), X, y, cv=folds)
    for _ in range(FOLDS):
        progress.step()
    return Contender(
        candidate.name,
        candidate.on,
        found.best_estimator_,
        dict(found.best_params_),
        np.asarray(out_of_fold, dtype=np.float64),
        float(found.refit_time_),
    )


def _average_of_the_best(contenders: Sequence[Contender], y: Floats) -> Contender | None:
    """Average the best candidates on the increment.

    Their out-of-fold predictions come from the same folds, so the average of those is the average's
    own: nothing is fitted again.
    """
    searched = [one for one in contenders if one.on == "increment" and one.parameters]
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
    )


def choose(contenders: Sequence[Contender], y: Floats) -> Choice:
    """The simplest contender whose error is within one paired standard error of the lowest.

    `contenders` stand from simplest to most complex. Source of the one-standard-error rule:
    Breiman et al. (1984), Classification and Regression Trees, section 3.4.3; here the standard
    error is that of the *difference* on the same rows, which is far smaller than that of the error.
    """
    errors = {one.name: squared_errors(y, one.out_of_fold) for one in contenders}
    best = min(contenders, key=lambda one: float(errors[one.name].mean()))
    for contender in contenders:
        difference = paired_difference(errors[contender.name], errors[best.name])
        if contender is best or difference.mean <= difference.standard_error:
            return Choice(contender, best, difference)
    raise AssertionError("the best contender is among the contenders")
