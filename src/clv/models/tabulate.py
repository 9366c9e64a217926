"""A fitted candidate as a table of cells, so that serving needs none of what trains.

The original is asked for its own answer in every cell, so the table says exactly what the model
says, to the last bit, wherever all thresholds are known; what is written here is where each kind of
model has them.
"""

import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge

from clv.bundle import Cells
from clv.bundle.scorer import Target
from clv.models.estimators import (
    AverageRegressor,
    HurdleRegressor,
    IncrementRegressor,
    MeanRegressor,
    PersistenceRegressor,
    ReturnClassifier,
    gives_increments,
)
from clv.schema import FEATURES, Floats

__all__ = ["size_of", "tabulate", "target_of"]


Thresholds = list[Floats]

_ROWS_AT_A_TIME = 2**18


def target_of(estimator: Any) -> Target:
    """What the table of this estimator holds."""
    return "increment" if gives_increments(estimator) else "total"


def size_of(estimator: Any) -> int:
    """Cells that a fitted candidate needs, without those of the probability of return."""
    return 1 if _is_linear(estimator) else Cells.count(_thresholds(estimator))


def tabulate(estimator: Any, returning: ReturnClassifier) -> Cells:
    """The cells of a fitted candidate and of the probability of return.

    Raises
    ------
    TypeError
        Where this kind of estimator, or a part of it, is not known to be constant in cells.
    """
    linear = _is_linear(estimator)
    cuts = _thresholds(returning)
    if not linear:
        cuts = _union([cuts, _thresholds(estimator)])
    rows = Cells.representatives(cuts)
    if linear:
        expected = np.full(len(rows), float(estimator.intercept_))
        weights = np.asarray(estimator.coef_, dtype=np.float64).tolist()
    else:
        say = estimator.increment if gives_increments(estimator) else estimator.predict
        expected, weights = _ask(say, rows), (0.0, 0.0, 0.0)
    p_return = _ask(lambda some: returning.predict_proba(some)[:, 1], rows)
    return Cells(cuts, expected, p_return, weights)


def _is_linear(estimator: Any) -> bool:
    return isinstance(estimator, LinearRegression | Ridge)


def _ask(say: Callable[[Floats], Floats], rows: Floats) -> Floats:
    """What a model says of many rows; forests take 24 bytes a row and tree meanwhile."""
    parts = [rows[at : at + _ROWS_AT_A_TIME] for at in range(0, len(rows), _ROWS_AT_A_TIME)]
    return np.concatenate([say(part) for part in parts])


def _thresholds(model: Any) -> Thresholds:
    for kind, find in _THRESHOLDS.items():
        if isinstance(model, kind):
            return find(model)
    raise TypeError(
        f"{type(model).__name__} is not known to be constant between thresholds, so it has no "
        "table; if it is, say in clv.models.tabulate._THRESHOLDS where they are."
    )


def _union(parts: Sequence[Thresholds]) -> Thresholds:
    return [reduce(np.union1d, cuts) for cuts in zip(*parts, strict=True)]


def _nowhere(_: Any) -> Thresholds:
    return [np.empty(0)] * len(FEATURES)


def _of_parts(*models: Any) -> Thresholds:
    return _union([_nowhere(None), *map(_thresholds, models)])


def _of_returning(model: ReturnClassifier) -> Thresholds:
    return _of_parts(*([] if model.classifier_ is None else [model.classifier_]))


def _of_boosting(model: LGBMClassifier | LGBMRegressor) -> Thresholds:
    """LightGBM compares in float64; its text has every digit of a threshold."""
    text = model.booster_.model_to_string()
    features, thresholds = (
        " ".join(re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)).split()
        for name in ("split_feature", "threshold")
    )
    return _by_feature(np.array(features, dtype=int), np.array(thresholds, dtype=np.float64))


def _of_forest(model: RandomForestRegressor) -> Thresholds:
    trees = [tree.tree_ for tree in model.estimators_]
    features = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([tree.threshold for tree in trees])
    splits = features >= 0  # leaves have none
    return _by_feature(features[splits], _last_float64(thresholds[splits]))


def _last_float64(thresholds: Floats) -> Floats:
    """The largest float64 that scikit-learn's trees send to the left of each threshold.

    They round a feature to float32 and compare that. Everything up to halfway between the largest
    float32 that goes left and the next one is rounded to the left, the middle itself by its even
    neighbour.
    """
    below = thresholds.astype(np.float32)
    below = np.where(
        below.astype(np.float64) > thresholds, np.nextafter(below, np.float32(-np.inf)), below
    )
    above = np.nextafter(below, np.float32(np.inf))
    middle = (below.astype(np.float64) + above.astype(np.float64)) / 2  # exact: one more bit
    goes_left = middle.astype(np.float32) == below
    return np.where(goes_left, middle, np.nextafter(middle, -np.inf))


def _by_feature(features: Any, thresholds: Floats) -> Thresholds:
    return [np.unique(thresholds[features == number]) for number in range(len(FEATURES))]


_THRESHOLDS: dict[type, Callable[[Any], Thresholds]] = {
    AverageRegressor: lambda model: _of_parts(*model.regressors_),
    IncrementRegressor: lambda model: _of_parts(model.regressor_),
    HurdleRegressor: lambda model: _of_parts(model.classifier_, model.regressor_),
    ReturnClassifier: _of_returning,
    MeanRegressor: _nowhere,
    PersistenceRegressor: _nowhere,
    RandomForestRegressor: _of_forest,
    LGBMRegressor: _of_boosting,
    LGBMClassifier: _of_boosting,
}
