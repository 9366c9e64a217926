"""Intervals of segments hold what they promise, and so does the probability of a good campaign."""

import numpy as np
import pytest
from scipy import stats

from campaign.simulated import came, expected, said_of
from clv.bundle import Calibration
from clv.campaign.segment import Segment
from clv.schema import Floats, Mask

REFITS = 120
PER_REFIT = 10


def segments(kind: str, mean: Floats) -> Mask:
    """Who may be in a segment of a kind."""
    return {
        "random": np.ones(len(mean), dtype=bool),
        "top tenth": mean >= np.quantile(mean, 0.9),
        "upper middle": (mean >= np.quantile(mean, 0.6)) & (mean < np.quantile(mean, 0.9)),
        "lower half": mean <= np.median(mean),
    }[kind]


LEAVES = 40


class Model:
    """A tree, as it were: in each leaf it expects what 6,000 customers brought there."""

    def __init__(self, rng: np.random.Generator) -> None:
        seen = expected(6_000, rng)
        self.edges = np.quantile(seen, np.linspace(0, 1, LEAVES + 1)[1:-1])
        leaves = np.searchsorted(self.edges, seen)
        self.means = np.bincount(leaves, came(seen, rng)) / np.bincount(leaves)

    def predict(self, truth: Floats) -> Floats:
        return np.asarray(self.means[np.searchsorted(self.edges, truth)])


def promised_and_come(
    kind: str, size: int, seed: int
) -> tuple[list[tuple[float, float]], list[float], list[float]]:
    """Intervals of 90%, what came, and the probability that was given to what came or more."""
    rng = np.random.default_rng(seed)
    intervals, outcomes, places = [], [], []
    for _ in range(REFITS):
        model = Model(rng)
        truth = expected(6_000, rng)
        said = model.predict(truth)
        learnt = Calibration.of(said, came(truth, rng), scores=said)
        fresh = expected(5_000, rng)
        among = np.flatnonzero(segments(kind, fresh))
        for _ in range(PER_REFIT):
            members = rng.choice(among, min(size, len(among)), replace=False)
            mean = Segment(said_of(model.predict(fresh[members]), learnt), learnt).mean()
            outcome = float(came(fresh[members], rng).mean())
            intervals.append(mean.interval(0.9))
            outcomes.append(outcome)
            places.append(mean.exceeds(outcome))
    return intervals, outcomes, places


@pytest.mark.parametrize("size", [30, 100, 500])
@pytest.mark.parametrize("kind", ["random", "top tenth", "upper middle", "lower half"])
def test_the_interval_of_a_segments_mean_holds_its_level(kind: str, size: int) -> None:
    intervals, outcomes, _ = promised_and_come(kind, size, seed=5)
    held = np.mean([low <= x <= high for (low, high), x in zip(intervals, outcomes, strict=True)])
    assert 0.86 <= held <= 0.94


def test_of_campaigns_that_are_worth_it_with_probability_p_a_share_of_p_is() -> None:
    """Whatever the break-even is: the probability of what came is uniform."""
    places = np.concatenate(
        [promised_and_come(kind, 60, seed=8)[2] for kind in ("random", "top tenth", "lower half")]
    )
    assert stats.kstest(places, "uniform").statistic < 0.05
    rng = np.random.default_rng(9)
    given, turned_out = [], []
    for _ in range(40):
        truth = expected(6_000, rng)
        learnt = Calibration.of(truth, came(truth, rng), scores=truth)
        for _ in range(40):
            members = expected(80, rng)
            mean = Segment(said_of(members, learnt), learnt).mean()
            needed = members.mean() * rng.uniform(0.5, 1.6)  # cost over margin of some campaign
            given.append(mean.exceeds(needed))
            turned_out.append(came(members, rng).mean() > needed)
    said, was = np.array(given), np.array(turned_out)
    for low, high in ((0.1, 0.3), (0.4, 0.6), (0.7, 0.9)):
        rows = (said >= low) & (said < high)
        assert rows.sum() > 150
        assert was[rows].mean() == pytest.approx(said[rows].mean(), abs=0.07)
