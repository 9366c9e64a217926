"""How far one set of customers is from another."""

import numpy as np

from clv.schema import Floats

__all__ = ["noise_of_stability", "stability_index", "wasserstein"]


def stability_index(reference: Floats, shares: Floats) -> float:
    """Population stability index of shares in bins against those of a reference; 0 where equal.

    By custom, below 0.1 little has changed and from 0.25 a lot. The traps: an empty bin makes it
    infinite, so no share counts as less than a ten-thousandth; and few customers move it by chance
    alone, see `noise_of_stability`.

    Parameters
    ----------
    reference, shares : array of shape (k,)
        Each sums to 1.

    Source: Siddiqi (2006), Credit Risk Scorecards, chapter 10: the symmetrised divergence of
    Kullback and Leibler.
    """
    before, after = np.maximum(reference, 1e-4), np.maximum(shares, 1e-4)
    return float(((after - before) * np.log(after / before)).sum())


def noise_of_stability(bins: int, rows: int, other_rows: int) -> float:
    """Index that two samples of the *same* customers stay below, but for about one in a thousand.

    Times nm / (n + m) the index is nearly chi-squared with bins - 1 degrees of freedom; its mean
    and four standard deviations are taken.

    Source: Yurdakul, Naranjo (2020), Journal of Risk Model Validation 14(4).
    """
    freedom = bins - 1
    return float((freedom + 4 * np.sqrt(2 * freedom)) * (1 / rows + 1 / other_rows))


def wasserstein(edges: Floats, reference: Floats, shares: Floats) -> float:
    """Wasserstein distance between the first and the last edge, in the unit of the edges.

    How far a customer has to be moved, in the mean, to turn one sample into the other; what happens
    beyond the outer edges is unknown, and what lies between two is taken for evenly spread. Unlike
    the stability index it tells a small move from a far one. 0 with fewer than two edges.

    Parameters
    ----------
    edges : array of shape (k - 1,)
        Rising.
    reference, shares : array of shape (k,)
        Each sums to 1; the outer bins are open.

    Source: Vallender (1974), Theory of Probability and its Applications 18(4): on the line it is
    the area between the two distribution functions.
    """
    gap = np.cumsum(reference - shares)[:-1]
    before, after, width = gap[:-1], gap[1:], np.diff(edges)
    # Where the lines between two edges cross there are two triangles, not one trapezoid.
    crosses = before * after < 0
    area = np.abs(before + after) / 2
    sides = np.abs(before) + np.abs(after)
    np.divide(before**2 + after**2, 2 * sides, out=area, where=crosses)
    return float((area * width).sum())
