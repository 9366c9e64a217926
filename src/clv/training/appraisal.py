"""What the report says beyond the test rows: the champion's recipe on other splits and cohorts.

None of it decides which model is champion, and it takes more fits than the training itself, so it
is made where a report is.
"""

from dataclasses import dataclass

import joblib

from clv.training.backtest import Cohort, backtest
from clv.training.noise import NoiseFloor, noise_floor
from clv.training.pipeline import TrainingResult
from clv.training.progress import Progress, Silent
from clv.training.repeats import TIMES, Repeats, repeat
from clv.training.search import fold_of

__all__ = ["Appraisal", "appraise"]


@dataclass(frozen=True, slots=True)
class Appraisal:
    """How the champion's recipe does elsewhere.

    Attributes
    ----------
    repeats : Repeats
        On several random splits: whether intervals and probabilities keep their word.
    cohorts : tuple of Cohort
        On younger cohorts than it learnt from; none where there are no dates.
    noise : NoiseFloor
        What of its cross-validated error is left to chance.
    """

    repeats: Repeats
    cohorts: tuple[Cohort, ...]
    noise: NoiseFloor


def appraise(
    result: TrainingResult, *, jobs: int = 2, progress: Progress | None = None
) -> Appraisal:
    """Fit the champion's recipe again on other splits and older cohorts, and measure it.

    Parameters
    ----------
    result : TrainingResult
    jobs : int
        Threads of a fit; the figures do not depend on it.
    progress : Progress, optional
        Told of each split and cohort.
    """
    progress, history, champion = progress or Silent(), result.history, result.choice.champion
    with joblib.parallel_config("threading", n_jobs=jobs):
        progress.start("repeated splits", TIMES)
        repeats = repeat(history, champion.estimator, seed=result.seed, progress=progress)
        cohorts = backtest(history, champion.estimator, seed=result.seed, progress=progress)
    learnt = history[~result.test]
    noise = noise_floor(
        learnt.activity.matrix(),
        learnt.outcome,
        champion.out_of_fold,
        fold_of(len(learnt), seed=result.seed),
        seed=result.seed,
    )
    return Appraisal(repeats, cohorts, noise)
