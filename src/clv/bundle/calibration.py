r"""Intervals that hold their level in each score bin: Mondrian conformal prediction.

A customer with expected increment :math:`\hat g` has the scale :math:`s = \max(\hat g, s_0)`, and
the ratio of the increment that came to it, :math:`\rho = g / s`, is what is calibrated: out of
fold, and in each bin of :math:`\hat g` apart. An interval for a new customer is then
:math:`[m + \rho_{lo} s, m + \rho_{hi} s]` with the bounds of the customer's bin. Because "rides no
more" is :math:`\rho = 0` for everybody, the interval that holds the level in the least width begins
there wherever enough customers never return.

Scaled residuals would give the same intervals: with :math:`(g - \hat g) / s` and `s` as difficulty
the bounds only move by :math:`\hat g / s`.

Source: Vovk, Gammerman, Shafer (2005), Algorithmic Learning in a Random World, section 4.5
(Mondrian predictors); the ratio is their normalised nonconformity with the score as difficulty.
"""

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from clv.bundle.part import Part
from clv.metrics import to_micros
from clv.schema import Floats

__all__ = [
    "SKEW_POWER",
    "VARIANCE_POWER",
    "Calibration",
    "ScoreBin",
]

_BINS = 10
# Fewer customers than this in a bin bound no interval of level 0.9 from both sides with confidence.
_MIN_ROWS = 50
# Ratios that are kept of a bin: they settle a level to a five-hundredth.
_KEPT = 500
# Scores nearer than this share of themselves are one score: sums of trees differ in last digits.
_APART = 1e-5
# An increment of a billion over a cent, and more: sums of it stay finite.
_LARGEST_RATIO = 1e12
# The least scale, as a share of the mean expected increment.
_FLOOR = 0.01

#: Within a bin the variance of the increment grows with this power of its scale, and the third
#: central moment with the other: a random number of rides of random fares, which is a compound
#: Poisson-gamma variable. Source: Jorgensen (1987), J. R. Stat. Soc. B 49(2): Tweedie's family,
#: variance mu^p and third cumulant mu^(2p-1) for 1 < p < 2. See docs/decisions/0011.
VARIANCE_POWER = 1.5
SKEW_POWER = 2 * VARIANCE_POWER - 1


class ScoreBin(Part):
    """Customers of the calibration whose expected increment fell into one range.

    Attributes
    ----------
    rows : int
    returning : float
        Share of them who spent anything later.
    bias : float
        Mean of actual less expected increment, currency units.
    variance : float
        Of the same, currency units squared.
    dispersion, asymmetry : float
        Second and third central moment of the same for a customer of scale `s`, over
        `s ** VARIANCE_POWER` and `s ** SKEW_POWER`.
    ratios : tuple of float
        Increment over scale, lowest first: all of them, or evenly spaced quantiles.
    """

    rows: int = Field(ge=1)
    returning: float = Field(ge=0, le=1)
    bias: float
    variance: float = Field(ge=0)
    dispersion: float = Field(ge=0)
    asymmetry: float
    ratios: tuple[float, ...]


class Calibration(Part):
    """What was learnt out of fold about how far customers fall from what was expected of them.

    Attributes
    ----------
    edges : tuple of float
        Bin k (from 0) holds expected increments from `edges[k-1]` to below `edges[k]`; the outer
        bins are open.
    floor : float
        :math:`s_0`, the least scale, in currency units.
    bins : tuple of ScoreBin
        One more than there are edges.
    """

    edges: tuple[float, ...]
    floor: float
    bins: tuple[ScoreBin, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.bins) != len(self.edges) + 1:
            raise ValueError(f"{len(self.bins)} bins and {len(self.edges)} edges do not match")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must increase")
        if self.floor <= 0 or not all(part.ratios for part in self.bins):
            raise ValueError("a floor above 0 and ratios in every bin are needed")
        for number, part in enumerate(self.bins):
            if list(part.ratios) != sorted(part.ratios):
                raise ValueError(f"ratios of bin {number} must not decrease")
            if max(map(abs, part.ratios)) > _LARGEST_RATIO:
                raise ValueError(f"ratios of bin {number} must lie within {_LARGEST_RATIO:g}")
        return self

    @classmethod
    def of(cls, expected: Floats, increment: Floats, scores: Floats) -> Self:
        """Calibrate on customers whose outcome is known.

        Parameters
        ----------
        expected : array of shape (n,)
            Expected increment by a model that did not see the customer, never negative.
        increment : array of shape (n,)
            What came, refunds negative.
        scores : array of any length
            Expected increments by the model that will be served, which the bins are to hold in
            equal parts.
        """
        # 12.10 - 12.10 may be 1e-15 in a database's sums; "nothing came" must be exactly 0.
        increment = to_micros(increment)
        edges = _edges(scores, expected, int(np.clip(len(expected) // _MIN_ROWS, 1, _BINS)))
        floor = float(max(_FLOOR * expected.mean(), 0.01))
        scale = np.maximum(expected, floor)
        which = np.searchsorted(edges, expected, side="right")
        return cls(
            edges=tuple(edges.tolist()),
            floor=floor,
            bins=tuple(
                _bin(expected[rows], increment[rows], scale[rows])
                for rows in (which == number for number in range(len(edges) + 1))
            ),
        )


def _edges(served: Floats, unseen: Floats, count: int) -> Floats:
    """Cut scores into `count` bins, halfway between two values; ties stay together.

    Each bin takes an equal part of the served scores that are left, so that one large tie does not
    cost a bin, and at least half as large a part of the unseen ones, so that it is calibrated: the
    models behind these spread a tie a little.
    """
    values = np.unique(np.concatenate((served, unseen)))
    # What rounding puts on one side of an edge must not have been learnt on the other.
    apart = np.diff(values) > _APART * np.maximum(values[1:], 1.0)
    last, first = values[np.append(apart, True)], values[np.append(True, apart)]
    upto = [np.searchsorted(np.sort(scores), last, "right") for scores in (served, unseen)]
    cuts: list[int] = []  # positions at which the next bin begins
    for left in range(count, 1, -1):
        needed = []
        for cumulative, least in zip(upto, (1.0, 0.5), strict=True):
            taken = cumulative[cuts[-1] - 1] if cuts else 0
            part = taken + least * (cumulative[-1] - taken) / left
            needed.append(int(np.searchsorted(cumulative, part)))
        cut = max(needed) + 1
        if cut >= len(last) or upto[1][cut - 1] == upto[1][-1]:
            break  # nobody is left to calibrate another bin
        cuts.append(cut)
    at = np.array(cuts, dtype=int)
    return np.asarray((last[at - 1] + first[at]) / 2)


def _bin(expected: Floats, increment: Floats, scale: Floats) -> ScoreBin:
    error = increment - expected
    off = error - error.mean()
    kept = np.sort(increment / scale)
    if len(kept) > _KEPT:
        kept = kept[((np.arange(_KEPT) + 0.5) / _KEPT * len(kept)).astype(int)]
    return ScoreBin(
        rows=len(expected),
        returning=float((increment > 0).mean()),
        bias=float(error.mean()),
        variance=float(error.var(ddof=1)) if len(error) > 1 else 0.0,
        dispersion=float((off**2).sum() / (scale**VARIANCE_POWER).sum()),
        asymmetry=float((off**3).sum() / (scale**SKEW_POWER).sum()),
        ratios=tuple(float(f"{value:.6g}") for value in kept.tolist()),
    )
