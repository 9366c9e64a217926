"""Intervals around an expected increment: a `Calibration` made ready for predicting.

NumPy only, as all that a prediction is computed with (`clv.bundle.scorer`).
"""

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clv.errors import DataError
from clv.schema import Floats, Ints

if TYPE_CHECKING:
    from clv.bundle.calibration import Calibration

__all__ = ["DEFAULT_LEVEL", "MAX_LEVEL", "MIN_LEVEL", "Intervals"]

MIN_LEVEL, DEFAULT_LEVEL, MAX_LEVEL = 0.5, 0.9, 0.99
# Anybody may ask for any level; bounds of the first so many are remembered.
_LEVELS_KEPT = 64


class Intervals:
    """A `Calibration` made ready for predicting; plain numbers and NumPy arrays only.

    Parameters
    ----------
    calibration : Calibration
    """

    def __init__(self, calibration: "Calibration") -> None:
        self.edges = list(calibration.edges)
        self.floor = calibration.floor
        self._edges = np.array(calibration.edges)
        self._rows = [part.rows for part in calibration.bins]
        self._ratios = [np.array(part.ratios) for part in calibration.bins]
        self._known: dict[float, _Bounds] = {}

    def bin_of(self, expected: Floats) -> Ints:
        """Bin of each expected increment, from 0, shape (n,)."""
        return np.searchsorted(self._edges, expected, side="right")

    def around(self, expected: Floats, bins: Ints, level: float) -> tuple[Floats, Floats]:
        """Lowest and highest increment of the interval at `level`, each of shape (n,).

        Raises
        ------
        DataError
            Where the level is out of its range.
        """
        low, high = self.bounds(level)
        scale = np.maximum(expected, self.floor)
        return low[bins] * scale, high[bins] * scale

    def around_one(self, expected: float, level: float) -> tuple[int, float, float]:
        """Bin of one expected increment, from 0, and its interval; as `bin_of` and `around`."""
        bounds = self._known.get(level) or self._at(level)
        score_bin = bisect_right(self.edges, expected)
        scale = max(expected, self.floor)
        return score_bin, bounds.plain_low[score_bin] * scale, bounds.plain_high[score_bin] * scale

    def bounds(self, level: float) -> tuple[Floats, Floats]:
        """Lowest and highest ratio of each bin's interval at `level`, each of shape (bins,)."""
        bounds = self._known.get(level) or self._at(level)
        return bounds.low, bounds.high

    def _at(self, level: float) -> "_Bounds":
        if not MIN_LEVEL <= level <= MAX_LEVEL:
            raise DataError(
                f"level={level}: expected a number from {MIN_LEVEL} to {MAX_LEVEL}, the share of "
                "customers whose spend the interval shall hold."
            )
        shortest = [
            _shortest(ratios, rows, level)
            for ratios, rows in zip(self._ratios, self._rows, strict=True)
        ]
        low, high = np.array(shortest).T
        bounds = _Bounds(low, high, low.tolist(), high.tolist())
        if len(self._known) < _LEVELS_KEPT:
            self._known[level] = bounds
        return bounds


class _Bounds(NamedTuple):
    """Bounds of each bin, as arrays for many customers and as plain numbers for one."""

    low: Floats
    high: Floats
    plain_low: list[float]
    plain_high: list[float]


def _shortest(ratios: Floats, rows: int, level: float) -> tuple[float, float]:
    """Bounds of the shortest run of `ratios` that holds `level`, the first where several do.

    Between the i-th and the j-th of n calibrated customers a new one falls with probability of at
    least (j - i) / (n + 1), so the run is that much longer than the level. Where n is too small
    for the level the run is all there is.

    A run begins at a refund only where no other can hold the level: to say "less than what is
    spent already" of everybody, to save a little width, would be absurd.
    """
    count = len(ratios)
    length = min(count, int(np.ceil(level * (1 + 1 / rows) * count)) + 1)
    widths = ratios[length - 1 :] - ratios[: count - length + 1]
    nothing = int(np.searchsorted(ratios, 0.0))
    start = nothing if nothing < len(widths) else 0
    first = start + int(np.argmin(widths[start:]))
    return float(ratios[first]), float(ratios[first + length - 1])
