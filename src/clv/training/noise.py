r"""How much of the champion's error no model of these three features could remove.

Customers who did the same in the observation window still differ by the horizon. Take pairs of
customers with the same recency and frequency and neighbouring monetary, and their residuals
:math:`e_1, e_2` by one model that saw neither. Chance makes these differ; what a model gets wrong
about such customers they share. So

.. math::

    \mathbb{E}\,\tfrac12 (e_1 - e_2)^2 \approx \sigma^2, \qquad
    \mathbb{E}\, e_1 e_2 \approx \mathbb{E}\,(m - \hat m)^2,

the noise floor and the champion's avoidable error, which add up to its mean squared error.
Residuals in place of outcomes take away what neighbours differ in on average. One model for both:
a model that learnt from one would lean towards it, and the other's residual away from it.

Source: Devroye, Györfi, Lugosi, Walk (2018), A nearest neighbor estimate of the residual variance,
Electronic Journal of Statistics 12(1), for the least error that anything can reach and its estimate
from nearest neighbours; Rice (1984), Bandwidth choice for nonparametric regression, Annals of
Statistics 12(4), for first differences; here of pairs that share no customer, so that pairs are
independent and can be resampled.
"""

from dataclasses import dataclass

import numpy as np

from clv.metrics import paired_bootstrap
from clv.schema import FREQUENCY, MONETARY, RECENCY, Floats, Ints

__all__ = ["NoiseFloor", "noise_floor"]


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """All in squared currency units; `low` and `high` bound their estimate at 95%.

    Attributes
    ----------
    pairs : int
        Pairs of like customers that it rests on.
    mse, low, high : float
        The floor: what is left to chance.
    champion_mse : float
        Of the same customers.
    avoidable, avoidable_low, avoidable_high : float
        Champion's less the floor. The estimate can be below 0, as any difference of two.
    """

    pairs: int
    mse: float
    low: float
    high: float
    champion_mse: float
    avoidable: float
    avoidable_low: float
    avoidable_high: float


def noise_floor(X: Floats, y: Floats, out_of_fold: Floats, fold: Ints, *, seed: int) -> NoiseFloor:
    """Estimate the noise floor and how far a model is from it.

    Parameters
    ----------
    X : array of shape (n, 3)
    y : array of shape (n,)
        Outcomes.
    out_of_fold : array of shape (n,)
        Predictions of `y` by models that did not see the row.
    fold : array of shape (n,)
        Which of those models it was.
    seed : int
        Decides which of several equal customers make a pair.
    """
    residuals = y - out_of_fold
    first, second = residuals[_pairs(X, fold, seed)].T
    chance, shared = (first - second) ** 2 / 2, first * second
    nothing = np.zeros(len(first))
    floor = paired_bootstrap(chance, nothing, seed=seed)
    avoidable = paired_bootstrap(shared, nothing, seed=seed)
    return NoiseFloor(
        pairs=len(first),
        mse=floor.mean,
        low=floor.low,
        high=floor.high,
        champion_mse=floor.mean + avoidable.mean,
        avoidable=avoidable.mean,
        avoidable_low=avoidable.low,
        avoidable_high=avoidable.high,
    )


def _pairs(X: Floats, fold: Ints, seed: int) -> Ints:
    """Rows of like customers, each in at most one pair, shape (pairs, 2).

    Who finds nobody of the same frequency (the few who ride most, and cost most of the error) is
    paired with the nearest frequency of the same recency. From the top down, so that whoever is
    left over in the end spent little: from the bottom up 18 of 46,656 real passengers stayed
    without a partner, and with them 44 of 1,710 of the champion's squared error.
    """
    chance = np.random.default_rng(seed).random(len(X))
    order = np.lexsort((chance, X[:, MONETARY], X[:, FREQUENCY], X[:, RECENCY], fold))[::-1]
    same = np.column_stack((fold.astype(np.float64), X[:, RECENCY], X[:, FREQUENCY]))
    pairs, alone = _neighbours(order, same)
    others, _ = _neighbours(alone, same[:, :2])
    return np.concatenate((pairs, others))


def _neighbours(order: Ints, group: Floats) -> tuple[Ints, Ints]:
    """Pair rows that follow each other in `order` and are of one group; also those left alone."""
    sorted_groups = group[order]
    starts = np.flatnonzero(np.r_[True, (sorted_groups[1:] != sorted_groups[:-1]).any(axis=1)])
    sizes = np.diff(np.r_[starts, len(order)])
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    has_next = place + 1 < np.repeat(sizes, sizes)
    begins = np.flatnonzero((place % 2 == 0) & has_next)
    alone = order[(place % 2 == 0) & ~has_next]
    return np.column_stack((order[begins], order[begins + 1])), alone
