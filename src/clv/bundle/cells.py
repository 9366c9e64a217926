r"""A fitted model as a table: trees are constant between the thresholds at which they split.

Every threshold of every tree cuts one feature; what lies between neighbouring cuts of all three is
a *cell*, in which each tree gives one value, and so does whatever is computed of their values. One
row of the table holds it. A linear model adds :math:`w \cdot x`.

NumPy only: it travels to executors of a cluster that have nothing else of ours.
"""

import io
import zipfile
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from clv.schema import FEATURES, FREQUENCY, MONETARY, RECENCY, Floats, Ints

__all__ = ["Cells"]

_SUFFIX = "_thresholds"


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
        return int(np.prod([len(cuts) + 1 for cuts in thresholds]))

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
            **{name + _SUFFIX: cuts for name, cuts in zip(FEATURES, self.thresholds, strict=True)},
            "expected": self.expected,
            "p_return": self.p_return,
            "weights": np.array(self.weights),
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
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: np.asarray(file[name], dtype=np.float64) for name in file.files}
            return cls(
                [arrays.pop(name + _SUFFIX) for name in FEATURES],
                arrays["expected"],
                arrays["p_return"],
                arrays["weights"].tolist(),
            )
        except (KeyError, OSError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"no table of cells: {error}") from error
