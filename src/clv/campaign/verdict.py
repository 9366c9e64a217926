"""The verdict: worth it, not worth it, or not enough evidence; and what it rests on."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from clv.bundle import Manifest, Predictions, Predictor
from clv.campaign.depth import DepthPoint, best_depth, depth_curve
from clv.campaign.holdout import HoldOut, design_holdout
from clv.campaign.map import Quadrant, quadrants
from clv.campaign.mean import MeanIncrement
from clv.campaign.offer import MAX_LIFT, Campaign
from clv.campaign.segment import Segment
from clv.schema import Floats

__all__ = [
    "GAINS",
    "Comparison",
    "Estimate",
    "Evaluation",
    "Share",
    "Verdict",
    "document",
    "evaluate",
    "number_of",
    "with_lift",
]

Verdict = Literal["worth it", "not worth it", "not enough evidence"]

#: Names in a document of the profit with a lift, and of the value less cost without one.
GAINS = ("expected_profit", "profit", "value_less_cost")
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
        'worth it' if the interval of the profit lies above 0, 'not worth it' if it lies below,
        else 'not enough evidence'. Without a lift it compares the value of the passengers with the
        cost, which says nothing about the campaign: see `speaks_of`.
    speaks_of : str
        What the verdict is about. 'value' without a lift: the margin on everything the passengers
        are expected to spend, with or without the campaign. 'effect' with one.
    expected_increment, total_increment : Estimate
        Expected further spend, per passenger and in total; the interval is that of the segment's
        mean, not of one passenger.
    expected_profit : Estimate or None
        Profit of the whole campaign; None without a lift.
    value_less_cost : Estimate or None
        Margin on all further spend, less the cost of the campaign; None with a lift.
    probability_worth_it : float
        Probability that margin times increment (times lift) exceeds the cost.
    break_even_cost, break_even_cost_cautious : float
        Per passenger: at the mean, and at the low end of the interval.
    minimum_lift, minimum_lift_cautious : float or None
        The lift from which the campaign pays, at the mean and at the low end; None if no lift
        does.
    returning : float
        Expected share of the segment that rides again.
    all_customers : Comparison
    enough : int or None
        Passengers of this mix that would settle it, if the evidence is not enough; None if it is,
        or if no number would do.
    depths : tuple of DepthPoint
        The result by the number of passengers chosen, the best first.
    best : DepthPoint
        The depth with the highest expected profit (value less cost); nobody if none is above 0.
    concentration : tuple of Share
    quadrants : tuple of Quadrant
    holdout : HoldOut or None
        None if there is no lift to look for.
    out_of_support : int
        Members unlike the customers that the model was trained on.
    warnings : tuple of str
        What to read before deciding.
    """

    n: int
    verdict: Verdict
    speaks_of: str
    campaign: Campaign
    expected_increment: Estimate
    total_increment: Estimate
    expected_profit: Estimate | None
    value_less_cost: Estimate | None
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

    @property
    def gain(self) -> Estimate:
        """Whichever there is: the expected profit, or the value less cost."""
        gain = self.value_less_cost if self.expected_profit is None else self.expected_profit
        if gain is None:
            raise ValueError("an evaluation has a profit or a value less cost")
        return gain


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
        If there are no passengers.
    """
    segment = Segment(predictions, predictor.calibration)
    passengers = _Passengers(
        returning=float(predictions.p_return.mean()),
        all_customers=_comparison(segment.mean().mean, predictor.manifest),
        concentration=_concentration(segment.expected),
        quadrants=quadrants(predictions, campaign),
        out_of_support=int((~predictions.in_support).sum()),
    )
    return _judged(segment, campaign, passengers)


def with_lift(found: Evaluation, segment: Segment, lift: float | None) -> Evaluation:
    """The same passengers, margin and cost with another lift.

    Much quicker than `evaluate`: nothing is predicted or sorted again.
    """
    passengers = _Passengers(*(getattr(found, name) for name in _Passengers._fields))
    return _judged(segment, dataclasses.replace(found.campaign, lift=lift), passengers)


class _Passengers(NamedTuple):
    """What no lift changes; the fields are those of `Evaluation`."""

    returning: float
    all_customers: Comparison
    concentration: tuple[Share, ...]
    quadrants: tuple[Quadrant, ...]
    out_of_support: int


def _judged(segment: Segment, campaign: Campaign, passengers: _Passengers) -> Evaluation:
    n, mean = len(segment), segment.mean()
    increment = Estimate(mean.mean, *mean.interval(campaign.level), campaign.level)
    verdict = _verdict(increment, campaign.needed)
    gain = increment.times(campaign.worth * n, less=campaign.cost * n)
    least = campaign.least_lift(increment.mean)
    realistic = least if least is not None and least <= MAX_LIFT else None
    looked_for = campaign.detect_lift or campaign.lift or realistic
    best = best_depth(segment, campaign)
    return Evaluation(
        n=n,
        verdict=verdict,
        speaks_of=campaign.speaks_of,
        campaign=campaign,
        expected_increment=increment,
        total_increment=increment.times(n),
        expected_profit=None if campaign.lift is None else gain,
        value_less_cost=gain if campaign.lift is None else None,
        probability_worth_it=mean.exceeds(campaign.needed),
        break_even_cost=campaign.worth * increment.mean,
        break_even_cost_cautious=campaign.worth * increment.low,
        minimum_lift=least,
        minimum_lift_cautious=campaign.least_lift(increment.low),
        returning=passengers.returning,
        all_customers=passengers.all_customers,
        enough=_enough(mean, campaign) if verdict == "not enough evidence" else None,
        depths=depth_curve(segment, campaign, best),
        best=best,
        concentration=passengers.concentration,
        quadrants=passengers.quadrants,
        holdout=design_holdout(mean, looked_for, campaign) if looked_for else None,
        out_of_support=passengers.out_of_support,
        warnings=tuple(_warnings(segment, campaign, best)),
    )


def document(found: Evaluation) -> dict[str, Any]:
    """The evaluation for JSON: with a lift it has a profit, without one a value less cost."""
    data = dataclasses.asdict(found)
    for part in (data, data["best"], *data["depths"]):
        for name in GAINS:
            if name in part and part[name] is None:
                del part[name]
    return data


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


def number_of(passengers: int) -> str:
    """'1 passenger' or '1,234 passengers'."""
    return f"{passengers:,} passenger{'s' if passengers != 1 else ''}"


def _warnings(segment: Segment, campaign: Campaign, best: DepthPoint) -> list[str]:
    found = []
    if campaign.lift is None:
        found.append(
            "Expected further spend is what the passengers are worth, not what the campaign "
            "changes: they spend most of it without any campaign. Enter the lift you expect, or "
            "measure it with a hold-out group."
        )
    else:
        found.append(
            f"The lift of {campaign.lift:.1%} is an assumption, not a prediction: measure it with "
            "a hold-out group."
        )
    rare = int((~segment.predictions.in_support).sum())
    if rare > 0.1 * len(segment):
        found.append(
            f"{rare:,} of {len(segment):,} passengers are unlike the training data; their "
            "predictions are extrapolated."
        )
    if len(segment) < 30:
        found.append(
            f"With {number_of(len(segment))} the result is mostly chance: intervals were tested "
            "with 30 passengers or more."
        )
    if 0 < best.customers < len(segment):
        found.append(
            "Top-ranked passengers usually turn out a little worse than predicted, because some "
            "rank high by luck. The figures are corrected for this; the fewer you choose, the less "
            "certain they are."
        )
    return found
