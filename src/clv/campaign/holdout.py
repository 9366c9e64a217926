"""The lift: how large a hold-out finds it, and what it was once outcomes of both groups are known.

Both rest on the ratio of what came to what was expected, in each group: the prediction takes out
what was known of the passengers before, and with it most of the difference between groups that is
none of the campaign's.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from clv.campaign.mean import MeanIncrement
from clv.campaign.offer import Campaign
from clv.errors import DataError
from clv.schema import Floats

__all__ = ["HoldOut", "Lift", "design_holdout", "estimate_lift"]

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class HoldOut:
    """How to divide a segment at random to find a lift.

    Attributes
    ----------
    lift : float
        To be found with probability `power`, at a two-sided test of level `1 - level`.
    power, level : float
    treated, control : int
        With the smallest control group that finds it; half and half where none does.
    enough : bool
        Whether the segment is large enough.
    needed : int
        Passengers that are needed, half of them in the control group.
    detectable : float or None
        The least lift that half and half would find; None where none.
    """

    lift: float
    power: float
    level: float
    treated: int
    control: int
    enough: bool
    needed: int
    detectable: float | None


@dataclass(frozen=True, slots=True)
class Lift:
    """What a campaign did: share by which it raised the increment, with its interval."""

    lift: float
    low: float
    high: float
    level: float
    treated: int
    control: int


def design_holdout(mean: MeanIncrement, lift: float, campaign: Campaign) -> HoldOut:
    """Divide a segment so that a lift is found.

    With relative noise r of one passenger, the lift's estimate has the variance
    r^2 (1/treated + 1/control) without an effect, and (1 + lift)^2 times that with one.
    """
    customers = mean.customers
    noise = mean.chance * customers / mean.mean**2 if mean.mean > 0 else math.inf
    at_rest, found = _quantiles(campaign)
    # 1/treated + 1/control must not exceed this.
    allowed = (lift / (at_rest + found * (1 + lift))) ** 2 / noise if noise else math.inf
    needed = max(math.ceil(4 / allowed), 2) if allowed > 0 else 0
    control = customers // 2
    if allowed > 0 and customers >= needed:
        root = math.sqrt(max(customers**2 - 4 * customers / allowed, 0.0))
        control = min(max(math.ceil((customers - root) / 2), 1), customers // 2)
    halves = math.sqrt(noise * 4 / customers)
    left = 1 - found * halves
    return HoldOut(
        lift,
        campaign.power,
        campaign.level,
        treated=customers - control,
        control=control,
        enough=allowed > 0 and customers >= needed,
        needed=needed,
        detectable=(at_rest + found) * halves / left if left > 0 else None,
    )


def _quantiles(campaign: Campaign) -> tuple[float, float]:
    """Standard normal quantiles of the test's level and of its power."""
    return _NORMAL.inv_cdf((1 + campaign.level) / 2), _NORMAL.inv_cdf(campaign.power)


def estimate_lift(
    treated: tuple[Floats, Floats], control: tuple[Floats, Floats], *, level: float = 0.9
) -> Lift:
    """What a campaign did, from both groups of a hold-out.

    Parameters
    ----------
    treated, control : pair of arrays of shape (n,)
        Increments that came and those that were expected, in currency units.
    level : float
        Of the interval, which is of the logarithm of the ratio: a lift below -1 cannot be.

    Raises
    ------
    DataError
        Where a group has fewer than two passengers, or nothing came or was expected of one.

    Notes
    -----
    Ratio estimator with its variance by linearisation. Source: Cochran (1977), Sampling
    Techniques, section 6.4.
    """
    (ratio, error), (base, base_error) = (
        _ratio(name, *group) for name, group in (("treated", treated), ("control", control))
    )
    change = math.log(ratio / base)
    half = _NORMAL.inv_cdf((1 + level) / 2) * math.hypot(error, base_error)
    low, middle, high = (math.expm1(value) for value in (change - half, change, change + half))
    return Lift(middle, low, high, level, len(treated[0]), len(control[0]))


def _ratio(name: str, came: Floats, expected: Floats) -> tuple[float, float]:
    """What came over what was expected, and the standard error of its logarithm."""
    if len(came) < 2 or came.sum() <= 0 or expected.sum() <= 0:
        raise DataError(
            f"The {name} group has {len(came)} passengers with {came.sum():,.2f} actual and "
            f"{expected.sum():,.2f} expected further spend: expected two passengers or more and "
            "amounts above 0. Give the whole group with its outcomes."
        )
    ratio = float(came.sum() / expected.sum())
    off = came - ratio * expected
    n = len(came)
    error = math.sqrt(n / (n - 1) * float((off**2).sum())) / float(came.sum())
    return ratio, error if np.isfinite(error) else math.inf
