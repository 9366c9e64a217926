"""Beyond the grid: never worse than it on the folds, the same for the same seed, and quiet."""

from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import KFold

from clv.data.checks import History
from clv.metrics import mse
from clv.models.candidates import AVERAGE, PERSISTENCE, Candidate, Range, candidates
from clv.models.estimators import PersistenceRegressor
from clv.schema import Floats
from clv.training import train
from clv.training.progress import Silent
from clv.training.search import FOLDS, Contender, SearchPlan, search
from clv.training.tune import tune
from support import quick_candidates
from training.spies import Steps

SEED = 42
PLAN = SearchPlan("optuna", trials=12)


class Bowl(RegressorMixin, BaseEstimator):
    """Errs by how far its parameters are from 0.3, 17 and "b"; refuses more than 60."""

    def __init__(self, share: float = 0.5, count: int = 5, letter: Any = "a") -> None:
        self.share = share
        self.count = count
        self.letter = letter

    def fit(self, X: Floats, _y: Floats) -> "Bowl":
        if self.count > 60:
            raise ValueError("That is too many.")
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Floats) -> Floats:
        off = abs(self.share - 0.3) + abs(self.count - 17) / 20 + (self.letter != ["b"])
        return np.full(len(X), off)


BOWL = Candidate(
    "bowl",
    Bowl(letter=["a"]),
    "increment",
    {"count": [5, 10]},
    {
        "share": Range(0, 1),
        "count": Range(1, 50, log=True, whole=True),
        "letter": [["a"], ["b"], ["c"]],
    },
)


def bowled(candidate: Candidate = BOWL, *, trials: int = 40, seed: int = 1) -> dict[str, Any]:
    X, y = np.zeros((50, 3)), np.zeros(50)
    return tune(
        candidate,
        X,
        y,
        folds=KFold(FOLDS),
        score=lambda model, rows, actual: -mse(actual, model.predict(rows)),
        trials=trials,
        seed=seed,
    )


def off(parameters: dict[str, Any]) -> float:
    return float(Bowl(**parameters).predict(np.zeros((1, 3)))[0])


# ---------------------------------------------------------------- the search itself


def test_what_is_best_is_found_far_from_the_grid() -> None:
    found = bowled()
    assert off(found) < 0.25
    assert found["letter"] == ["b"]
    assert isinstance(found["count"], int)


def test_the_same_seed_tries_the_same_points() -> None:
    assert bowled(seed=3) == bowled(seed=3)
    assert bowled(seed=3) != bowled(seed=4)


@pytest.mark.parametrize("trials", [1, 10, 40])
def test_on_its_folds_it_never_does_worse_than_the_grid(trials: int) -> None:
    best_of_grid = min(off({"share": 0.5, "count": count, "letter": ["a"]}) for count in (5, 10))
    assert off(bowled(trials=trials)) <= best_of_grid


def test_a_point_that_cannot_be_fitted_only_costs_a_trial() -> None:
    wide = replace(BOWL, space={**BOWL.space, "count": Range(1, 300, log=True, whole=True)})
    assert bowled(wide)["count"] <= 60


def test_a_candidate_that_cannot_be_fitted_on_its_grid_says_so() -> None:
    hopeless = replace(
        BOWL, grid={"count": [61]}, space={**BOWL.space, "count": Range(1, 99, whole=True)}
    )
    with pytest.raises(ValueError, match="too many"):
        bowled(hopeless)


def test_optuna_says_nothing_and_is_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    bowled(trials=2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


# ---------------------------------------------------------------- in a training


@pytest.fixture(scope="module")
def rows(history: History) -> tuple[Floats, Floats]:
    """The first 600 passengers."""
    return history.activity.matrix()[:600], history.outcome[:600]


def boostings() -> list[Candidate]:
    """The real ones, with one point in the grid and few trees, so that trials take no time."""
    return [
        replace(
            one,
            grid={name: values[:1] for name, values in one.grid.items()}
            | {"regressor__n_estimators": [20]},
            space={**one.space, "regressor__n_estimators": Range(5, 100, whole=True)},
        )
        for one in candidates(SEED)
        if one.name.startswith("boosting")
    ]


def look(among: list[Candidate], rows: tuple[Floats, Floats], **options: Any) -> list[Contender]:
    settings: dict[str, Any] = {"plan": PLAN, "jobs": 2, "progress": Silent(), **options}
    contenders, failed = search(among, *rows, seed=SEED, **settings)
    assert not failed
    return contenders


def test_the_result_does_not_depend_on_how_many_fits_run_at_a_time(
    rows: tuple[Floats, Floats],
) -> None:
    first, again = (look(boostings(), rows, jobs=jobs) for jobs in (1, 3))
    assert [one.parameters for one in first] == [one.parameters for one in again]
    for one, other in zip(first, again, strict=True):
        assert one.out_of_fold.tobytes() == other.out_of_fold.tobytes()
    assert first[-1].name == AVERAGE


def test_what_it_found_is_in_the_space_and_what_is_fitted(rows: tuple[Floats, Floats]) -> None:
    for one, found in zip(boostings(), look(boostings(), rows), strict=False):
        assert set(found.parameters) == set(one.space)
        for name, values in one.space.items():
            value = found.parameters[name]
            assert found.estimator.get_params()[name] == value
            if isinstance(values, Range):
                assert values.low <= value <= values.high
            else:
                assert value in values
        assert not found.breaks


def test_who_has_no_space_goes_through_the_grid(rows: tuple[Floats, Floats]) -> None:
    linear = [one for one in candidates(SEED) if one.name in ("linear", "ridge")]
    for one, other in zip(look(linear, rows), look(linear, rows, plan=SearchPlan()), strict=True):
        assert one.parameters == other.parameters


def test_every_fit_is_a_step(rows: tuple[Floats, Floats]) -> None:
    steps = Steps()
    persistence = Candidate(PERSISTENCE, PersistenceRegressor(), "increment")
    look([persistence, *boostings()[:1]], rows, progress=steps)
    assert steps.stages == [(PERSISTENCE, FOLDS), ("boosting", (1 + 12 + 1) * FOLDS)]
    assert steps.done == [FOLDS, 14 * FOLDS]


def test_a_whole_training_can_be_searched_beyond_the_grid(history: History) -> None:
    few = history[np.arange(len(history)) < 1_000]
    result = train(
        few, among=[*quick_candidates()[1:2], *boostings()], plan=SearchPlan("optuna", 3)
    )
    assert not result.failed
    assert "regressor__reg_lambda" in result.standing("boosting").best_params
