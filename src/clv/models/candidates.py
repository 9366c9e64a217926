"""The candidates: what may become champion, with the grid that is searched for each.

They stand from simplest to most complex; among candidates that cannot be told apart the earlier
one is preferred. Those on the total are as the published system had them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge

from clv.models.estimators import (
    HurdleRegressor,
    IncrementRegressor,
    MeanRegressor,
    PersistenceRegressor,
    ReturnClassifier,
)

__all__ = [
    "AVERAGE",
    "AVERAGED",
    "MEAN",
    "PERSISTENCE",
    "PUBLISHED",
    "Candidate",
    "Range",
    "candidates",
    "returning",
]

MEAN = "mean"
PERSISTENCE = "month = week"
PUBLISHED = "forest (published)"
AVERAGE = "average of the best"
#: How many of the best candidates on the increment the average is made of.
AVERAGED = 3


@dataclass(frozen=True, slots=True)
class Range:
    """Values from `low` to `high`, both included.

    `log` gives each order of magnitude the same chance; `whole` is for counts.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An estimator and what is searched for it.

    Attributes
    ----------
    name : str
    estimator : estimator
        Unfitted; predicts the total spend by the horizon.
    on : {'total', 'increment'}
        Which of the two it learns.
    grid : mapping of parameter name to values
        For `GridSearchCV`; empty where there is nothing to search.
    space : mapping of parameter name to Range or values
        What a search beyond the grid may try; holds every point of the grid. Empty where the grid
        is all there is: what is published stays as it was published.
    """

    name: str
    estimator: Any
    on: Literal["total", "increment"]
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    space: Mapping[str, Range | Sequence[Any]] = field(default_factory=dict)


# The expected increment never falls as recency or monetary rises; the search decides whether
# frequency is held to the same (at equal money, more rides mean cheaper ones).
_MONOTONE = [[1, 0, 1], [1, 1, 1]]

_PUBLISHED_GRID: Mapping[str, Sequence[Any]] = {
    "n_estimators": [50, 100, 200],
    "max_depth": [None, 5, 10],
    "min_samples_split": [2, 5],
}
_PUBLISHED_BEST: Mapping[str, Sequence[Any]] = {"n_estimators": [100], "max_depth": [5]}


def candidates(seed: int, *, full: bool = False) -> tuple[Candidate, ...]:
    """Every candidate but the average, from simplest to most complex.

    Parameters
    ----------
    seed : int
    full : bool
        Whether the published forest is searched over its own grid, which takes two thirds of a
        training for a model that is only compared with. Otherwise it has the parameters that were
        best when it was published.
    """
    return (
        Candidate(MEAN, MeanRegressor(), "total"),
        Candidate(PERSISTENCE, PersistenceRegressor(), "increment"),
        Candidate("linear", LinearRegression(), "total", {"fit_intercept": [True, False]}),
        Candidate(
            "ridge", Ridge(), "total", {"alpha": [0.1, 1.0, 10.0], "fit_intercept": [True, False]}
        ),
        Candidate(
            "boosting",
            IncrementRegressor(_boosted(seed, objective="regression")),
            "increment",
            _boosting_grid("regressor__"),
            _boosting_space("regressor__"),
        ),
        Candidate(
            "boosting, Tweedie",
            IncrementRegressor(_boosted(seed, objective="tweedie", tweedie_variance_power=1.5)),
            "increment",
            _boosting_grid("regressor__"),
            _boosting_space("regressor__") | {"regressor__tweedie_variance_power": Range(1.1, 1.9)},
        ),
        Candidate(
            "hurdle",
            IncrementRegressor(
                HurdleRegressor(_boosted(seed, LGBMClassifier), _boosted(seed, objective="gamma"))
            ),
            "increment",
            {
                "regressor__classifier__num_leaves": [7, 15],
                "regressor__regressor__num_leaves": [4, 7],
                "regressor__regressor__objective": ["regression", "gamma"],
            },
            {
                **_trees_space("regressor__classifier__"),
                **_trees_space("regressor__regressor__"),
                "regressor__regressor__objective": ["regression", "gamma"],
            },
        ),
        Candidate(
            PUBLISHED,
            RandomForestRegressor(random_state=seed),
            "total",
            _PUBLISHED_GRID if full else _PUBLISHED_BEST,
        ),
        Candidate(
            "forest",
            IncrementRegressor(
                RandomForestRegressor(n_estimators=100, monotonic_cst=[1, 0, 1], random_state=seed)
            ),
            "increment",
            {"regressor__max_depth": [7, 9], "regressor__min_samples_leaf": [40, 80]},
            {
                "regressor__max_depth": Range(4, 14, whole=True),
                "regressor__min_samples_leaf": Range(10, 200, log=True, whole=True),
                "regressor__max_features": [1.0, 0.67],
            },
        ),
    )


def returning(seed: int) -> ReturnClassifier:
    """What learns the probability of any further ride, whichever candidate is champion.

    It never falls as recency rises. Money and rides are left free: held to the same they cost
    accuracy, because who spends much on one ride comes back less often.
    """
    return ReturnClassifier(
        _boosted(seed, LGBMClassifier, monotone_constraints=[1, 0, 0]), seed=seed
    )


def _boosted(seed: int, kind: type = LGBMRegressor, **parameters: Any) -> Any:
    """Boosted trees that give the same answer at every run, on one thread."""
    common = {
        "n_estimators": 100,
        "learning_rate": 0.05,
        "num_leaves": 7,
        "min_child_samples": 50,
        "monotone_constraints": _MONOTONE[0],
        "random_state": seed,
        "deterministic": True,
        "force_row_wise": True,
        "n_jobs": 1,
        "verbose": -1,
    }
    return kind(**{**common, **parameters})


def _boosting_grid(prefix: str) -> dict[str, list[Any]]:
    return {
        f"{prefix}num_leaves": [7, 15],
        f"{prefix}min_child_samples": [50, 200],
        f"{prefix}n_estimators": [100, 200],
        f"{prefix}monotone_constraints": _MONOTONE,
    }


def _boosting_space(prefix: str) -> dict[str, Range | Sequence[Any]]:
    return {
        **_trees_space(prefix),
        f"{prefix}min_child_samples": Range(20, 500, log=True, whole=True),
        f"{prefix}reg_lambda": Range(0, 100),
        f"{prefix}monotone_constraints": _MONOTONE,
    }


def _trees_space(prefix: str) -> dict[str, Range | Sequence[Any]]:
    """What decides most: how many trees, how large, and how much of each is believed."""
    return {
        f"{prefix}n_estimators": Range(50, 400, whole=True),
        f"{prefix}num_leaves": Range(3, 31, log=True, whole=True),
        f"{prefix}learning_rate": Range(0.01, 0.2, log=True),
    }
