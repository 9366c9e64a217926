"""The main job on the real passengers, whole: train, compare, score, validate."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
    assert "forest (published): 95 steps" in training[1]
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
