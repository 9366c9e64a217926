"""Intervals cover their level in each score bin, in the least width, as another library has it."""

import numpy as np
import pytest
from crepes import ConformalPredictiveSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.bundle import Calibration, Intervals
from clv.errors import DataError
from clv.schema import Floats

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def customers(rows: int, seed: int, refunds: float = 0.01) -> tuple[Floats, Floats]:
    """Expected increments, and what came: mostly nothing, else of the expected size on average.

    The more is expected of a customer, the more likely they return; some get money back.
    """
    rng = np.random.default_rng(seed)
    expected = rng.exponential(12, rows) + 0.5
    p = 0.1 + 0.6 * expected / (expected + 15)
    came = np.where(rng.random(rows) < p, expected / p * rng.gamma(0.8, 1 / 0.8, rows), 0.0)
    return expected, np.where(rng.random(rows) < refunds, -0.2 * expected, came)


def calibrated(expected: Floats, came: Floats) -> Calibration:
    return Calibration.of(expected, came, scores=expected)


# ---------------------------------------------------------------- by another library


@pytest.mark.parametrize("level", LEVELS)
def test_each_interval_is_the_shortest_that_crepes_would_give(level: float) -> None:
    """Mondrian conformal predictive systems, scaled residuals, by their author's library."""
    expected, came = customers(3_000, seed=1)
    calibration = calibrated(expected, came)
    intervals = Intervals(calibration)
    bins = intervals.bin_of(expected)
    scale = np.maximum(expected, calibration.floor)
    oracle = ConformalPredictiveSystem().fit(came - expected, sigmas=scale, bins=bins)
    for number, part in enumerate(calibration.bins):
        n = part.rows
        assert len(part.ratios) == n, "few enough that all ratios are kept"
        one = np.array([expected[bins == number][0]])
        span = int(np.ceil(level * (n + 1)))
        starts = np.arange(1, n + 1 - span)
        # Half a rank aside, so that the percentile's float falls on neither neighbour.
        found = oracle.predict_percentiles(
            one,
            sigmas=np.maximum(one, calibration.floor),
            bins=np.array([number]),
            lower_percentiles=list(100 * (starts + 0.5) / (n + 1)),
            higher_percentiles=list(100 * (starts + span - 0.5) / (n + 1)),
        )[0]
        lows, highs = found[: len(starts)], found[len(starts) :]
        from_nothing = lows >= -1e-9
        allowed = from_nothing if from_nothing.any() else np.ones(len(starts), dtype=bool)
        best = np.flatnonzero(allowed)[np.argmin((highs - lows)[allowed])]
        low, high = intervals.around(one, np.array([number]), level)
        width = max(highs[best] - lows[best], 1e-3)
        assert high[0] - low[0] == pytest.approx(highs[best] - lows[best], abs=1e-4 * width)
        assert low[0] == pytest.approx(lows[best], abs=1e-4 * width)


# ---------------------------------------------------------------- coverage


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_new_customers_fall_into_their_interval_as_often_as_it_says_in_every_bin(
    level: float,
) -> None:
    calibration = calibrated(*customers(40_000, seed=2))
    intervals = Intervals(calibration)
    expected, came = customers(80_000, seed=3)
    bins = intervals.bin_of(expected)
    low, high = intervals.around(expected, bins, level)
    held = (low <= came) & (came <= high)
    for number, part in enumerate(calibration.bins):
        share = held[bins == number].mean()
        never = 1 - part.returning - 0.01  # one in a hundred gets money back
        if never > level:  # a point, and it holds all who never return
            assert share == pytest.approx(never, abs=0.02)
        else:
            assert share == pytest.approx(level, abs=0.02)


def test_without_bins_the_customers_who_matter_would_be_let_down() -> None:
    """One quantile of absolute residuals for all: right on average, wrong at the top."""
    expected, came = customers(40_000, seed=2)
    plain = np.quantile(np.abs(came - expected), 0.9)
    top = expected > np.quantile(expected, 0.9)
    assert (np.abs(came - expected)[top] <= plain).mean() < 0.7


# ---------------------------------------------------------------- what an interval says


@pytest.mark.parametrize("level", LEVELS)
def test_an_interval_begins_at_what_is_spent_wherever_that_can_hold_the_level(
    level: float,
) -> None:
    low, high = Intervals(calibrated(*customers(30_000, seed=4, refunds=0.004))).bounds(level)
    assert (low == 0).all()
    assert (high >= low).all()


