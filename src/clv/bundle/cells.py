r"""A fitted model as a table: trees are constant between the thresholds at which they split.

Every threshold of every tree cuts one feature; what lies between neighbouring cuts of all three is
a *cell*, in which each tree gives one value, and so does whatever is computed of their values. One
row of the table holds it. A linear model adds :math:`w \cdot x`.

NumPy only: it travels to executors of a cluster that have nothing else of ours.
"""

import io
import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from clv.bundle.archive import read_arrays
from clv.schema import FEATURES, FREQUENCY, MONETARY, RECENCY, Floats, Ints

__all__ = ["MAX_CELLS", "Cells"]

#: A larger table is not served: 64 MB in every process.
MAX_CELLS = 2**22
_SUFFIX = "_thresholds"
_COLUMNS = ("expected", "p_return", "weights")
# Far beyond any spend of a customer and any weight, and near enough for sums to stay finite.
_LARGEST = 1e12
_LARGEST_WEIGHT = 1e6
_FINITE = float(np.finfo(np.float64).max)


class Cells:
    r"""What a model says of each cell.

    Parameters
    ----------
    thresholds : three arrays, rising
        Of recency, frequency and monetary. A value that equals a threshold lies below it, as in
        ``x <= threshold``.
    expected : array of shape (cells,)
        The increment or the total, as the manifest says; the last feature varies fastest.
    p_return : array of shape (cells,)
        Probability of any further ride.
    weights : three floats
        :math:`w`, added to `expected` as :math:`w \cdot x`; zeros where trees say it all.
    """

    def __init__(
        self,
        thresholds: Sequence[Floats],
        expected: Floats,
        p_return: Floats,
        weights: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.thresholds = tuple(thresholds)
        self.expected = expected
        self.p_return = p_return
        self.weights = tuple(weights)
        if len(self.weights) != len(FEATURES):
            raise ValueError(f"{len(self.weights)} weights; expected {len(FEATURES)}")
        if expected.shape != (self.count(self.thresholds),) or p_return.shape != expected.shape:
            raise ValueError(
                f"{len(expected)} expectations and {len(p_return)} probabilities for "
                f"{self.count(self.thresholds)} cells"
            )
        if any((np.diff(cuts) <= 0).any() for cuts in self.thresholds):
            raise ValueError("thresholds must rise")
        rows = len(self.thresholds[MONETARY]) + 1
        self._strides = ((len(self.thresholds[FREQUENCY]) + 1) * rows, rows)
        self._plain = tuple(cuts.tolist() for cuts in self.thresholds)

    def __len__(self) -> int:
        return len(self.expected)

    def of(self, X: Floats) -> Ints:
        """Cell of each row of shape (n, 3); shape (n,)."""
        recency, frequency, monetary = (
            np.searchsorted(cuts, X[:, feature]) for feature, cuts in enumerate(self.thresholds)
        )
        return recency * self._strides[0] + frequency * self._strides[1] + monetary

    def of_one(self, recency: float, frequency: float, monetary: float) -> int:
        """Cell of one customer; as `of`."""
        cuts = self._plain
        return (
            bisect_left(cuts[RECENCY], recency) * self._strides[0]
            + bisect_left(cuts[FREQUENCY], frequency) * self._strides[1]
            + bisect_left(cuts[MONETARY], monetary)
        )

    def linear(self, recency: Any, frequency: Any, monetary: Any) -> Any:
        """The linear part, of numbers or of arrays alike: summed in one order."""
        w = self.weights
        return w[0] * recency + w[1] * frequency + w[2] * monetary

    @staticmethod
    def count(thresholds: Sequence[Floats]) -> int:
        """How many cells the thresholds make."""
        return math.prod(len(cuts) + 1 for cuts in thresholds)

    @staticmethod
    def representatives(thresholds: Sequence[Floats]) -> Floats:
        """A row in each cell, shape (cells, 3): its upper end, and beyond the last threshold."""
        ends = [np.append(cuts, cuts[-1:] * 2 + 1 if len(cuts) else 1.0) for cuts in thresholds]
        grid = np.meshgrid(*ends, indexing="ij")
        return np.column_stack([part.ravel() for part in grid])

    def to_bytes(self) -> bytes:
        """As an `.npz` file; the same cells give the same bytes."""
        file = io.BytesIO()
        arrays: dict[str, Any] = {
            name: self._array(name)
            for name in (*(feature + _SUFFIX for feature in FEATURES), *_COLUMNS)
        }
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            Where it is anything else; no pickle is loaded.
        """
        names = [*(name + _SUFFIX for name in FEATURES), *_COLUMNS]
        try:
            arrays = read_arrays(content, names, MAX_CELLS)
        except Exception as error:
            raise ValueError(f"no table of cells: {error}") from error
        return cls(
            [arrays.pop(name + _SUFFIX) for name in FEATURES],
            arrays["expected"],
            arrays["p_return"],
            arrays["weights"].tolist(),
        )

    def require_usable(self, target: str) -> None:
        """See that whatever is looked up gives a prediction.

        Raises
        ------
        ValueError
            Names the first number that gives none.
        """
        limits = {
            **{name + _SUFFIX: (-_FINITE, _FINITE) for name in FEATURES},
            "expected": (0.0 if target == "increment" else -_LARGEST, _LARGEST),
            "p_return": (0.0, 1.0),
            "weights": (-_LARGEST_WEIGHT, _LARGEST_WEIGHT),
        }
        for name, (low, high) in limits.items():
            values = self._array(name)
            # The negation also refuses NaN.
            wrong = np.flatnonzero(~((values >= low) & (values <= high)))
            if len(wrong):
                raise ValueError(
                    f"{name} holds {values[wrong[0]]:.6g} in place {wrong[0]}; expected a number "
                    f"from {low:g} to {high:g}"
                )

    def _array(self, name: str) -> Floats:
        if name.endswith(_SUFFIX):
            return self.thresholds[FEATURES.index(name.removesuffix(_SUFFIX))]
        return np.asarray(getattr(self, name), dtype=np.float64)
