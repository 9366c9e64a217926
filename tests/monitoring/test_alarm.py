"""The alarm: silent while nothing changes, soon once something does."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from benchmarks.crowd import FIRST, Crowd, year_of
from hypothesis import given
from hypothesis import strategies as st

from clv.bundle import Predictor
from clv.data.simulate import SampleModel
from clv.metrics import WEEKS_A_YEAR, evidence, likeliest_start
from clv.monitoring.alarm import FALSE_ALARMS, watch_bias, watch_coverage

WEEKS = 52
# Half of those who might return do not, and a ride costs a fifth more.
CHANGED = SampleModel(dropout_a=3.0, mean_fare=24.5)


@pytest.fixture(scope="module", params=[20, pytest.param(100, marks=pytest.mark.nightly)])
def quiet_years(request: pytest.FixtureRequest, predictor: Predictor) -> list[Any]:
    """Years in which nothing changes, other passengers in each."""
    years = []
    for seed in range(request.param):
        crowd = Crowd(predictor, SampleModel(), seed + 1)
        years.append(year_of([crowd.take(1_500) for _ in range(WEEKS)]))
    return years


def test_of_quiet_years_at_most_one_in_twenty_raises_an_alarm_of_bias(
    quiet_years: list[Any], predictor: Predictor
) -> None:
    raised = [year for year in quiet_years if watch_bias(year, predictor.calibration).raised]
    assert len(raised) <= FALSE_ALARMS * len(quiet_years)


def test_nor_of_coverage(quiet_years: list[Any], predictor: Predictor) -> None:
    raised = [year for year in quiet_years if watch_coverage(year, predictor.calibration).raised]
    assert len(raised) <= FALSE_ALARMS * len(quiet_years)


@pytest.mark.parametrize("seed", range(1, 6))
def test_another_behaviour_is_flagged_within_three_weeks(predictor: Predictor, seed: int) -> None:
    before = Crowd(predictor, SampleModel(), seed)
    after = Crowd(predictor, CHANGED, seed)
    weeks = [(before if week < 26 else after).take(3_000) for week in range(WEEKS)]
    watch = watch_bias(year_of(weeks), predictor.calibration)
    change = FIRST + timedelta(weeks=26)
    assert watch.raised is not None
    assert watch.since is not None
    assert change <= watch.raised < change + timedelta(weeks=3)
    assert abs((watch.since - change).days) <= 7
    assert watch.off > 0.05  # too much is promised, by a share of what is


def test_too_little_promised_is_flagged_as_well(predictor: Predictor) -> None:
    crowd = Crowd(predictor, SampleModel(), 1)
    weeks = [crowd.take(3_000) for _ in range(20)]
    for week in weeks[10:]:
        week["actual"] = week["actual"] * 1.15
    watch = watch_bias(year_of(weeks), predictor.calibration)
    assert watch.raised is not None
    assert watch.raised >= FIRST + timedelta(weeks=10)
    assert watch.off < -0.05


def test_intervals_that_hold_too_few_are_flagged(predictor: Predictor) -> None:
    crowd = Crowd(predictor, SampleModel(), 1)
    weeks = [crowd.take(3_000) for _ in range(20)]
    rng = np.random.default_rng(1)
    for week in weeks[10:]:
        week["covered"] = week["covered"] & (rng.random(3_000) > 0.1)
    watch = watch_coverage(year_of(weeks), predictor.calibration)
    assert watch.raised is not None
    assert FIRST + timedelta(weeks=10) <= watch.raised <= FIRST + timedelta(weeks=13)


def test_without_its_calibration_a_version_is_watched_all_the_same(predictor: Predictor) -> None:
    before, after = (Crowd(predictor, model, 1) for model in (SampleModel(), CHANGED))
    weeks = [(before if week < 10 else after).take(3_000) for week in range(20)]
    year = year_of(weeks)
    assert watch_bias(year, None).raised is not None
    assert watch_coverage(year, None).raised is None  # they hold: fewer spend more than said


def test_before_any_outcome_there_is_no_evidence() -> None:
    nothing = year_of([])
    watch = watch_bias(nothing, None)
    assert (watch.weeks, watch.evidence, watch.raised) == ((), (), None)


# ---------------------------------------------------------------- the test itself

sums = st.lists(st.tuples(st.floats(-900, 8), st.floats(0.5, 100)), min_size=1, max_size=12).map(
    lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True))
)


@given(sums)
def test_evidence_is_what_the_integral_says(weeks: tuple[np.ndarray, np.ndarray]) -> None:
    off, variance = weeks
    slopes = np.linspace(0, 1, 40_001) ** 3  # dense where a strong decay ends soon
    found = 0.0
    for start in range(len(off)):
        total, spread = off[start:].sum(), variance[start:].sum()
        scale = 1 / np.sqrt(variance[start])
        likeliest = max(total / (1 / scale**2 + spread), 0)
        at = slopes * (likeliest + 12 * scale)  # beyond lies nothing
        density = 2 / (np.sqrt(2 * np.pi) * scale) * np.exp(-((at / scale) ** 2) / 2)
        found += np.trapezoid(density * np.exp(at * total - at**2 * spread / 2), at)
    assert evidence(off, variance)[-1] == pytest.approx(found / WEEKS_A_YEAR, rel=1e-3)


@given(sums)
def test_what_comes_later_changes_nothing_of_before(
    weeks: tuple[np.ndarray, np.ndarray],
) -> None:
    off, variance = weeks
    assert evidence(off, variance)[:-1] == pytest.approx(evidence(off[:-1], variance[:-1]))


@given(sums, st.floats(0.01, 1000))
def test_the_unit_of_money_does_not_matter(
    weeks: tuple[np.ndarray, np.ndarray], rate: float
) -> None:
    off, variance = weeks
    found = evidence(off * rate, variance * rate**2)
    assert found == pytest.approx(evidence(off, variance), rel=1e-6)


def test_of_normal_sums_around_nothing_few_ever_reach_the_limit() -> None:
    rng = np.random.default_rng(3)
    years = 2_000
    reached = sum(
        evidence(rng.normal(0, 2, WEEKS), np.full(WEEKS, 4.0)).max() >= 1 / FALSE_ALARMS
        for _ in range(years)
    )
    # Ville's inequality, and three standard errors of the count.
    assert reached <= FALSE_ALARMS * years + 3 * np.sqrt(years * FALSE_ALARMS)


@pytest.mark.parametrize("off", [-1e-9, -10.0, -14.9, -15.1, -40.0, -1e3, -1e9])
def test_what_lies_far_on_the_other_side_is_no_evidence(off: float) -> None:
    found = evidence(np.array([off]), np.array([1.0]))[0]
    assert 0 < found <= np.sqrt(2) / 2 / WEEKS_A_YEAR


def test_the_start_of_a_drift_is_found() -> None:
    off = np.array([0.0] * 20 + [3.0] * 4)
    assert likeliest_start(off, np.ones(24)) == 20