def test_where_more_than_the_level_never_return_the_interval_is_a_point() -> None:
    rng = np.random.default_rng(5)
    came = np.where(rng.random(5_000) < 0.15, 40.0, 0.0)
    intervals = Intervals(calibrated(np.full(5_000, 6.0), came))
    assert [bound.tolist() for bound in intervals.bounds(0.8)] == [[0.0], [0.0]]
    assert intervals.bounds(0.9)[1] * 6.0 == pytest.approx([40.0])


def test_nobody_returns_every_interval_is_a_point() -> None:
    calibration = calibrated(np.zeros(500), np.zeros(500))
    assert len(calibration.bins) == 1
    intervals = Intervals(calibration)
    low, high = intervals.around(np.zeros(3), np.zeros(3, dtype=int), 0.99)
    assert (low == 0).all() and (high == 0).all()  # noqa: PT018


def test_noise_in_the_last_digits_is_nothing() -> None:
    expected, came = customers(2_000, seed=6)
    noisy = calibrated(expected, came + 1e-9)
    assert noisy == calibrated(expected, came)


@pytest.mark.parametrize("level", [0.0, 0.49, 0.991, 1.0, 90, float("nan"), -0.9])
def test_a_level_out_of_range_is_refused_by_name(level: float) -> None:
    with pytest.raises(DataError, match=r"level=.*expected a number from 0.5 to 0.99"):
        Intervals(calibrated(*customers(500, seed=7))).bounds(level)


# ---------------------------------------------------------------- bins


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-100, 1e6)), min_size=1, max_size=300))
def test_every_customer_is_in_one_bin_and_ties_stay_together(
    rows: list[tuple[float, float]],
) -> None:
    expected, came = np.array(rows).T
    calibration = calibrated(expected, came)
    intervals = Intervals(calibration)
    bins = intervals.bin_of(expected)
    assert [part.rows for part in calibration.bins] == np.bincount(
        bins, minlength=len(calibration.bins)
    ).tolist()
    assert all(part.rows for part in calibration.bins)
    for level in (0.5, 0.99):
        low, high = intervals.around(expected, bins, level)
        assert (low <= high).all()


def test_a_bin_knows_how_far_off_its_customers_were() -> None:
    expected, came = customers(5_000, seed=9)
    calibration = calibrated(expected, came)
    bins = Intervals(calibration).bin_of(expected)
    assert len(calibration.bins) == 10
    for number, part in enumerate(calibration.bins):
        off = (came - expected)[bins == number]
        assert part.bias == pytest.approx(off.mean(), abs=1e-6)
        assert part.variance == pytest.approx(off.var(ddof=1), rel=1e-6)
        scale = np.maximum(expected[bins == number], calibration.floor)
        assert part.dispersion * (scale**1.5).mean() == pytest.approx(off.var(), rel=1e-6)
        third = ((off - off.mean()) ** 3).mean()
        assert part.asymmetry * (scale**2).mean() == pytest.approx(third, rel=1e-6)
        assert part.returning == pytest.approx((came[bins == number] > 0).mean())


def test_scores_that_differ_by_rounding_are_one_score() -> None:
    """Nothing was learnt: everybody has the same score, up to the last digit."""
    rng = np.random.default_rng(2)
    same = 12.5 + rng.choice([-2e-15, 0.0, 2e-15], 3_000)
    calibration = Calibration.of(same, rng.exponential(10, 3_000), scores=same[::-1])
    assert [part.rows for part in calibration.bins] == [3_000]


def test_few_customers_make_few_bins() -> None:
    assert len(calibrated(*customers(160, seed=1)).bins) == 3
    assert len(calibrated(*customers(20, seed=1)).bins) == 1


def test_kept_ratios_are_as_good_as_all() -> None:
    """Of a large bin 500 quantiles are kept: a level is then right to half a percent."""
    expected, came = np.ones(60_000), np.random.default_rng(3).exponential(1, 60_000)
    calibration = calibrated(expected, came)
    assert len(calibration.bins[0].ratios) == 500
    intervals = Intervals(calibration)
    for level in LEVELS:
        low, high = (float(bound[0]) for bound in intervals.bounds(level))
        assert ((came >= low) & (came <= high)).mean() == pytest.approx(level, abs=0.005)
