"""The champion's recipe on other splits and cohorts, for the report."""

from dataclasses import replace

import numpy as np
import pytest

from clv.data.checks import History
from clv.training import TrainingResult, train
from clv.training.appraisal import Appraisal, appraise
from clv.training.backtest import COHORTS, backtest
from clv.training.progress import Silent
from clv.training.repeats import TIMES, repeat
from support import quick_candidates
from training.spies import Steps


def test_the_noise_floor_is_of_the_champion_on_the_training_rows(
    result: TrainingResult, appraisal: Appraisal
) -> None:
    noise = appraisal.noise
    assert noise.low < noise.mse < noise.high
    assert noise.mse + noise.avoidable == pytest.approx(noise.champion_mse)
    # Nearly all of the training rows are in a pair, so it is about the champion's own error.
    assert noise.pairs > 0.49 * (~result.test).sum()
    assert noise.champion_mse == pytest.approx(result.champion.cv_mse, rel=0.05)


def test_splits_and_younger_cohorts_are_predicted_by_the_champions_recipe(
    result: TrainingResult, appraisal: Appraisal
) -> None:
    recipe, seed = result.choice.champion.estimator, result.seed
    again = backtest(result.history, recipe, seed=seed, progress=Silent())
    assert len(again) == COHORTS
    assert appraisal.cohorts == again
    assert appraisal.repeats == repeat(result.history, recipe, seed=seed, progress=Silent())


def test_progress_is_told_of_splits_and_cohorts_and_the_threads_change_nothing(
    result: TrainingResult, appraisal: Appraisal
) -> None:
    steps = Steps()
    assert appraise(result, jobs=1, progress=steps) == appraisal
    assert steps.stages == [("repeated splits", TIMES), ("younger cohorts", COHORTS)]
    assert steps.done == [TIMES, COHORTS]


def test_without_dates_there_are_no_cohorts_and_no_stage_for_them(history: History) -> None:
    steps = Steps()
    undated = replace(history[np.arange(len(history)) < 1_500], registered_at=None)
    found = appraise(train(undated, among=quick_candidates()[1:2]), progress=steps)
    assert found.cohorts == ()
    assert dict(steps.stages) == {"repeated splits": TIMES}
