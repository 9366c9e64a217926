"""How deep to go: the result of a campaign for only the best passengers, by their number."""

from dataclasses import dataclass

import numpy as np

from clv.campaign.offer import Campaign
from clv.campaign.segment import Segment

__all__ = ["DepthPoint", "best_depth", "depth_curve"]

_POINTS = 100


@dataclass(frozen=True, slots=True)
class DepthPoint:
    """The campaign for the best `customers` members only.

    Attributes
    ----------
    customers : int
    share : float
        Share of the segment.
    cutoff : float
        Expected increment of the last member chosen, in currency units.
    expected_increment : float
        Mean per member chosen, in currency units.
    profit : float or None
        Expected profit; None without a lift.
    value_less_cost : float or None
        Margin times expected increment, less the cost; None with a lift.
    low, high : float
        Interval of the profit, or of the value less cost, at the campaign's level.
    minimum_lift, minimum_lift_cautious : float or None
        The lift from which the campaign pays, at the mean and at the low end of the interval.
    probability_worth_it : float
    """

    customers: int
    share: float
    cutoff: float
    expected_increment: float
    profit: float | None
    value_less_cost: float | None
    low: float
    high: float
    minimum_lift: float | None
    minimum_lift_cautious: float | None
    probability_worth_it: float

    @property
    def gain(self) -> float:
        """Whichever there is: the profit, or the value less cost."""
        return self.profit if self.profit is not None else self.value_less_cost or 0.0


def best_depth(segment: Segment, campaign: Campaign) -> DepthPoint:
    """The depth with the highest expected profit (value less cost); nobody if none is above 0."""
    depths = segment.depths_above(campaign.needed)
    gain = campaign.worth * segment.totals()[depths] - campaign.cost * depths
    return depth_point(segment, campaign, int(depths[np.argmax(gain)]))


def depth_curve(segment: Segment, campaign: Campaign, best: DepthPoint) -> tuple[DepthPoint, ...]:
    """About a hundred depths from the best member to all, `best` among them."""
    evenly = np.linspace(0, len(segment), min(_POINTS, len(segment)) + 1).round().astype(int)
    depths = np.union1d(evenly, [best.customers])
    return tuple(depth_point(segment, campaign, int(depth)) for depth in depths)


def depth_point(segment: Segment, campaign: Campaign, customers: int) -> DepthPoint:
    """The campaign for the best `customers` members."""
    has_lift = campaign.lift is not None
    if not customers:
        return DepthPoint(
            customers=0,
            share=0.0,
            cutoff=float(segment.expected[0]),
            expected_increment=0.0,
            profit=0.0 if has_lift else None,
            value_less_cost=None if has_lift else 0.0,
            low=0.0,
            high=0.0,
            minimum_lift=None,
            minimum_lift_cautious=None,
            probability_worth_it=0.0,
        )
    mean = segment.mean(customers)
    low, high = mean.interval(campaign.level)
    earned, spent = campaign.worth * customers, campaign.cost * customers
    gain = earned * mean.mean - spent
    return DepthPoint(
        customers=customers,
        share=customers / len(segment),
        cutoff=float(segment.expected[customers - 1]),
        expected_increment=mean.mean,
        profit=gain if has_lift else None,
        value_less_cost=None if has_lift else gain,
        low=earned * low - spent,
        high=earned * high - spent,
        minimum_lift=campaign.least_lift(mean.mean),
        minimum_lift_cautious=campaign.least_lift(low),
        probability_worth_it=mean.exceeds(campaign.needed),
    )
