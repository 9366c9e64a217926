"""Search a candidate's parameters beyond its grid, by Optuna.

The points of the grid come first, so that on the folds of the search nothing does worse than the
grid; what is learnt from them decides where the trials look. Trials follow each other, because
each is chosen by those before: the result does not depend on how many fits run at a time.

Source: Bergstra, Bardenet, Bengio, Kégl (2011), Algorithms for hyper-parameter optimization, the
tree-structured Parzen estimator.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from lightgbm.basic import LightGBMError
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState
from sklearn.base import clone
from sklearn.model_selection import KFold, ParameterGrid, cross_val_score

from clv.models.candidates import Candidate, Range
from clv.schema import Floats

__all__ = ["tune"]


def tune(
    candidate: Candidate,
    X: Floats,
    y: Floats,
    *,
    folds: KFold,
    score: Callable[..., float],
    trials: int,
    seed: int,
) -> dict[str, Any]:
    """Find the parameters with the highest mean score over the folds.

    Parameters
    ----------
    candidate : Candidate
        With a space that holds every point of its grid.
    X : array of shape (n, 3)
    y : array of shape (n,)
    folds : KFold
    score : function of estimator, X and y
    trials : int
        Points that are tried after the grid.
    seed : int

    Returns
    -------
    dict
        A value for each parameter of the space; of equally good points the first.

    Raises
    ------
    ValueError, LightGBMError
        Where the candidate cannot be fitted with a point of its grid. A point of Optuna's own that
        cannot be fitted only counts as a trial.
    """
    distributions = {name: _distribution(values) for name, values in candidate.space.items()}
    grid = list(_grid_points(candidate))
    with _quiet():
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
        )
    for point in grid:
        study.enqueue_trial(point)
    best, highest = dict[str, Any](), -float("inf")
    for number in range(len(grid) + trials):
        trial = study.ask(distributions)
        parameters = _parameters(candidate.space, trial.params)
        model = clone(candidate.estimator).set_params(**parameters)
        try:
            found = float(
                cross_val_score(model, X, y, scoring=score, cv=folds, error_score="raise").mean()
            )
        except (ValueError, LightGBMError):
            if number < len(grid):
                raise
            study.tell(trial, state=TrialState.FAIL)
            continue
        study.tell(trial, found)
        if found > highest:
            best, highest = parameters, found
    return best


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna says on standard error that it made a study; progress is told in our own way."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _distribution(values: Range | Sequence[Any]) -> BaseDistribution:
    if not isinstance(values, Range):
        # By position: Optuna's categories are scalars, ours may be lists.
        return CategoricalDistribution(range(len(values)))
    if values.whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _grid_points(candidate: Candidate) -> Iterator[dict[str, Any]]:
    """Points of the grid, with the estimator's own values of what only the space has."""
    defaults = candidate.estimator.get_params()
    for point in ParameterGrid({name: list(values) for name, values in candidate.grid.items()}):
        full = defaults | point
        yield {
            name: full[name] if isinstance(values, Range) else values.index(full[name])
            for name, values in candidate.space.items()
        }


def _parameters(
    space: Mapping[str, Range | Sequence[Any]], suggested: Mapping[str, Any]
) -> dict[str, Any]:
    """What the estimator is given: categories by their value."""
    return {
        name: suggested[name] if isinstance(values, Range) else values[suggested[name]]
        for name, values in space.items()
    }
