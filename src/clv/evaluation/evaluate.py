"""Everything that is measured of a predictor on customers whose outcome is known."""

from dataclasses import dataclass

import numpy as np

from clv.bundle import DEFAULT_LEVEL, Predictions, Predictor
from clv.data.checks import History
from clv.errors import DataError
from clv.evaluation.intervals import Coverage, coverage
from clv.metrics import (
    CurvePoint,
    DecileRow,
    Quality,
    ReliabilityRow,
    auc,
    base_rate_brier,
    brier,
    capture_curve,
    captured,
    deciles,
    measure,
    normalised_gini,
    reliability,
)
from clv.schema import Floats

__all__ = [
    "TOP_SHARE",
    "Capture",
    "Evaluation",
    "Miss",
    "ResidualRow",
    "Returning",
    "evaluate",
    "evaluation_of",
]

#: Whom a campaign can afford to address: the share of customers of "top-decile capture".
TOP_SHARE = 0.1
_LOWER_LEVEL = 0.8
_MISSES = 10
# More rides than this are rare, and are shown together.
_MOST_RIDES = 8


@dataclass(frozen=True, slots=True)
class Capture:
    """How much of the money the highest predictions hold.

    `top` and `ideal_top` are what the tenth of the customers with the highest predictions holds,
    and what the best possible tenth does; `gini` is normalised, NaN where there is no money.
    """

    gini: float
    top: float
    ideal_top: float
    curve: tuple[CurvePoint, ...]
    ideal: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class Returning:
    """How good the probability of any further ride is.

    `brier_base_rate` is the Brier score of giving everybody the share that returned.
    """

    share: float
    brier: float
    brier_base_rate: float
    auc: float
    deciles: tuple[ReliabilityRow, ...]


@dataclass(frozen=True, slots=True)
class ResidualRow:
    """Mean of actual less predicted spend among customers alike, in currency units."""

    group: str
    customers: int
    predicted: float
    actual: float
    difference: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Miss:
    """One customer for whom the prediction was far off."""

    id: str
    recency: float
    frequency: float
    monetary: float
    predicted: float
    actual: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions against actuals of the same customers.

    Attributes
    ----------
    rows, observation_days, horizon_days : int
    quality : Quality
        Of the predicted total.
    deciles, deciles_increment : tuple of DecileRow
        Of the total spend and of the increment, each by its predicted rank.
    capture_total, capture_increment : Capture
    coverage : tuple of Coverage
        Of the intervals at the level asked for, then at 0.8.
    returning : Returning
    residuals_by_recency, residuals_by_frequency : tuple of ResidualRow
    share_in_support : float
        Of the customers, those like enough to some that the model learnt from.
    misses : tuple of Miss
        Largest absolute errors first.
    """

    rows: int
    observation_days: int
    horizon_days: int
    quality: Quality
    deciles: tuple[DecileRow, ...]
    deciles_increment: tuple[DecileRow, ...]
    capture_total: Capture
    capture_increment: Capture
    coverage: tuple[Coverage, ...]
    returning: Returning
    residuals_by_recency: tuple[ResidualRow, ...]
    residuals_by_frequency: tuple[ResidualRow, ...]
    share_in_support: float
    misses: tuple[Miss, ...]


def evaluate(history: History, predictor: Predictor, *, level: float = DEFAULT_LEVEL) -> Evaluation:
    """Measure the predictor on the customers of `history`.

    Parameters
    ----------
    history : History
    predictor : Predictor
    level : float
        Of the intervals that are measured; those at 0.8 are measured as well.

    Raises
    ------
    DataError
        Where the history is of another window than the model, or the level is out of its range.
    """
    if history.window != predictor.window:
        raise DataError(f"The data is of {history.window}, the model of {predictor.window}.")
    levels = sorted({level, _LOWER_LEVEL}, reverse=level > _LOWER_LEVEL)
    return evaluation_of(
        history, [predictor.predict(history.activity, level=one) for one in levels]
    )


def evaluation_of(history: History, predictions: list[Predictions]) -> Evaluation:
    """Measure predictions of one model that differ in the level of their intervals alone."""
    said, actual, activity = predictions[0], history.outcome, history.activity
    increment, expected = history.increment, said.expected_increment
    return Evaluation(
        rows=len(history),
        observation_days=history.window.observation_days,
        horizon_days=history.window.horizon_days,
        quality=measure(actual, said.monetary, activity.monetary),
        deciles=tuple(deciles(actual, said.monetary)),
        deciles_increment=tuple(deciles(increment, expected)),
        capture_total=_capture(actual, said.monetary),
        capture_increment=_capture(increment, expected),
        coverage=tuple(coverage(history, one) for one in predictions),
        returning=_returning(history, said.p_return),
        residuals_by_recency=_residuals(activity.recency, actual, said.monetary),
        residuals_by_frequency=_residuals(
            np.minimum(activity.frequency, _MOST_RIDES), actual, said.monetary, open_at=_MOST_RIDES
        ),
        share_in_support=float(said.in_support.mean()),
        misses=_misses(history, said.monetary),
    )


def _capture(actual: Floats, predicted: Floats) -> Capture:
    return Capture(
        gini=normalised_gini(actual, predicted),
        top=captured(actual, predicted, TOP_SHARE),
        ideal_top=captured(actual, actual, TOP_SHARE),
        curve=tuple(capture_curve(actual, predicted)),
        ideal=tuple(capture_curve(actual, actual)),
    )


def _returning(history: History, probability: Floats) -> Returning:
    returned = history.returned
    return Returning(
        share=float(returned.mean()),
        brier=brier(returned, probability),
        brier_base_rate=base_rate_brier(returned),
        auc=auc(returned, probability),
        deciles=tuple(reliability(returned, probability)),
    )


def _residuals(
    groups: Floats, actual: Floats, predicted: Floats, *, open_at: float = np.inf
) -> tuple[ResidualRow, ...]:
    rows = []
    for group in np.unique(groups):
        those = groups == group
        off = actual[those] - predicted[those]
        spread = float(off.std(ddof=1)) if len(off) > 1 else float("nan")
        rows.append(
            ResidualRow(
                group=f"{group:.0f}" + ("+" if group == open_at else ""),
                customers=len(off),
                predicted=float(predicted[those].mean()),
                actual=float(actual[those].mean()),
                difference=float(off.mean()),
                standard_error=spread / float(np.sqrt(len(off))),
            )
        )
    return tuple(rows)


def _misses(history: History, predicted: Floats) -> tuple[Miss, ...]:
    activity = history.activity
    largest = np.argsort(-np.abs(predicted - history.outcome), kind="stable")[:_MISSES]
    return tuple(
        Miss(
            id=str(history.ids[row]),
            recency=float(activity.recency[row]),
            frequency=float(activity.frequency[row]),
            monetary=float(activity.monetary[row]),
            predicted=float(predicted[row]),
            actual=float(history.outcome[row]),
        )
        for row in largest
    )
