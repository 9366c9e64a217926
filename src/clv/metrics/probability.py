"""How good probabilities are. `happened` is an array of bool, shape (n,)."""

from dataclasses import dataclass

import numpy as np

from clv.metrics.order import averaged_within_ties, ranks, to_micros
from clv.schema import Floats, Mask

__all__ = ["ReliabilityRow", "auc", "base_rate_brier", "brier", "reliability"]


def brier(happened: Mask, probability: Floats) -> float:
    """Mean squared error of a probability: 0 is perfect.

    It rewards honest probabilities, but its size means nothing alone: where few return, even
    "nobody does" scores low. Read it beside `base_rate_brier`.

    Source: Brier (1950), Monthly Weather Review 78(1).
    """
    return float(((probability - happened) ** 2).mean())


def base_rate_brier(happened: Mask) -> float:
    """Brier score of giving everybody the share that happened: what a model has to beat."""
    share = float(happened.mean())
    return share * (1 - share)


def auc(happened: Mask, score: Floats) -> float:
    """Chance that one to whom it happened has a higher score than one to whom it did not.

    Ties count half. It sees the order alone: a probability that is twice too high keeps its AUC.
    NaN where it happened to all or to none.

    Source: Hanley, McNeil (1982), Radiology 143(1), by the rank sum of Mann and Whitney.
    """
    yes = int(happened.sum())
    no = len(happened) - yes
    if not yes or not no:
        return float("nan")
    return float((ranks(score)[happened].sum() - yes * (yes + 1) / 2) / (yes * no))


@dataclass(frozen=True, slots=True)
class ReliabilityRow:
    """Some customers with about the same probability: what was said, and how often it happened.

    `standard_error` is that of `happened`, were `predicted` true.
    """

    group: int
    customers: int
    predicted: float
    happened: float
    standard_error: float


def reliability(happened: Mask, probability: Floats, *, groups: int = 10) -> list[ReliabilityRow]:
    """Mean probability against the share to whom it happened, by tenth of the customers.

    Cut by rank, because equal widths would leave groups of a handful; happenings are averaged
    within ties, or the order of the rows decides in which group a tied customer counts.

    Source: Bröcker, Smith (2007), Weather and Forecasting 22(3), for equal numbers a group.
    """
    tied = averaged_within_ties(happened.astype(np.float64), probability)
    parts = np.array_split(np.argsort(to_micros(probability), kind="stable"), groups)
    return [
        ReliabilityRow(
            group=number,
            customers=len(rows),
            predicted=float(probability[rows].mean()),
            happened=float(tied[rows].mean()),
            standard_error=float(
                np.sqrt((probability[rows] * (1 - probability[rows])).mean() / len(rows))
            ),
        )
        for number, rows in enumerate(parts, start=1)
        if len(rows)
    ]
