"""The manifest: everything about a bundle but the table of cells. JSON, strict, versioned."""

import hashlib
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import AwareDatetime, Field, JsonValue, ValidationError, model_validator

from clv.bundle.calibration import Calibration
from clv.bundle.part import Part
from clv.bundle.scorer import Target
from clv.bundle.support import Support
from clv.errors import BundleError
from clv.schema import FEATURES, Floats, Window

__all__ = [
    "FORMAT",
    "MANIFEST",
    "TABLES",
    "DataSummary",
    "GoldenRow",
    "Histogram",
    "Manifest",
    "Role",
    "Uncertainty",
    "sha256_of",
]

MANIFEST = "manifest.json"
Role = Literal["serving", "holdout"]
TABLES: dict[Role, str] = {"serving": "serving.npz", "holdout": "holdout.npz"}

#: Raised by one when a reader of the older format would misunderstand the newer.
FORMAT: Literal[4] = 4


class GoldenRow(Part):
    """A made-up passenger and what the original model said; checked at every load."""

    recency: float
    frequency: float
    monetary: float
    expected_increment: float
    p_return: float


class Histogram(Part):
    """How a quantity was distributed in training; the reference for drift.

    `shares[i]` is the share of values in (`edges[i-1]`, `edges[i]`]; the first and last bins are
    open, so there is one share more than there are edges.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, values: Floats, bins: int = 10) -> Self:
        """Cut at the quantiles of `values`, fewer bins where values are tied."""
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
        counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        return cls(edges=tuple(edges.tolist()), shares=tuple((counts / len(values)).tolist()))


class Uncertainty(Part):
    """What a fit's predictions leave open, learnt on the rows that it was fitted on."""

    calibration: Calibration
    support: Support


class DataSummary(Part):
    """What was learnt from, and how it was split; enough to know rows that were not seen."""

    source: str
    generated: bool
    rows: int
    fingerprint: str
    split_seed: int
    test_share: float
    mean_observed: float
    mean_outcome: float
    share_returning: float


class Manifest(Part):
    """What a prediction needs beyond the cells, and where the model comes from."""

    format: Literal[4] = FORMAT
    model: str
    target: Target
    features: tuple[str, str, str]
    observation_days: int
    horizon_days: int
    created_at: AwareDatetime
    parameters: dict[str, JsonValue]
    metrics: dict[str, float]
    data: DataSummary
    reference: dict[str, Histogram]
    golden: tuple[GoldenRow, ...]
    uncertainty: dict[Role, Uncertainty]
    versions: dict[str, str]
    files: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_predicted_with(self) -> Self:
        if self.features != FEATURES:
            raise ValueError(f"features {self.features}: expected {FEATURES}")
        if set(self.uncertainty) != set(TABLES):
            raise ValueError(f"uncertainty of {sorted(self.uncertainty)}: expected {list(TABLES)}")
        Window(self.observation_days, self.horizon_days)
        return self

    @property
    def window(self) -> Window:
        """The window that the model was trained for."""
        return Window(self.observation_days, self.horizon_days)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read and check the manifest of a bundle.

        Raises
        ------
        BundleError
            Where it is missing, unreadable or of a format that this version does not know.
        """
        path = folder / MANIFEST
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise BundleError(
                f"'{path}' cannot be read: {error.strerror}. "
                "Register the bundle again, or roll back to another version."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise BundleError(
                f"'{path}' is no manifest of format {FORMAT}: {where}: {first['msg']}. "
                "Train again, or use the version of clv that wrote it."
            ) from error


def sha256_of(path: Path) -> str:
    """Checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
