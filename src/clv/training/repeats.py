"""Whether intervals and probabilities keep their word: the recipe on several random splits.

One split tells the coverage of a score bin to a percentage point or two; the mean over several
splits tells a method that is off from a split that was unlucky.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from clv.data.checks import History
from clv.schema import Floats
from clv.training.fitted import finish
from clv.training.progress import Progress
from clv.training.search import out_of_fold

__all__ = ["LEVELS", "TIMES", "BinCoverage", "Repeats", "repeat"]

LEVELS = (0.8, 0.9)
TIMES = 5
_TEST_SHARE = 0.2
_TENTHS = 10


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
    mean = _mean_of(runs)
    return Repeats(
        times=TIMES,
        test_share=_TEST_SHARE,
        levels=LEVELS,
        covered=tuple(mean["covered"].tolist()),
        bins=tuple(
            BinCoverage(
                score_bin=number + 1,
                customers=float(mean["customers"][number]),
                never=float(mean["never"][number]),
                covered=tuple(mean["bin_covered"][:, number].tolist()),
                width=tuple(mean["bin_width"][:, number].tolist()),
            )
            for number in range(len(mean["customers"]))
        ),
        brier=float(mean["brier"]),
        brier_of_share=float(mean["brier_of_share"]),
        reliability=tuple((said, actual) for said, actual in mean["reliability"].tolist()),
    )


def _run(seen: History, unseen: History, recipe: Any, seed: int) -> dict[str, Floats]:
    X, y = seen.activity.matrix(), seen.outcome
    expected = clone(recipe).fit(X, y)
    fitted = finish(expected, out_of_fold(recipe, X, y, seed=seed), seen, seed=seed)
    said = fitted.predict(unseen.activity)
    bins = said.score_bin - 1
    sizes = np.bincount(bins, minlength=len(fitted.uncertainty.calibration.bins))

    def by_bin(values: Any) -> Floats:
        return np.asarray(
            np.bincount(bins, np.asarray(values, dtype=float), len(sizes)) / np.maximum(sizes, 1)
        )

    covered, width = [], []
    for level in LEVELS:
        at = fitted.predict(unseen.activity, level=level)
        covered.append(at.holds(unseen.outcome))
        width.append(at.high - at.low)
    returned = unseen.returned.astype(float)
    tenths = np.array_split(np.argsort(said.p_return, kind="stable"), _TENTHS)
    return {
        "customers": sizes.astype(float),
        "never": by_bin(~unseen.returned),
        "covered": np.array([held.mean() for held in covered]),
        "bin_covered": np.array([by_bin(held) for held in covered]),
        "bin_width": np.array([by_bin(one) for one in width]),
        "brier": np.mean((said.p_return - returned) ** 2),
        "brier_of_share": np.mean((seen.returned.mean() - returned) ** 2),
        "reliability": np.array(
            [(said.p_return[rows].mean(), returned[rows].mean()) for rows in tenths]
        ),
    }


def _mean_of(runs: Sequence[dict[str, Floats]]) -> dict[str, Any]:
    """Mean of each figure; of the bins that all runs have, as ties can leave one with fewer."""
    fewest = min(len(run["customers"]) for run in runs)
    return {
        name: np.mean(
            [run[name][..., :fewest] if name in _BY_BIN else run[name] for run in runs], axis=0
        )
        for name in runs[0]
    }


_BY_BIN = {"customers", "never", "bin_covered", "bin_width"}
