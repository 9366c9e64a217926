"""How deep to go: profit by how many of the best passengers are chosen."""

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
        Of the segment.
    cutoff : float
        Expected increment of the last who is chosen, in currency units.
    expected_increment : float
        A head of those chosen.
    profit, low, high : float
        Expected profit, and the interval that holds it at the campaign's level.
    probability_worth_it : float
    """

    customers: int
    share: float
    cutoff: float
    expected_increment: float
    profit: float
    low: float
    high: float
    probability_worth_it: float


def best_depth(segment: Segment, campaign: Campaign) -> DepthPoint:
    """The depth with the highest expected profit; nobody where none is above 0."""
    customers = np.arange(len(segment) + 1)
    profit = campaign.worth * segment.totals() - campaign.cost * customers
    return depth_point(segment, campaign, int(np.argmax(profit)))


def depth_curve(segment: Segment, campaign: Campaign, best: DepthPoint) -> tuple[DepthPoint, ...]:
    """About a hundred depths from the best member to all, `best` among them."""
    evenly = np.linspace(0, len(segment), min(_POINTS, len(segment)) + 1).round().astype(int)
    depths = np.union1d(evenly, [best.customers])
    return tuple(depth_point(segment, campaign, int(depth)) for depth in depths)


def depth_point(segment: Segment, campaign: Campaign, customers: int) -> DepthPoint:
    """The campaign for the best `customers` members."""
    if not customers:
        return DepthPoint(0, 0.0, float(segment.expected[0]), 0.0, 0.0, 0.0, 0.0, 0.0)
    mean = segment.mean(customers)
    low, high = mean.interval(campaign.level)
    earned, spent = campaign.worth * customers, campaign.cost * customers
    return DepthPoint(
        customers,
        customers / len(segment),
        float(segment.expected[customers - 1]),
        mean.mean,
        earned * mean.mean - spent,
        earned * low - spent,
        earned * high - spent,
        mean.exceeds(campaign.needed),
    )
