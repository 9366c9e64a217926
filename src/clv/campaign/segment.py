"""A segment: what its members, or the best of them, will spend together."""

from dataclasses import dataclass

import numpy as np

from clv.bundle import Calibration, Predictions
from clv.bundle.calibration import SKEW_POWER, VARIANCE_POWER
from clv.campaign.mean import MeanIncrement
from clv.errors import DataError
from clv.schema import Floats, Ints

__all__ = ["Segment"]

# Variances of a bin's mean, in units of v / n: one because its bias was learnt from n customers,
# and one because the model was fitted to no more. Residuals of real passengers, by day and rides
# within a bin, are 1.5 such units apart beyond their noise (docs/decisions/0011).
_DOUBTS = 2.0


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of the first 0, 1, ..., n members, each of shape (n + 1,)."""

    expected: Floats
    chance: Floats
    third: Floats


class Segment:
    r"""Passengers and what is known of how far predictions of such passengers fall.

    The mean increment of members in score bins :math:`k` is expected to be that of their
    predictions and of the bias :math:`b_k` of their bins. It varies by chance, with
    :math:`\sum_i \phi_k s_i^{1.5} / n^2`, and is in doubt because model and biases were learnt from
    finitely many customers: :math:`2 \sum_k c_k^2 v_k / (n_k n^2)` with :math:`c_k` members and
    :math:`n_k` calibration customers in the bin. The average of the customers' own intervals would
    be another thing, and many times too wide.

    Parameters
    ----------
    predictions : Predictions
        Of the members.
    calibration : Calibration
        Of the model that predicted.

    Attributes
    ----------
    order : array of int, shape (n,)
        Members with the highest expected increment first; equals stay in their order.
    expected : array of float, shape (n,)
        Expected increments in that order, corrected by the bias of their bins.

    Raises
    ------
    DataError
        Where there are no members.
    """

    def __init__(self, predictions: Predictions, calibration: Calibration) -> None:
        if not len(predictions):
            raise DataError("The segment has no passengers. Give at least one.")
        self.predictions = predictions
        self.order: Ints = np.argsort(-predictions.expected_increment, kind="stable")
        increment = predictions.expected_increment[self.order]
        bins = predictions.score_bin[self.order] - 1
        scale = np.maximum(increment, calibration.floor)
        learnt = {
            name: np.array([getattr(part, name) for part in calibration.bins])
            for name in ("bias", "dispersion", "asymmetry", "variance", "rows")
        }
        self.expected: Floats = increment + learnt["bias"][bins]
        self._sums = _Sums(
            _summed(self.expected),
            _summed(learnt["dispersion"][bins] * scale**VARIANCE_POWER),
            _summed(learnt["asymmetry"][bins] * scale**SKEW_POWER),
        )
        self._doubt = _DOUBTS * learnt["variance"] / learnt["rows"]
        # The order is by score, so bins follow one another: the highest first.
        self._members = np.bincount(bins, minlength=len(calibration.bins))
        self._before = np.append(np.cumsum(self._members[::-1])[::-1][1:], 0)

    def __len__(self) -> int:
        return len(self.order)

    def mean(self, best: int | None = None) -> MeanIncrement:
        """The mean increment of the members, or of so many with the highest expected one."""
        customers = len(self) if best is None else best
        in_bin = np.clip(customers - self._before, 0, self._members)
        return MeanIncrement(
            customers,
            mean=float(self._sums.expected[customers] / customers),
            chance=float(self._sums.chance[customers] / customers**2),
            doubt=float((in_bin**2 * self._doubt).sum() / customers**2),
            third=float(self._sums.third[customers] / customers**3),
        )

    def totals(self) -> Floats:
        """Expected total of the best 0, 1, ..., n members, shape (n + 1,)."""
        return self._sums.expected

    def depths_above(self, value: float) -> Ints:
        """For each score bin, the depth of its last member expected to bring more than that.

        Within a bin expected increments never rise from one member to the next, so the depth with
        the highest gain at this price per member is among these, and 0; found without a look at
        each member.
        """
        depths = {0}
        for begin, members in zip(self._before, self._members, strict=True):
            rising = self.expected[begin : begin + members][::-1]
            above = members - np.searchsorted(rising, value, side="right")
            depths.add(int(begin + above))
        return np.array(sorted(depths))


def _summed(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))
