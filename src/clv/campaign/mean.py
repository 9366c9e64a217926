"""What the mean increment of a group may come to, before anybody knows."""

import math
from dataclasses import dataclass
from statistics import NormalDist

__all__ = ["MeanIncrement"]

_NORMAL = NormalDist()
# Below this skewness the gamma distribution is a normal one to six digits.
_SYMMETRIC = 1e-4


@dataclass(frozen=True, slots=True)
class MeanIncrement:
    r"""The mean increment of `customers` passengers as a random variable.

    The sum of many skewed increments is nearly, but not yet, normal: its skewness decides how often
    a group of thirty comes to more than twice what was expected. So it is taken as a shifted gamma
    variable of the same mean, variance and skewness, by the cube-root transform: with shape
    :math:`a = 4 / \gamma^2`, :math:`(1 + \gamma x / 2)^{1/3}` is nearly normal with mean
    :math:`1 - 1/(9a)` and variance :math:`1/(9a)`.

    Sources: Bowers et al. (1997), Actuarial Mathematics, section 12.5 (translated gamma
    approximation of aggregate claims); Wilson, Hilferty (1931), PNAS 17(12).

    Attributes
    ----------
    customers : int
    mean : float
        A head, in currency units.
    chance : float
        Variance of the mean by the chance of each customer, currency units squared.
    doubt : float
        Variance of the mean because the calibration is of finitely many customers; more customers
        in the group do not lessen it.
    third : float
        Third central moment of the mean, currency units cubed.
    """

    customers: int
    mean: float
    chance: float
    doubt: float
    third: float

    @property
    def deviation(self) -> float:
        """Standard deviation, in currency units."""
        return math.sqrt(self.chance + self.doubt)

    @property
    def skewness(self) -> float:
        """Third standardised moment; 0 is symmetric."""
        spread = self.deviation
        return self.third / spread**3 if spread else 0.0

    def interval(self, level: float) -> tuple[float, float]:
        """Bounds that hold the group's mean with probability `level`, equal tails; never below 0.

        Refunds could make it negative; of a group that is no more than a thought.
        """
        tail = (1 - level) / 2
        return max(self.quantile(tail), 0.0), max(self.quantile(1 - tail), 0.0)

    def quantile(self, probability: float) -> float:
        """The value that the mean stays below with this probability, in currency units."""
        return self.mean + self.deviation * self._stretched(_NORMAL.inv_cdf(probability))

    def exceeds(self, value: float) -> float:
        """Probability that the mean is above `value`."""
        spread = self.deviation
        if not spread or not math.isfinite(value):
            return float(self.mean > value)
        return 1.0 - _NORMAL.cdf(self._straightened((value - self.mean) / spread))

    def of_as_many(self, customers: int) -> "MeanIncrement":
        """The same mix of customers in another number."""
        share = self.customers / customers
        return MeanIncrement(
            customers, self.mean, self.chance * share, self.doubt, self.third * share**2
        )

    def _stretched(self, normal: float) -> float:
        """From a standard normal value to one of this shape, in standard deviations."""
        skew = self.skewness
        if abs(skew) < _SYMMETRIC:
            return normal
        root = 1 - skew**2 / 36 + normal * skew / 6
        return 2 / skew * (max(root, 0.0) ** 3 - 1)

    def _straightened(self, shaped: float) -> float:
        """The other way."""
        skew = self.skewness
        if abs(skew) < _SYMMETRIC:
            return shaped
        root = math.cbrt(max(1 + skew * shaped / 2, 0.0))
        return (root - 1 + skew**2 / 36) * 6 / skew
