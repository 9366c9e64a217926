"""How good promises turned out to be, by groups of passengers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import numpy as np
from pydantic import WithJsonSchema

from clv.metrics import DecileRow, PairedDifference, grouped_deciles, grouped_gini
from clv.monitoring.sums import Sums

__all__ = ["BinQuality", "CohortQuality", "LiveQuality", "Shadow", "of_bins", "of_cohorts",
           "of_shadow", "quality_of"]  # fmt: skip

#: A number, NaN where there is nothing to compute it from: in JSON that is null.
Figure = Annotated[float, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})]

_95 = 1.96


@dataclass(frozen=True, slots=True)
class LiveQuality:
    """Promises against what came, of those whose outcome is known. NaN where there are none.

    Attributes
    ----------
    promised : int
        Passengers with a promise.
    judged : int
        Passengers whose outcome is known as well.
    label_coverage : float
        Of the passengers in cohorts whose horizon has passed, those whose outcome is known.
    predicted, actual : float
        Mean spend by the horizon, currency units.
    bias : float
        All that was predicted over all that came, less 1: above 0 too much was promised.
    bias_low, bias_high : float
        Its 95% interval, for one look.
    mse, mae : float
    gini : float
        Of the order on the increment, normalised; NaN in shadow.
    covered, level : float
        Share of outcomes in their interval, and what was promised.
    returned, p_return : float
        Share who rode again, and what was promised.
    brier, brier_base_rate : float
        Of `p_return`; and of giving everybody the share that returned.
    """

    promised: int
    judged: int
    label_coverage: Figure
    predicted: Figure
    actual: Figure
    bias: Figure
    bias_low: Figure
    bias_high: Figure
    mse: Figure
    mae: Figure
    gini: Figure
    covered: Figure
    level: Figure
    returned: Figure
    p_return: Figure
    brier: Figure
    brier_base_rate: Figure


@dataclass(frozen=True, slots=True)
class CohortQuality:
    """Passengers predicted in one week, by its Monday; mature once every horizon has passed."""

    cohort: date
    is_mature: bool
    quality: LiveQuality


@dataclass(frozen=True, slots=True)
class BinQuality:
    """Passengers of one score bin: mean increments, currency units, and the rest as elsewhere."""

    score_bin: int
    predicted_increment: Figure
    actual_increment: Figure
    quality: LiveQuality


@dataclass(frozen=True, slots=True)
class Shadow:
    """A challenger beside the version that answered, on the same passengers.

    Attributes
    ----------
    challenger, champion : str
        Versions.
    quality : LiveQuality
        Of the challenger.
    to_champion : PairedDifference or None
        Its squared error less that of the answers; below 0 it was better. None with fewer than two
        passengers.
    """

    challenger: str
    champion: str
    quality: LiveQuality
    to_champion: PairedDifference | None


def quality_of(sums: Sums, ideal: Sums, today: date) -> LiveQuality:
    """Measure a group.

    Parameters
    ----------
    sums : Sums
        Of one version's promises.
    ideal : Sums
        The same passengers by what came; none in shadow.
    today : date
    """
    judged, mature = sums.judged(), sums.mature(today)
    n = judged.customers

    def mean(name: str) -> float:
        return judged.total(name) / n if n else float("nan")

    predicted, actual = mean("predicted"), mean("actual")
    mse, returned = mean("squared_error"), mean("returned")
    off = np.sqrt(max(mse - (predicted - actual) ** 2, 0.0) / n) if n else float("nan")
    bias, half = (
        (predicted / actual - 1, _95 * off / actual) if n and actual > 0 else (float("nan"),) * 2
    )
    return LiveQuality(
        promised=sums.customers,
        judged=n,
        label_coverage=_share(mature.judged().customers, mature.customers),
        predicted=predicted,
        actual=actual,
        bias=float(bias),
        bias_low=float(bias - half),
        bias_high=float(bias + half),
        mse=mse,
        mae=mean("absolute_error"),
        gini=_gini(judged, ideal),
        covered=mean("covered"),
        level=mean("level"),
        returned=returned,
        p_return=mean("p_return"),
        brier=mean("squared_p_error"),
        brier_base_rate=returned * (1 - returned),
    )


def of_cohorts(sums: Sums, ideal: Sums, today: date) -> tuple[CohortQuality, ...]:
    """Measure each week of predictions, oldest first."""
    mature = set(sums.mature(today)["cohort"].tolist())
    return tuple(
        CohortQuality(
            date.fromisoformat(cohort),
            cohort in mature,
            quality_of(of_one, ideal.where(ideal["cohort"] == cohort), today),
        )
        for cohort, of_one in sums.by("cohort")
    )


def of_bins(sums: Sums, today: date) -> tuple[BinQuality, ...]:
    """Measure each score bin; order within one is not."""
    none = sums.where(np.zeros(len(sums), dtype=bool))
    return tuple(
        BinQuality(
            int(number),
            _share(of_one.judged().total("increment"), of_one.judged().customers),
            _share(of_one.judged().total("actual_increment"), of_one.judged().customers),
            quality_of(of_one, none, today),
        )
        for number, of_one in sums.by("score_bin")
    )


def of_deciles(sums: Sums) -> tuple[DecileRow, ...]:
    """Mean increment promised against what came, by tenth of the judged passengers."""
    bands = [of_one for _, of_one in sums.judged().by("band")]
    return tuple(grouped_deciles(*_arrays(bands)))


def of_shadow(sums: Sums, today: date) -> tuple[Shadow, ...]:
    """Compare each challenger with the version beside which it predicted."""
    none = sums.where(np.zeros(len(sums), dtype=bool))
    found = []
    for challenger, of_one in sums.in_shadow().by("model_version"):
        for champion, beside in of_one.by("beside"):
            quality = quality_of(beside, none, today)
            found.append(Shadow(challenger, champion, quality, _paired(beside.judged())))
    return tuple(found)


def _paired(judged: Sums) -> PairedDifference | None:
    n = judged.customers
    if n < 2:
        return None
    mean = judged.total("difference") / n
    variance = max(judged.total("squared_difference") / n - mean**2, 0.0) * n / (n - 1)
    error = float(np.sqrt(variance / n))
    return PairedDifference(mean, error, mean - _95 * error, mean + _95 * error, n)


def _gini(judged: Sums, ideal: Sums) -> float:
    best = [of_one for _, of_one in ideal.by("band")]
    if not best or not judged.customers:
        return float("nan")
    customers, _, actual = _arrays(best)
    perfect = grouped_gini(customers, actual, actual)
    found = grouped_gini(*_arrays([of_one for _, of_one in judged.by("band")]))
    return found / perfect if perfect else float("nan")


def _arrays(groups: Sequence[Sums]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customers, expected and actual increments of groups that hold anybody."""
    held = [group for group in groups if group.customers]
    return (
        np.array([group.customers for group in held]),
        np.array([group.total("increment") for group in held]),
        np.array([group.total("actual_increment") for group in held]),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
