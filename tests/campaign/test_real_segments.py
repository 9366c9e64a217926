"""Segments of real passengers: 25 refits, intervals of the mean against what came."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from clv.bundle import Predictions
from clv.campaign.segment import Segment
from clv.data.checks import History, read_history
from clv.data.sources import open_source
from clv.models.candidates import candidates
from clv.schema import Mask, Window
from clv.training.fitted import finish
from clv.training.search import out_of_fold

PASSENGERS = Path(__file__).parents[3] / "shared" / "data" / "passengers.sqlite"
REFITS, PER_REFIT = 25, 30
SIZES = (30, 100, 500)


def kinds(predictions: Predictions, history: History) -> dict[str, Mask]:
    score, activity = predictions.expected_increment, history.activity
    return {
        "random": np.ones(len(score), dtype=bool),
        "top tenth": score >= np.quantile(score, 0.9),
        "frequency >= 3": activity.frequency >= 3,
        "recency 7": activity.recency == 7,
    }


@pytest.fixture(scope="module")
def held() -> dict[tuple[str, int], list[bool]]:
    """Whether each interval of 90% held what came, by kind and size of segment."""
    if not PASSENGERS.exists():
        pytest.skip("there is no ../shared/data on this machine")
    with open_source(PASSENGERS) as source:
        history = read_history(source, Window())
    boosting = next(one for one in candidates(1) if one.name == "boosting")
    recipe = clone(boosting.estimator).set_params(
        regressor__num_leaves=7, regressor__min_child_samples=200
    )
    rng = np.random.default_rng(25)
    found: dict[tuple[str, int], list[bool]] = {}
    for refit in range(REFITS):
        order = rng.permutation(len(history))
        seen, unseen = np.split(order, 2)
        training, fresh = history[seen], history[unseen]
        X, y = training.activity.matrix(), training.outcome
        fitted = finish(
            clone(recipe).fit(X, y), out_of_fold(recipe, X, y, seed=refit), training, seed=refit
        )
        said = fitted.predict(fresh.activity)
        came = fresh.outcome - fresh.activity.monetary
        for kind, among in kinds(said, fresh).items():
            for size in SIZES:
                for _ in range(PER_REFIT):
                    members = rng.choice(np.flatnonzero(among), size, replace=False)
                    mean = Segment(_some(said, members), fitted.uncertainty.calibration).mean()
                    low, high = mean.interval(0.9)
                    held = low <= came[members].mean() <= high
                    found.setdefault((kind, size), []).append(bool(held))
    return found


def _some(said: Predictions, rows: np.ndarray) -> Predictions:
    return Predictions(
        *(
            value[rows] if isinstance(value, np.ndarray) else value
            for value in (getattr(said, name) for name in Predictions.__slots__)
        )
    )


@pytest.mark.acceptance
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["random", "top tenth", "frequency >= 3", "recency 7"])
def test_the_interval_of_a_real_segment_holds_its_level(
    held: dict[tuple[str, int], list[bool]], kind: str, size: int
) -> None:
    share = np.mean(held[kind, size])
    assert 0.86 <= share <= 0.94, f"{share:.1%} of {len(held[kind, size])}"
