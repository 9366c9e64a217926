r"""A test that may be looked at as often as one likes: whether something has begun to drift off.

Each week brings a sum :math:`D` of what should be 0 in the mean, and its variance :math:`V`. For a
change that began with week :math:`k`, the likelihood of a drift :math:`\lambda > 0`, averaged over
half a normal distribution of scale :math:`\rho`,

.. math:: E_k = \int \frac{2}{\sqrt{2\pi}\rho} e^{-\lambda^2 / 2\rho^2}
   e^{\lambda S_k - \lambda^2 V_k / 2} d\lambda
   = \frac{2}{\sqrt{1 + \rho^2 V_k}} e^{z^2 / 2} \Phi(z),
   \quad z = \frac{\rho S_k}{\sqrt{1 + \rho^2 V_k}}

is, where nothing drifts upwards, a supermartingale that begins at 1; :math:`S_k` and :math:`V_k`
are the sums since then, and :math:`\rho^2` is 1 over the variance of the first of those weeks.
Since nobody knows when a change begins, every week gets the same part of a year's stake,

.. math:: E = \frac{1}{52} \sum_k E_k,

so that by Ville's inequality :math:`P(\sup E \ge 1 / \alpha) \le \alpha` for all weeks of a year
together, however often and whenever one looks; and what was staked in a year is :math:`\alpha`
however many models served in it.

Source: Howard, Ramdas, McAuliffe, Sekhon (2021), Annals of Statistics 49(2), proposition 6 (the
one-sided normal mixture); starting anew at each step as in Shin, Ramdas, Rinaldo (2024), New
England J. of Statistics in Data Science 2(2). Sums of hundreds of customers are taken for normal:
Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), Annals of Statistics 52(6). How well that holds
for spend is simulated (docs/decisions/0015-promise-against-reality.md).
"""

import math

import numpy as np

from clv.schema import Floats

__all__ = ["WEEKS_A_YEAR", "evidence", "likeliest_start"]

WEEKS_A_YEAR = 52
# exp() of more overflows, and is proof enough.
_MOST = 600.0
# Beyond this the asymptotic series of Mills' ratio is right to seven digits.
_FAR = -15.0


def evidence(off: Floats, variance: Floats) -> Floats:
    """Evidence after each week that the mean is above 0 since some week, shape (n,).

    Where it is not, it reaches 1 / alpha in a year with probability of at most alpha.

    Parameters
    ----------
    off : array of shape (n,)
        Sum of each week, oldest first, in any unit.
    variance : array of shape (n,)
        Of each sum, above 0, in that unit squared.
    """
    return np.array(
        [_since_each(off[:end], variance[:end]).sum() for end in range(1, len(off) + 1)]
    )


def likeliest_start(off: Floats, variance: Floats) -> int:
    """The week since which the evidence is strongest."""
    return int(np.argmax(_since_each(off, variance)))


def _since_each(off: Floats, variance: Floats) -> Floats:
    """Evidence of a drift since each week, each a 52nd of what was staked in a year."""
    since_off = np.cumsum(off[::-1])[::-1]
    since_variance = np.cumsum(variance[::-1])[::-1]
    spread = 1 + since_variance / variance
    z = since_off / np.sqrt(variance * spread)
    logs = math.log(2) - np.log(spread) / 2 + np.array([_log_weight(value) for value in z])
    return np.asarray(np.exp(np.minimum(logs, _MOST)) / WEEKS_A_YEAR)


def _log_weight(z: float) -> float:
    r"""Logarithm of :math:`e^{z^2 / 2} \Phi(z)`."""
    if z < _FAR:  # there the one factor overflows and the other is 0; their product is neither
        return math.log1p(-1 / z**2 + 3 / z**4) - math.log(-z) - math.log(2 * math.pi) / 2
    return z**2 / 2 + math.log(0.5 * math.erfc(-z / math.sqrt(2)))
