"""The main job on the real passengers, whole: train, compare, score, validate."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from clv.bundle import Predictor
from clv.data.checks import History, read_history
from clv.data.sources import open_source
from clv.metrics import bias, normalised_gini, squared_errors
from clv.models.candidates import PUBLISHED, candidates
from clv.registry import open_registry
from clv.schema import Floats, Window
from clv.settings import Settings
from clv.training.progress import Silent
from clv.training.repeats import LEVELS, Repeats, repeat
from clv.training.search import out_of_fold

SHARED = Path(os.environ.get("CLV_SHARED", Path(__file__).parents[2].parent / "shared"))
PASSENGERS = SHARED / "data" / "passengers.sqlite"

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not PASSENGERS.exists(), reason=f"no real passengers at {PASSENGERS}"),
]

EVERY_CANDIDATE = {
    "mean",
    "month = week",
    "linear",
    "ridge",
    "boosting",
    "boosting, Tweedie",
    "hurdle",
    "forest (published)",
    "forest",
    "average of the best",
}


def clv(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    finished = subprocess.run(
        [sys.executable, "-m", "clv", *arguments],
        env={**os.environ, "CLV_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def training(home: Path) -> tuple[dict[str, Any], str]:
    finished = clv(home, "train", "--data", str(PASSENGERS), "--json")
    return json.loads(finished.stdout), finished.stderr


def line(training: tuple[dict[str, Any], str], model: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in training[0]["leaderboard"] if row["model"] == model)
    return found


def test_every_candidate_stands_on_the_leaderboard(
    training: tuple[dict[str, Any], str], home: Path
) -> None:
    assert {row["model"] for row in training[0]["leaderboard"]} == EVERY_CANDIDATE
    with (home / "model_results.csv").open(newline="") as file:
        assert {row["model"] for row in csv.DictReader(file)} == EVERY_CANDIDATE


def test_progress_and_the_refunds_were_said(training: tuple[dict[str, Any], str]) -> None:
    assert "forest (published): 5 steps" in training[1]
    assert "58,206 rows read, 58,206 used" in training[1]
    assert "247 rows" in training[1]


def test_the_champion_beats_the_published_forest_beyond_doubt(
    training: tuple[dict[str, Any], str],
) -> None:
    champion = line(training, training[0]["champion"])
    published = line(training, "forest (published)")
    paired = published["to_champion"]
    assert paired["low"] > 0, paired
    assert champion["cv_mse"] <= 0.98 * published["cv_mse"]
    assert champion["test_mse"] < published["test_mse"]
    assert abs(champion["test_bias"]) < 0.02
    assert champion["test_gini_increment"] >= published["test_gini_increment"]


def test_the_first_model_is_champion_and_scores_everybody(
    training: tuple[dict[str, Any], str], home: Path, tmp_path: Path
) -> None:
    assert training[0]["alias"] == "champion"
    scored = json.loads(
        clv(
            home, "score", str(PASSENGERS), "--output", str(tmp_path / "scored.csv"), "--json"
        ).stdout
    )["scored"]
    assert (scored["rows"], scored["blank"]) == (58_206, 0)
    # Everybody's month, summed: what the model says is what they spent, within 2%.
    assert scored["expected_spend"] / (45.5558595 * 58_206) == pytest.approx(1, abs=0.02)


def test_validation_calibrates_by_decile_and_says_that_these_rows_were_learnt_from(
    training: tuple[dict[str, Any], str], home: Path
) -> None:
    validation = json.loads(clv(home, "validate", "--data", str(PASSENGERS), "--json").stdout)
    assert validation["trained_on_these"] is True
    for row in validation["deciles"]:
        assert row["predicted"] == pytest.approx(row["actual"], rel=0.06)
    assert (home / "validation.html").exists()


# ---------------------------------------------------------------- how sure it is


@pytest.fixture(scope="module")
def passengers() -> History:
    with open_source(PASSENGERS) as source:
        return read_history(source, Window())


def recipe_of(training: tuple[dict[str, Any], str], model: str) -> Any:
    """The candidate with the parameters that the search found."""
    candidate = next(one for one in candidates(42) if one.name == model)
    return clone(candidate.estimator).set_params(**line(training, model)["best_params"])


@pytest.fixture(scope="module")
def repeats(training: tuple[dict[str, Any], str], passengers: History) -> Repeats:
    recipe = recipe_of(training, training[0]["champion"])
    return repeat(passengers, recipe, seed=42, progress=Silent())


def test_intervals_cover_what_they_promise_over_five_random_splits(repeats: Repeats) -> None:
    assert (repeats.times, len(repeats.bins)) == (5, 10)
    weights = np.array([part.customers for part in repeats.bins])
    for position, level in enumerate(LEVELS):
        promised = np.array(
            [max(level, part.never) if part.is_point(level) else level for part in repeats.bins]
        )
        covered = np.array([part.covered[position] for part in repeats.bins])
        assert covered == pytest.approx(promised, abs=0.04)
        assert repeats.covered[position] == pytest.approx(
            float(np.average(promised, weights=weights)), abs=0.02
        )
    # At 90% no bin is a point: there the promise is the level itself.
    assert not any(part.is_point(0.9) for part in repeats.bins)
    assert repeats.covered[LEVELS.index(0.9)] == pytest.approx(0.9, abs=0.02)


def test_the_probability_of_return_is_calibrated_over_five_random_splits(
    repeats: Repeats,
) -> None:
    assert repeats.brier < 0.157
    assert repeats.brier_of_share > 0.163
    for predicted, actual in repeats.reliability:
        assert predicted == pytest.approx(actual, abs=0.02)


def test_the_champion_beats_the_published_forest_in_three_times_five_folds(
    training: tuple[dict[str, Any], str], passengers: History
) -> None:
    """Paired: the same folds for both, three times over; resampled by passenger."""
    X, y, spent = passengers.activity.matrix(), passengers.outcome, passengers.activity.monetary
    recipes = {
        "champion": recipe_of(training, training[0]["champion"]),
        "published": recipe_of(training, PUBLISHED).set_params(n_jobs=2),
    }
    unseen = {
        name: [out_of_fold(recipe, X, y, seed=seed) for seed in range(3)]
        for name, recipe in recipes.items()
    }
    errors = {
        name: np.mean([squared_errors(y, one) for one in found], axis=0)
        for name, found in unseen.items()
    }
    ratio, low, high = _ratio(errors["champion"], errors["published"])
    assert ratio <= 0.978
    assert high < 1, (low, high)
    gini = {
        name: np.mean([normalised_gini(passengers.increment, one - spent) for one in found])
        for name, found in unseen.items()
    }
    assert gini["champion"] >= 0.50
    assert gini["champion"] > gini["published"] + 0.01
    assert np.mean([bias(y, one) for one in unseen["champion"]]) == pytest.approx(0, abs=0.005)


def _ratio(errors: Floats, other: Floats) -> tuple[float, float, float]:
    rng = np.random.default_rng(42)
    rows = (rng.integers(0, len(errors), len(errors)) for _ in range(1_000))
    ratios = [errors[some].mean() / other[some].mean() for some in rows]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(errors.mean() / other.mean()), float(low), float(high)


def test_what_is_said_of_typical_passengers_makes_sense_to_a_person(
    training: tuple[dict[str, Any], str], home: Path
) -> None:
    predictor = Predictor.load(open_registry(Settings(home=home)).bundle("1"))
    once, keen = predictor.predict_one(1, 1, 8.5), predictor.predict_one(7, 4, 80)
    assert once.p_return < 0.2
    assert keen.p_return > 0.6
    assert once.score_bin < 4
    assert keen.score_bin == 10
    assert (once.low, once.in_support, keen.in_support) == (8.5, True, True)
    assert once.high < 40
    assert keen.high > 300
    assert not predictor.predict_one(7, 60, 3_000).in_support
