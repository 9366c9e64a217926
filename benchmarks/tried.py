"""What else was tried against the champion, and the paired figure that left it out.

Everything is judged on the same folds: three times five of them, over all customers. Whoever does
not beat the champion beyond doubt stays out of `clv.models.candidates`
(docs/decisions/0006-noise-floor-and-candidates.md).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import BaggingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import KFold

from clv.metrics import bias, normalised_gini, paired_bootstrap, squared_errors
from clv.models.candidates import AVERAGE, PUBLISHED, candidates
from clv.schema import FREQUENCY, MONETARY, RECENCY, Floats, Ints
from clv.training import TrainingResult
from clv.training.appraisal import Appraisal
from clv.training.noise import NoiseFloor
from clv.training.search import FOLDS, Contender, fold_of, out_of_fold
from clv.training.tune import tune

__all__ = ["tried"]

REPEATS = 3
TRIALS = 40
JOBS = 2
_PUBLISHED = f"{PUBLISHED}, 100 trees of depth 5"
_SEARCHED = f"{PUBLISHED}, searched over its own grid"


class Derived(RegressorMixin, BaseEstimator):
    """A regressor that is also given the mean fare and the rides a day until the last one.

    The laws hold where it is monotone in them, too: at equal rides the mean fare rises with money,
    and rides a day fall as recency rises.
    """

    MONOTONE = (1, 0, 1, 1, -1)

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, X: Floats, y: Floats) -> Self:
        self.regressor_ = clone(self.regressor).fit(_derive(X), y)
        return self

    def predict(self, X: Floats) -> Floats:
        return np.asarray(self.regressor_.predict(_derive(X)))


def _derive(X: Floats) -> Floats:
    fare = X[:, MONETARY] / np.maximum(X[:, FREQUENCY], 1)
    pace = X[:, FREQUENCY] / np.maximum(X[:, RECENCY], 1)
    return np.column_stack((X, fare, pace))


@dataclass(frozen=True)
class Judged:
    """Predictions of every customer by models that did not see them, a row each repeat."""

    name: str
    unseen: Floats

    def errors(self, y: Floats) -> Floats:
        """Mean squared error of each customer over the repeats."""
        return np.asarray(np.mean([squared_errors(y, one) for one in self.unseen], axis=0))


def tried(title: str, result: TrainingResult, appraisal: Appraisal) -> str:
    history = result.history
    with joblib.parallel_config("threading", n_jobs=JOBS):
        everybody = {one.name: one for one in _judged(result)}
    champion = everybody[result.champion.model].errors(history.outcome)
    said = (
        f"{REPEATS} x {FOLDS}-fold over all {len(history):,} customers, the same folds for all, "
        "with the parameters that each search found on the training rows. The 95% interval is of "
        "the paired difference, resampled by customer: only what lies below 0 beats the champion."
    )
    lines = [
        f"## {title}",
        "",
        said,
        "",
        "| model | MSE | less the champion's | 95% interval | Gini increment | bias |",
        "|---|--:|--:|--:|--:|--:|",
        *_rows(everybody.values(), champion, result),
    ]
    for name in (_PUBLISHED, _SEARCHED):
        other = everybody[name].errors(history.outcome)
        ratio, low, high = _ratio(champion, other, result.seed)
        said = f"The champion's MSE is {ratio:.3f} of that of '{name}'"
        lines += ["", f"{said} (95% interval {low:.3f} to {high:.3f})."]
    return "\n".join([*lines, "", _noise(appraisal.noise), ""])


def _rows(everybody: Iterable[Judged], champion: Floats, result: TrainingResult) -> Iterator[str]:
    """A line of the table each, lowest error first."""
    y, spent = result.history.outcome, result.history.activity.monetary
    for one in sorted(everybody, key=lambda one: one.errors(y).mean()):
        errors = one.errors(y)
        paired = paired_bootstrap(errors, champion, seed=result.seed)
        increment = result.history.increment
        gini = np.mean([normalised_gini(increment, said - spent) for said in one.unseen])
        off = np.mean([bias(y, said) for said in one.unseen])
        name = f"**{one.name}**" if one.name == result.champion.model else one.name
        yield (
            f"| {name} | {errors.mean():.1f} | {paired.mean:+.1f} | {paired.low:+.1f} to "
            f"{paired.high:+.1f} | {gini:.3f} | {off:+.2%} |"
        )


def _judged(result: TrainingResult) -> Iterator[Judged]:
    X, y = result.history.activity.matrix(), result.history.outcome
    unseen = {}
    for name, recipe in _recipes(result):
        print(f"  {name}", flush=True)
        unseen[name] = np.array([out_of_fold(recipe, X, y, seed=seed) for seed in range(REPEATS)])
        yield Judged(name, unseen[name])
    # What is made of the others needs no fit of its own.
    for one in result.contenders:
        if one.name == AVERAGE:
            yield Judged(AVERAGE, np.mean([unseen[name] for name in one.parameters["of"]], axis=0))
    members = np.array([unseen[one.name] for one in result.contenders if _is_searched(one)])
    stacked = [
        _stacked(members[:, seed], X[:, MONETARY], y, fold_of(len(y), seed=seed))
        for seed in range(REPEATS)
    ]
    yield Judged(f"stack of {len(members)}", np.array(stacked))


def _is_searched(one: Contender) -> bool:
    return one.on == "increment" and bool(one.parameters) and one.name != AVERAGE


def _recipes(result: TrainingResult) -> Iterator[tuple[str, Any]]:
    """Unfitted estimators: the contenders, what was published, and what was tried besides."""
    seed = result.seed
    for one in result.contenders:
        if one.name == PUBLISHED:
            yield _SEARCHED, one.estimator
        elif _is_searched(one) or one.name == result.champion.model != AVERAGE:
            yield one.name, one.estimator
    yield _PUBLISHED, RandomForestRegressor(n_estimators=100, max_depth=5, random_state=seed)
    seen = result.history[~result.test]
    for name in ("boosting", "boosting, Tweedie"):
        contender = next(one for one in result.contenders if one.name == name)
        increment = clone(contender.estimator)
        with_more = clone(increment.regressor).set_params(monotone_constraints=Derived.MONOTONE)
        yield (
            f"{name}, with mean fare and rides a day",
            clone(increment).set_params(regressor=Derived(with_more)),
        )
        yield f"{name}, ten bagged", BaggingRegressor(increment, 10, random_state=seed)
        yield f"{name}, Optuna", _tuned(name, seen.activity.matrix(), seen.outcome, seed)


def _tuned(name: str, X: Floats, y: Floats, seed: int) -> Any:
    candidate = next(one for one in candidates(seed) if one.name == name)
    parameters = tune(
        candidate,
        X,
        y,
        folds=KFold(FOLDS, shuffle=True, random_state=seed),
        score=lambda model, rows, actual: -float(mean_squared_error(actual, model.predict(rows))),
        trials=TRIALS,
        seed=seed,
    )
    print(f"    {parameters}", flush=True)
    return clone(candidate.estimator).set_params(**parameters)


def _stacked(members: Floats, spent: Floats, y: Floats, fold: Ints) -> Floats:
    """Weighted sum of the members' increments; weights from the customers of the other folds.

    Their members have seen this fold's customers: a little in the stack's favour.
    """
    increments, said = (members - spent).T, np.empty(len(y))
    for number in range(FOLDS):
        out = fold == number
        weights = LinearRegression(positive=True, fit_intercept=False)
        weights.fit(increments[~out], np.maximum(y - spent, 0.0)[~out])
        said[out] = spent[out] + weights.predict(increments[out])
    return said


def _ratio(errors: Floats, other: Floats, seed: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(seed)
    rows = (rng.integers(0, len(errors), len(errors)) for _ in range(1_000))
    ratios = [errors[some].mean() / other[some].mean() for some in rows]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(errors.mean() / other.mean()), float(low), float(high)


def _noise(noise: NoiseFloor) -> str:
    return (
        f"Of the champion's cross-validated MSE of {noise.champion_mse:.0f}, on {noise.pairs:,} "
        f"pairs of like customers among the training rows, {noise.mse:.0f} are left to chance "
        f"(95% interval {noise.low:.0f} to {noise.high:.0f}) and {noise.avoidable:+.1f} avoidable "
        f"with these three features ({noise.avoidable_low:+.1f} to {noise.avoidable_high:+.1f})."
    )
