"""Learn from older cohorts, predict younger ones; nobody is known before their time."""

import itertools
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from clv.data.checks import History
from clv.models.candidates import candidates
from clv.schema import Activity, Mask
from clv.training import backtest as module
from clv.training.backtest import COHORTS, Cohort, backtest
from clv.training.progress import Silent
from training.spies import Steps


@pytest.fixture(scope="module")
def recipe() -> Any:
    return next(one for one in candidates(42) if one.name == "boosting").estimator


@pytest.fixture(scope="module")
def cohorts(history: History, recipe: Any) -> tuple[Cohort, ...]:
    return backtest(history, recipe, seed=42, progress=Silent())


def test_the_younger_half_is_predicted_cohort_by_cohort(
    history: History, cohorts: tuple[Cohort, ...]
) -> None:
    assert len(cohorts) == COHORTS
    assert all(one.end == other.start for one, other in itertools.pairwise(cohorts))
    assert sum(one.tested_on for one in cohorts) == pytest.approx(len(history) / 2, rel=0.03)
    learnt = [one.learnt_from for one in cohorts]
    assert learnt == sorted(learnt)
    assert learnt[0] < len(history) / 2


def test_it_is_better_than_persistence_and_its_intervals_hold(
    cohorts: tuple[Cohort, ...],
) -> None:
    assert sum(one.to_persistence.mean < 0 for one in cohorts) == COHORTS
    assert np.mean([one.covered for one in cohorts]) == pytest.approx(0.9, abs=0.03)
    assert np.mean([one.predicted for one in cohorts]) == pytest.approx(
        np.mean([one.actual for one in cohorts]), rel=0.1
    )


def test_nobody_is_learnt_from_whose_horizon_had_not_passed(
    history: History, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = module._test

    def spy(known: History, tested: History, *rest: Any) -> Cohort:
        seen.append((known, tested))
        return real(known, tested, *rest)

    monkeypatch.setattr(module, "_test", spy)
    cohorts = backtest(history, recipe, seed=42, progress=Silent())
    assert len(seen) == len(cohorts)
    for (known, tested), cohort in zip(seen, cohorts, strict=True):
        assert known.registered_at is not None
        assert tested.registered_at is not None
        start = np.datetime64(cohort.start)
        assert (known.registered_at + np.timedelta64(30, "D") <= start).all()
        assert (tested.registered_at >= start).all()
        assert (tested.registered_at < np.datetime64(cohort.end)).all()
        assert not set(known.ids) & set(tested.ids)


def test_the_order_of_the_rows_decides_nothing(
    history: History, recipe: Any, cohorts: tuple[Cohort, ...]
) -> None:
    shuffled = history[np.random.default_rng(1).permutation(len(history))]
    assert backtest(shuffled, recipe, seed=42, progress=Silent()) == cohorts


def test_fares_that_double_show_in_the_cohort_in_which_they_did(
    history: History, recipe: Any, cohorts: tuple[Cohort, ...]
) -> None:
    """The same weeks cost twice as much later: the model promises half of what comes."""
    assert history.registered_at is not None
    young = history.registered_at >= np.datetime64(cohorts[-1].start)
    outcome = np.where(young, history.activity.monetary + 2 * history.increment, history.outcome)
    dearer = backtest(replace(history, outcome=outcome), recipe, seed=42, progress=Silent())
    for before, after in zip(cohorts[:-1], dearer[:-1], strict=True):
        assert before == after
    assert dearer[-1].actual == pytest.approx(2 * cohorts[-1].actual)
    assert dearer[-1].champion.bias < cohorts[-1].champion.bias - 0.1
    assert dearer[-1].covered < cohorts[-1].covered


def test_without_dates_there_are_no_cohorts(history: History, recipe: Any) -> None:
    steps = Steps()
    assert backtest(replace(history, registered_at=None), recipe, seed=42, progress=steps) == ()
    never = np.full(len(history), np.datetime64("NaT", "us"))
    assert backtest(replace(history, registered_at=never), recipe, seed=42, progress=steps) == ()
    assert steps.stages == []


def test_an_origin_before_anything_was_known_is_left_out(history: History, recipe: Any) -> None:
    """Everybody registered within 40 days: at the first origins no horizon had passed."""
    day = np.datetime64(date(2026, 1, 1), "us")
    at = day + (np.arange(len(history)) % 40).astype("timedelta64[D]")
    steps = Steps()
    found = backtest(replace(history, registered_at=at), recipe, seed=42, progress=steps)
    assert 0 < len(found) < COHORTS
    assert steps.done == [len(found)]
    assert steps.stages == [("younger cohorts", len(found))]
    assert found[0].start - timedelta(days=31) >= date(2026, 1, 1)


def test_customers_without_a_date_are_in_no_cohort(history: History, recipe: Any) -> None:
    assert history.registered_at is not None
    some: Mask = np.arange(len(history)) % 4 == 0
    at = np.where(some, np.datetime64("NaT", "us"), history.registered_at)
    found = backtest(replace(history, registered_at=at), recipe, seed=42, progress=Silent())
    assert sum(one.tested_on for one in found) == pytest.approx(0.75 * len(history) / 2, rel=0.05)


def test_a_window_of_its_own_waits_for_its_own_horizon(history: History, recipe: Any) -> None:
    assert isinstance(history.activity, Activity)
    found = backtest(history, recipe, seed=42, progress=Silent())
    longer = replace(history, window=replace(history.window, horizon_days=60))
    later = backtest(longer, recipe, seed=42, progress=Silent())
    assert later[-1].learnt_from < found[-1].learnt_from


def test_a_cohort_for_which_too_little_was_known_is_left_out(history: History) -> None:
    """One customer returned before the first origins: the hurdle cannot learn from that."""
    hurdle = next(one for one in candidates(42) if one.name == "hurdle").estimator
    assert history.registered_at is not None
    early = history.registered_at < np.quantile(history.registered_at.astype(np.int64), 0.6).astype(
        "datetime64[us]"
    )
    quiet = np.where(early, history.activity.monetary, history.outcome)
    quiet[np.flatnonzero(early & (history.increment > 0))[0]] += 10
    found = backtest(
        replace(history, outcome=quiet, returned=quiet > history.activity.monetary),
        hurdle,
        seed=42,
        progress=Silent(),
    )
    assert len(found) < COHORTS
