"""Intervals and probabilities keep their word on customers that the model has not seen."""

import numpy as np
import pyarrow.parquet
import pytest

from clv.data.checks import History, read_history
from clv.data.simulate import simulate
from clv.data.sources import open_source
from clv.models.candidates import candidates, returning
from clv.models.estimators import PersistenceRegressor
from clv.schema import Window
from clv.training.fitted import finish
from clv.training.progress import Silent
from clv.training.repeats import LEVELS, TIMES, Repeats, repeat
from clv.training.search import out_of_fold

FEATURES = ("recency_7", "frequency_7", "monetary_value_7")


@pytest.fixture(scope="module")
def passengers(tmp_path_factory: pytest.TempPathFactory) -> History:
    """12,000 generated passengers."""
    path = tmp_path_factory.mktemp("repeats") / "activity.parquet"
    pyarrow.parquet.write_table(next(iter(simulate(12_000, seed=5))).activity, path)
    with open_source(path) as source:
        return read_history(source, Window())


@pytest.fixture(scope="module")
def repeats(passengers: History) -> Repeats:
    recipe = next(one for one in candidates(42) if one.name == "boosting").estimator
    return repeat(passengers, recipe, seed=42, progress=Silent())


@pytest.mark.parametrize(("position", "level"), list(enumerate(LEVELS)))
def test_intervals_cover_what_they_promise_overall_and_in_each_score_bin(
    repeats: Repeats, position: int, level: float
) -> None:
    promised = []
    for part in repeats.bins:
        # Where more never return the interval is a point, and covers just their share.
        promised.append(max(level, part.never) if part.is_point(level) else level)
        assert part.covered[position] == pytest.approx(promised[-1], abs=0.04), part
    customers = np.array([part.customers for part in repeats.bins])
    expected = float(np.average(promised, weights=customers))
    assert repeats.covered[position] == pytest.approx(expected, abs=0.02)
    assert len(repeats.bins) == 10
    assert customers.min() > 0.04 * customers.sum()
    assert customers.sum() == pytest.approx(0.2 * 12_000, rel=0.05)


def test_intervals_widen_with_the_score(repeats: Repeats) -> None:
    widths = [part.width[1] for part in repeats.bins]
    assert widths[-1] > 3 * widths[0]
    assert all(part.width[0] <= part.width[1] for part in repeats.bins)
    assert any(part.width[0] == 0 for part in repeats.bins if part.is_point(0.8))


def test_the_probability_of_return_says_something(repeats: Repeats) -> None:
    assert repeats.brier < 0.95 * repeats.brier_of_share
    said = [predicted for predicted, _ in repeats.reliability]
    assert said == sorted(said)
    assert said[-1] > 3 * said[0]


def test_the_probability_of_return_is_calibrated_on_others(passengers: History) -> None:
    """On 20,000 others of the same kind: a tenth of them is 2,000, one standard error 1 point."""
    chunk = next(iter(simulate(20_000, seed=6))).activity
    features = [chunk.column(name).to_numpy() for name in FEATURES]
    returned = chunk.column("frequency_30").to_numpy() > features[1]
    model = returning(42).fit(passengers.activity.matrix(), passengers.returned)
    p = model.predict_proba(np.column_stack(features))[:, 1]
    assert p.mean() == pytest.approx(returned.mean(), abs=0.015)
    for rows in np.array_split(np.argsort(p, kind="stable"), 10):
        assert p[rows].mean() == pytest.approx(returned[rows].mean(), abs=0.03)


def test_the_same_seed_gives_the_same_repeats(passengers: History) -> None:
    some = passengers[np.arange(len(passengers)) < 1_000]
    runs = [
        repeat(some, PersistenceRegressor(), seed=seed, progress=Silent()) for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0].times == TIMES


def test_who_expects_nothing_of_anybody_still_gives_intervals_that_hold(
    passengers: History,
) -> None:
    """month = week has one score bin, of everybody, and no mean to speak of."""
    some = passengers[np.arange(len(passengers)) < 4_000]
    X, y = some.activity.matrix(), some.outcome
    recipe = PersistenceRegressor()
    fitted = finish(recipe.fit(X, y), out_of_fold(recipe, X, y, seed=1), some, seed=1)
    later = passengers[np.arange(len(passengers)) >= 4_000]
    said = fitted.predict(later.activity, level=0.95)
    assert (said.expected_increment == 0).all()
    assert set(said.score_bin) == {1}
    assert said.holds(later.outcome).mean() == pytest.approx(0.95, abs=0.01)
