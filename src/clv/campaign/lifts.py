"""The verdict at every lift of a slider, so that a page can show them without the list."""

import math

from clv.campaign.offer import MAX_LIFT
from clv.campaign.segment import Segment
from clv.campaign.verdict import Evaluation, with_lift

__all__ = ["at_every_lift", "points_of"]

_USUAL = 50  # percent
_STEPS = 20  # beyond


def at_every_lift(found: Evaluation, segment: Segment) -> list[Evaluation]:
    """The evaluation without a lift, then with each lift of the slider, the smallest first.

    The lifts are whole percentages up to 50%, then in larger steps up to what the campaign needs
    to be safe; the lift of `found` is among them.
    """
    return [
        found if lift == found.campaign.lift else with_lift(found, segment, lift)
        for lift in [None, *_lifts(found)]
    ]


def _lifts(found: Evaluation) -> list[float]:
    needed = found.minimum_lift_cautious or found.minimum_lift or 0.0
    given = found.campaign.lift
    most = min(max(1.1 * needed, given or 0.0), MAX_LIFT)
    step = max(math.ceil(round((100 * most - _USUAL) / _STEPS, 6)), 1)
    beyond = math.ceil(round((100 * most - _USUAL) / step, 6))
    percents = [*range(1, _USUAL + 1), *(_USUAL + step * k for k in range(1, beyond + 1))]
    stops = {min(percent / 100, MAX_LIFT) for percent in percents}
    return sorted(stops if given is None else stops | {given})


def points_of(segment: Segment, every: list[Evaluation]) -> list[dict[str, float]]:
    """What a page needs to draw the depths at any lift: no figure here depends on the lift.

    Parameters
    ----------
    segment : Segment
    every : list of Evaluation
        As `at_every_lift` gives them; their best depths are among the points.

    Returns
    -------
    list of dict
        Number of `customers`; mean expected increment per customer (`mean`), its interval (`low`,
        `high`), `deviation` and `skewness`; and `cutoff`, the increment of the last one chosen.
    """
    depths = {point.customers for found in every for point in (*found.depths, found.best)}
    points = []
    for customers in sorted(depths - {0}):
        mean = segment.mean(customers)
        low, high = mean.interval(every[0].campaign.level)
        point = {
            "mean": mean.mean,
            "low": low,
            "high": high,
            "deviation": mean.deviation,
            "skewness": mean.skewness,
            "cutoff": float(segment.expected[customers - 1]),
        }
        points.append({"customers": customers} | {k: round(v, 6) for k, v in point.items()})
    return points
