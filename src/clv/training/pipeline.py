"""Train: split first, search and choose on the training rows, test once, refit on all rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone

from clv.data.checks import History
from clv.errors import DataError
from clv.metrics import (
    PairedDifference,
    measure,
    paired_bootstrap,
    paired_difference,
    squared_errors,
)
from clv.models.candidates import Candidate, candidates
from clv.schema import Floats, Mask
from clv.training.fitted import Fitted, finish
from clv.training.progress import Progress, Silent
from clv.training.search import (
    FOLDS,
    Choice,
    Contender,
    SearchPlan,
    choose,
    out_of_fold,
    search,
)
from clv.training.split import held_out

__all__ = ["Standing", "TrainingResult", "train"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of the leaderboard. Errors in squared currency units, bias and MAPE as shares.

    `to_champion` is this model's cross-validated error less the champion's, on the same rows;
    `test_to_champion` the same on the test rows.
    """

    model: str
    best_params: dict[str, Any]
    cv_mse: float
    cv_mse_se: float
    to_champion: PairedDifference
    test_mse: float
    test_mae: float
    test_bias: float
    test_gini_total: float
    test_gini_increment: float
    test_decile_mape: float
    test_to_champion: PairedDifference
    fit_seconds: float


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training found.

    Attributes
    ----------
    history : History
        What was learnt from.
    test : array of shape (n,), bool
        Rows that nothing was chosen or fitted on before the champion stood.
    choice : Choice
    leaderboard : tuple of Standing
        By cross-validated error, lowest first.
    failed : dict
        Candidates that could not be fitted, and why.
    contenders : tuple of Contender
        From simplest to most complex.
    holdout : Fitted
        The champion's recipe on the training rows only: what the test rows judge.
    serving : Fitted
        The same recipe on all rows.
    seed : int
    test_share : float
    plan : SearchPlan
    """

    history: History
    test: np.ndarray
    choice: Choice
    leaderboard: tuple[Standing, ...]
    failed: dict[str, str]
    contenders: tuple[Contender, ...]
    holdout: Fitted
    serving: Fitted
    seed: int
    test_share: float
    plan: SearchPlan

    @property
    def champion(self) -> Standing:
        """The champion's line."""
        return self.standing(self.choice.champion.name)

    def standing(self, model: str) -> Standing:
        """The line of one model."""
        return next(row for row in self.leaderboard if row.model == model)


def train(
    history: History,
    *,
    seed: int = 42,
    test_share: float = 0.2,
    jobs: int = 2,
    plan: SearchPlan = SearchPlan(),  # noqa: B008 - frozen
    progress: Progress | None = None,
    among: Sequence[Candidate] | None = None,
    test: Mask | None = None,
) -> TrainingResult:
    """Train on a history. The same history and seed give the same result.

    Parameters
    ----------
    history : History
    seed : int
        Decides split, folds and every model's randomness.
    test_share : float
        Expected share of customers held out, between 0 and 1.
    jobs : int
        Fits at a time; the result does not depend on it.
    plan : SearchPlan
        How parameters are searched; each candidate's grid by default.
    progress : Progress, optional
    among : sequence of Candidate, optional
        From simplest to most complex; all of `clv.models.candidates` by default.
    test : array of shape (n,), bool, optional
        Rows to hold out, as for a split in time; by default a random share, by id.

    Raises
    ------
    DataError
        Where the split leaves too little, or no candidate can be fitted.
    """
    progress = progress or Silent()
    if test is None:
        test = held_out(history.ids, seed=seed, share=test_share)
    else:
        test_share = 0.0  # nobody is held out by id: the serving model has seen them all
    seen, unseen = history[~test], history[test]
    varied = len(unseen) > 0 and np.ptp(unseen.outcome) > 0
    if len(seen) < 10 * FOLDS or not seen.increment.any() or not varied:
        raise DataError(
            f"Of {len(history):,} customers {len(unseen):,} are held out, and what is left cannot "
            "be learnt from or tested on. Give a longer history, or another --seed."
        )
    X, y = seen.activity.matrix(), seen.outcome
    contenders, failed = search(
        among or candidates(seed), X, y, plan=plan, seed=seed, jobs=jobs, progress=progress
    )
    choice = choose(contenders, y)
    champion = choice.champion
    progress.start("test, calibrate, refit", 3)
    leaderboard = _leaderboard(contenders, champion, y, unseen, seed)
    progress.step()
    with joblib.parallel_config("threading", n_jobs=jobs):
        holdout = finish(champion.estimator, champion.out_of_fold, seen, seed=seed)
        progress.step()
        serving = _refitted(champion.estimator, history, seed=seed)
        progress.step()
    return TrainingResult(
        history=history,
        test=test,
        choice=choice,
        leaderboard=leaderboard,
        failed=failed,
        contenders=tuple(contenders),
        holdout=holdout,
        serving=serving,
        seed=seed,
        test_share=test_share,
        plan=plan,
    )


def _refitted(recipe: Any, history: History, *, seed: int) -> Fitted:
    X, y = history.activity.matrix(), history.outcome
    unseen = out_of_fold(recipe, X, y, seed=seed)
    return finish(clone(recipe).fit(X, y), unseen, history, seed=seed)


def _leaderboard(
    contenders: Sequence[Contender], champion: Contender, y: Floats, unseen: History, seed: int
) -> tuple[Standing, ...]:
    X, actual = unseen.activity.matrix(), unseen.outcome
    champion_errors = squared_errors(y, champion.out_of_fold)
    champion_test = squared_errors(actual, champion.estimator.predict(X))
    rows = []
    for contender in contenders:
        errors = squared_errors(y, contender.out_of_fold)
        predicted = contender.estimator.predict(X)
        test = measure(actual, predicted, unseen.activity.monetary)
        rows.append(
            Standing(
                model=contender.name,
                best_params=contender.parameters,
                cv_mse=float(errors.mean()),
                cv_mse_se=float(errors.std(ddof=1) / np.sqrt(len(errors))),
                to_champion=paired_difference(errors, champion_errors),
                test_mse=test.mse,
                test_mae=test.mae,
                test_bias=test.bias,
                test_gini_total=test.gini_total,
                test_gini_increment=test.gini_increment,
                test_decile_mape=test.decile_mape,
                test_to_champion=paired_bootstrap(
                    squared_errors(actual, predicted), champion_test, seed=seed
                ),
                fit_seconds=contender.fit_seconds,
            )
        )
    return tuple(sorted(rows, key=lambda row: row.cv_mse))
