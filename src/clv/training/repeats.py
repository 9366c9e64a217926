"""Whether intervals and probabilities keep their word: the recipe on several random splits.

One split tells the coverage of a score bin to a percentage point or two; the mean over several
splits tells a method that is off from a split that was unlucky.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from clv.data.checks import History
from clv.evaluation.intervals import BinCoverage as BinMeasured
from clv.evaluation.intervals import Coverage, coverage
from clv.metrics import ReliabilityRow, brier, reliability
from clv.training.fitted import finish
from clv.training.progress import Progress
from clv.training.search import out_of_fold

__all__ = ["LEVELS", "TIMES", "BinCoverage", "Repeats", "repeat"]

LEVELS = (0.8, 0.9)
TIMES = 5
_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class BinCoverage:
    """Customers of one score bin; shares and widths are means over the repeats.

    `covered` and `width` (currency units) go with `Repeats.levels`.
    """

    score_bin: int
    customers: float
    never: float
    covered: tuple[float, ...]
    width: tuple[float, ...]

    def is_point(self, level: float) -> bool:
        """Whether the interval was what is spent already, in every repeat.

        So it is where more customers never return than the level asks for; it covers all of them.
        """
        return self.width[LEVELS.index(level)] == 0


@dataclass(frozen=True, slots=True)
class Repeats:
    """Means over repeated random splits, each with a model of its own.

    Attributes
    ----------
    times : int
    test_share : float
    levels : tuple of float
    covered : tuple of float
        Share of all test customers in their interval, a level each.
    bins : tuple of BinCoverage
    brier, brier_of_share : float
        Of `p_return`, and of giving everybody the share who returned.
    reliability : tuple of (float, float)
        Mean predicted and actual share who returned, by tenth of `p_return`.
    """

    times: int
    test_share: float
    levels: tuple[float, ...]
    covered: tuple[float, ...]
    bins: tuple[BinCoverage, ...]
    brier: float
    brier_of_share: float
    reliability: tuple[tuple[float, float], ...]


def repeat(
    history: History,
    recipe: Any,
    *,
    seed: int,
    progress: Progress,
) -> Repeats:
    """Split at random, fit and calibrate, test; `TIMES` over.

    Parameters
    ----------
    history : History
    recipe : estimator
        The champion's, with its parameters.
    seed : int
    progress : Progress
        Told of each repeat.
    """
    rng = np.random.default_rng(seed)
    runs = []
    for number in range(TIMES):
        test = rng.random(len(history)) < _TEST_SHARE
        runs.append(_run(history[~test], history[test], recipe, seed + number))
        progress.step()
    tenths = np.mean([[(row.predicted, row.happened) for row in run.tenths] for run in runs], 0)
    return Repeats(
        times=TIMES,
        test_share=_TEST_SHARE,
        levels=LEVELS,
        covered=tuple(
            float(np.mean([run.coverage[level].covered for run in runs]))
            for level in range(len(LEVELS))
        ),
        bins=tuple(_bins(runs)),
        brier=float(np.mean([run.brier for run in runs])),
        brier_of_share=float(np.mean([run.brier_of_share for run in runs])),
        reliability=tuple((said, actual) for said, actual in tenths.tolist()),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """One split: the coverage at each level, and the probability of return."""

    coverage: list[Coverage]
    brier: float
    brier_of_share: float
    tenths: list[ReliabilityRow]


def _run(seen: History, unseen: History, recipe: Any, seed: int) -> _Run:
    X, y = seen.activity.matrix(), seen.outcome
    expected = clone(recipe).fit(X, y)
    fitted = finish(expected, out_of_fold(recipe, X, y, seed=seed), seen, seed=seed)
    said = [fitted.predict(unseen.activity, level=level) for level in LEVELS]
    share = np.full(len(unseen), seen.returned.mean())
    return _Run(
        coverage=[coverage(unseen, one) for one in said],
        brier=brier(unseen.returned, said[0].p_return),
        brier_of_share=brier(unseen.returned, share),
        tenths=reliability(unseen.returned, said[0].p_return),
    )


def _bins(runs: Sequence[_Run]) -> Iterator[BinCoverage]:
    """Means over the runs that have customers in a bin: ties can leave one with fewer bins."""
    found: dict[int, list[list[BinMeasured]]] = {}
    for run in runs:
        for levels in zip(*(one.bins for one in run.coverage), strict=True):
            found.setdefault(levels[0].score_bin, []).append(list(levels))
    for number, rows in sorted(found.items()):
        by_level = list(zip(*rows, strict=True))
        yield BinCoverage(
            score_bin=number,
            customers=float(np.mean([row.customers for row in by_level[0]])),
            never=float(np.mean([row.never_returning for row in by_level[0]])),
            covered=tuple(float(np.mean([row.covered for row in each])) for each in by_level),
            width=tuple(float(np.mean([row.width for row in each])) for each in by_level),
        )
