"""The distribution of a group's mean: against the gamma distribution itself, and its laws."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from campaign.simulated import came, expected, said_of
from clv.bundle import Calibration
from clv.campaign.mean import MeanIncrement
from clv.campaign.segment import Segment
from clv.errors import DataError


def means(skewness: float = 0.0, mean: float = 10.0, deviation: float = 2.0) -> MeanIncrement:
    return MeanIncrement(50, mean, deviation**2, 0.0, skewness * deviation**3)


@pytest.mark.parametrize("skewness", [1e-6, 0.05, 0.3, 1.0, 2.0])
def test_it_is_a_gamma_distribution_shifted_and_stretched(skewness: float) -> None:
    ours, theirs = means(skewness), stats.pearson3(skewness, 10.0, 2.0)
    for probability in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        value = theirs.ppf(probability)
        assert ours.quantile(probability) == pytest.approx(value, abs=0.02 * 2.0 * (1 + skewness))
        assert ours.exceeds(value) == pytest.approx(1 - probability, abs=0.012)


def test_without_skewness_it_is_a_normal_distribution() -> None:
    assert means().interval(0.9) == pytest.approx((10 - 1.644854 * 2, 10 + 1.644854 * 2))
    assert means(1e-3).interval(0.9) == pytest.approx(means().interval(0.9), abs=1e-2)


@given(st.floats(-3, 3), st.floats(0.02, 0.98), st.floats(0.1, 1e4), st.floats(1e-3, 1e4))
def test_quantile_and_probability_undo_each_other(
    skewness: float, probability: float, mean: float, deviation: float
) -> None:
    one = means(skewness, mean, deviation)
    value = one.quantile(probability)
    # Beyond its end the distribution has nothing: many probabilities share that one value.
    assume(abs(1 + skewness * (value - mean) / deviation / 2) > 1e-6)
    assert one.exceeds(value) == pytest.approx(1 - probability, abs=1e-6)


@given(st.floats(-3, 3), st.floats(-10, 30), st.floats(0, 10))
def test_more_is_never_likelier(skewness: float, value: float, more: float) -> None:
    assert means(skewness).exceeds(value + more) <= means(skewness).exceeds(value) + 1e-12


def test_of_a_mean_that_is_certain_everything_is() -> None:
    certain = MeanIncrement(5, 10.0, 0.0, 0.0, 0.0)
    assert certain.interval(0.99) == (10.0, 10.0)
    assert (certain.exceeds(9.9), certain.exceeds(10.0)) == (1.0, 0.0)
    assert means().exceeds(math.inf) == 0.0


def test_more_passengers_lessen_chance_and_not_doubt() -> None:
    few = MeanIncrement(50, 10.0, 4.0, 1.0, 6.0)
    many = few.of_as_many(200)
    assert (many.customers, many.mean, many.chance, many.doubt) == (200, 10.0, 1.0, 1.0)
    assert many.third == pytest.approx(6.0 / 16)


def calibration(n: int = 4_000, seed: int = 1) -> Calibration:
    rng = np.random.default_rng(seed)
    mean = expected(n, rng)
    return Calibration.of(mean, came(mean, rng), scores=mean)


def test_a_segment_is_the_sum_of_its_members_by_the_formula() -> None:
    learnt = calibration()
    members = expected(300, np.random.default_rng(2))
    segment = Segment(said_of(members, learnt), learnt)
    for best in (1, 7, 120, 300):
        chosen = np.sort(members)[::-1][:best]
        bins = np.searchsorted(learnt.edges, chosen, side="right")
        part = [learnt.bins[k] for k in bins]
        scale = np.maximum(chosen, learnt.floor)
        mean = segment.mean(best)
        corrected = [x + one.bias for x, one in zip(chosen, part, strict=True)]
        assert mean.mean == pytest.approx(np.mean(corrected))
        assert mean.chance == pytest.approx(
            sum(one.dispersion * s**1.5 for s, one in zip(scale, part, strict=True)) / best**2
        )
        assert mean.third == pytest.approx(
            sum(one.asymmetry * s**2 for s, one in zip(scale, part, strict=True)) / best**3
        )
        counts = np.bincount(bins, minlength=len(learnt.bins))
        doubts = [
            2 * count**2 * one.variance / one.rows
            for count, one in zip(counts, learnt.bins, strict=True)
        ]
        assert mean.doubt == pytest.approx(sum(doubts) / best**2)
    assert segment.mean() == segment.mean(300)


def test_a_segment_of_nobody_is_refused() -> None:
    learnt = calibration()
    with pytest.raises(DataError, match="no passengers"):
        Segment(said_of(np.empty(0), learnt), learnt)


@given(st.permutations(range(40)))
def test_the_order_of_the_members_changes_nothing(order: list[int]) -> None:
    learnt = calibration()
    members = expected(40, np.random.default_rng(3))
    one = Segment(said_of(members, learnt), learnt).mean(20)
    other = Segment(said_of(members[order], learnt), learnt).mean(20)
    assert other.mean == pytest.approx(one.mean)
    assert other.deviation == pytest.approx(one.deviation)
