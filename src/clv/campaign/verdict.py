"""The verdict: worth it, not worth it, or not enough evidence; and what it rests on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from clv.bundle import Manifest, Predictions, Predictor
from clv.campaign.depth import DepthPoint, best_depth, depth_curve
from clv.campaign.holdout import HoldOut, design_holdout
from clv.campaign.map import Quadrant, quadrants
from clv.campaign.mean import MeanIncrement
from clv.campaign.offer import Campaign
from clv.campaign.segment import Segment
from clv.schema import Floats

__all__ = [
    "Comparison",
    "Estimate",
    "Evaluation",
    "Share",
    "Verdict",
    "evaluate",
    "probability_in_words",
]

Verdict = Literal["worth it", "not worth it", "not enough evidence"]

_MOST = 10**9  # passengers that would be enough; more than there are customers


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean or a total with the interval that holds it at `level`."""

    mean: float
    low: float
    high: float
    level: float

    def times(self, factor: float, less: float = 0.0) -> "Estimate":
        """Each bound times `factor`, less a constant."""
        return Estimate(
            self.mean * factor - less,
            self.low * factor - less,
            self.high * factor - less,
            self.level,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """The segment beside all passengers that the model learnt from.

    Attributes
    ----------
    expected_increment, returning : float
        Mean increment a head, in currency units, and share who returned, of all passengers.
    times : float or None
        The segment's mean increment over theirs; None where theirs is nothing.
    """

    expected_increment: float
    returning: float
    times: float | None


@dataclass(frozen=True, slots=True)
class Share:
    """The `customers` share of the segment that comes first carries this share of the `value`."""

    customers: float
    value: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known of a segment and a campaign before anybody pays. Money in currency units.

    Attributes
    ----------
    n : int
    verdict : str
        'worth it' where the interval of the profit lies above 0, 'not worth it' where it lies
        below, else 'not enough evidence'.
    speaks_of : str
        'value' where no lift is assumed: then all that the passengers will spend counts, whether or
        not the campaign brings it about. 'effect' where one is.
    expected_increment, total_increment : Estimate
        Spend still to come, a head and of all; the interval is of the segment's mean, not of one
        passenger.
    expected_profit : Estimate
        Of the whole campaign.
    probability_worth_it : float
        That margin times increment (times lift) exceeds the cost.
    break_even_cost, break_even_cost_cautious : float
        A head: at the mean, and at the low end of the interval.
    minimum_lift, minimum_lift_cautious : float or None
        The lift from which the campaign pays, at the mean and at the low end; None where no lift
        does.
    returning : float
        Expected share of the segment that rides again.
    all_customers : Comparison
    enough : int or None
        Passengers of this mix that would settle it, where the evidence is not enough; None where it
        is, or where no number would do.
    depths : tuple of DepthPoint
        Profit by how many of the best are chosen.
    best : DepthPoint
        The depth with the highest expected profit; of nobody where none is above 0.
    concentration : tuple of Share
    quadrants : tuple of Quadrant
    holdout : HoldOut or None
        None where there is no lift to look for.
    out_of_support : int
        Members like whom too few were learnt from.
    warnings : tuple of str
        What somebody who decides should have read.
    """

    n: int
    verdict: Verdict
    speaks_of: str
    campaign: Campaign
    expected_increment: Estimate
    total_increment: Estimate
    expected_profit: Estimate
    probability_worth_it: float
    break_even_cost: float
    break_even_cost_cautious: float
    minimum_lift: float | None
    minimum_lift_cautious: float | None
    returning: float
    all_customers: Comparison
    enough: int | None
    depths: tuple[DepthPoint, ...]
    best: DepthPoint
    concentration: tuple[Share, ...]
    quadrants: tuple[Quadrant, ...]
    holdout: HoldOut | None
    out_of_support: int
    warnings: tuple[str, ...]


def evaluate(predictions: Predictions, predictor: Predictor, campaign: Campaign) -> Evaluation:
    """Judge a campaign for passengers by what is predicted of them.

    Parameters
    ----------
    predictions : Predictions
        By `predictor`, of the segment's members.
    predictor : Predictor
    campaign : Campaign

    Raises
    ------
    DataError
        Where there are no passengers.
    """
    segment = Segment(predictions, predictor.calibration)
    n, mean = len(segment), segment.mean()
    increment = Estimate(mean.mean, *mean.interval(campaign.level), campaign.level)
    verdict = _verdict(increment, campaign.needed)
    least = campaign.least_lift(increment.mean)
    looked_for = campaign.detect_lift or campaign.lift or least
    best = best_depth(segment, campaign)
    return Evaluation(
        n=n,
        verdict=verdict,
        speaks_of=campaign.speaks_of,
        campaign=campaign,
        expected_increment=increment,
        total_increment=increment.times(n),
        expected_profit=increment.times(campaign.worth * n, less=campaign.cost * n),
        probability_worth_it=mean.exceeds(campaign.needed),
        break_even_cost=campaign.worth * increment.mean,
        break_even_cost_cautious=campaign.worth * increment.low,
        minimum_lift=least,
        minimum_lift_cautious=campaign.least_lift(increment.low),
        returning=float(predictions.p_return.mean()),
        all_customers=_comparison(increment.mean, predictor.manifest),
        enough=_enough(mean, campaign) if verdict == "not enough evidence" else None,
        depths=depth_curve(segment, campaign, best),
        best=best,
        concentration=_concentration(segment.expected),
        quadrants=quadrants(predictions, campaign),
        holdout=design_holdout(mean, looked_for, campaign) if looked_for else None,
        out_of_support=int((~predictions.in_support).sum()),
        warnings=tuple(_warnings(segment, campaign, best)),
    )


def probability_in_words(value: float) -> str:
    """A probability in percent, which is never all or nothing."""
    if value > 0.9995:
        return "over 99.9%"
    return "under 0.1%" if value < 0.0005 else f"{value:.1%}"


def _verdict(increment: Estimate, needed: float) -> Verdict:
    if increment.low >= needed:
        return "worth it"
    return "not worth it" if increment.high < needed else "not enough evidence"


def _enough(mean: MeanIncrement, campaign: Campaign) -> int | None:
    """The fewest passengers of this mix whose interval lies on one side of what is needed."""

    def settled(customers: int) -> bool:
        low, high = mean.of_as_many(customers).interval(campaign.level)
        return low >= campaign.needed or high < campaign.needed

    if not settled(_MOST):
        return None
    few, many = mean.customers, _MOST
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if settled(middle) else (middle, many)
    return many


def _comparison(increment: float, manifest: Manifest) -> Comparison:
    data = manifest.data
    of_all = data.mean_outcome - data.mean_observed
    return Comparison(of_all, data.share_returning, increment / of_all if of_all > 0 else None)


def _concentration(expected: Floats) -> tuple[Share, ...]:
    """Shares of the value that the first tenths carry; of nothing, nothing is carried."""
    value = np.concatenate(([0.0], np.cumsum(np.maximum(expected, 0.0))))
    total = value[-1] or 1.0
    return tuple(
        Share(tenth / 10, float(value[round(tenth / 10 * len(expected))] / total))
        for tenth in range(1, 11)
    )


def _warnings(segment: Segment, campaign: Campaign, best: DepthPoint) -> list[str]:
    found = []
    if campaign.lift is None:
        found.append(
            "This speaks of what the passengers are worth, not of what the campaign changes: they "
            "spend much of it without any campaign. Assume a lift, or measure it with the hold-out."
        )
    else:
        found.append(
            f"The lift of {campaign.lift:.1%} is assumed, not predicted: measure it with the "
            "hold-out."
        )
    rare = int((~segment.predictions.in_support).sum())
    if rare > 0.1 * len(segment):
        found.append(
            f"{rare:,} of {len(segment):,} passengers are unlike those that the model learnt from; "
            "what is said of them is extrapolated."
        )
    if len(segment) < 30:
        found.append(
            f"Of {len(segment)} passengers the mean is mostly chance: intervals were tested from "
            "30 upwards."
        )
    if 0 < best.customers < len(segment):
        found.append(
            "The best shrink: who is ranked first is there in part by a prediction that is too "
            "high by chance. The mean is corrected by what such passengers really brought, and "
            "the fewer are chosen, the less sure it is."
        )
    return found
