"""The manifest: everything about a bundle but the table of cells. JSON, strict, versioned."""

import hashlib
import stat
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
    "AGAIN",
    "FORMAT",
    "MANIFEST",
    "MOST_BYTES",
    "MOST_MANIFEST_BYTES",
    "TABLES",
    "DataSummary",
    "GoldenRow",
    "Histogram",
    "Manifest",
    "Role",
    "Uncertainty",
    "read_bounded",
    "sha256_of",
]

MANIFEST = "manifest.json"
Role = Literal["serving", "holdout"]
TABLES: dict[Role, str] = {"serving": "serving.npz", "holdout": "holdout.npz"}

#: Raised by one when a reader of the older format would misunderstand the newer.
FORMAT: Literal[4] = 4

#: A table of all the cells there may be does not reach it.
MOST_BYTES = 2**27
#: Of the manifest, 4 MiB. Those of real models have a quarter of a MiB at most.
MOST_MANIFEST_BYTES = 2**22
_ROUNDED = 1e-6
#: What to do with a bundle that cannot be used.
AGAIN = "Register the bundle again, or roll back to another version."


class GoldenRow(Part):
    """A made-up passenger and what the original model said; checked at every load."""

    recency: float = Field(ge=0)
    frequency: float = Field(ge=0)
    monetary: float = Field(ge=0)
    expected_increment: float = Field(ge=0)
    p_return: float = Field(ge=0, le=1)


class Histogram(Part):
    """How a quantity was distributed in training; the reference for drift.

    `shares[i]` is the share of values in (`edges[i-1]`, `edges[i]`]; the first and last bins are
    open, so there is one share more than there are edges.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.shares) != len(self.edges) + 1:
            raise ValueError(f"{len(self.shares)} shares and {len(self.edges)} edges do not match")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must increase")
        if min(self.shares) < 0 or abs(sum(self.shares) - 1) > _ROUNDED:
            raise ValueError("shares must be 0 or more and add up to 1")
        return self

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
    model: str = Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    target: Target
    features: tuple[str, str, str]
    observation_days: int
    horizon_days: int
    created_at: AwareDatetime
    parameters: dict[str, JsonValue]
    metrics: dict[str, float]
    data: DataSummary
    reference: dict[str, Histogram]
    golden: tuple[GoldenRow, ...] = Field(min_length=1)
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
        for role, uncertainty in self.uncertainty.items():
            if uncertainty.support.observation_days != self.observation_days:
                raise ValueError(
                    f"support of {role} is of {uncertainty.support.observation_days} days, the "
                    f"model of {self.observation_days}"
                )
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
            return cls.model_validate_json(read_bounded(path, MOST_MANIFEST_BYTES))
        except OSError as error:
            raise BundleError(f"'{path}' cannot be read: {error.strerror}. {AGAIN}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise BundleError(
                f"'{path}' is no manifest of format {FORMAT}: {where}: {first['msg']}. "
                "Train again, or use the version of clv that wrote it."
            ) from error


def read_bounded(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file of a bundle, at most `most` bytes.

    Raises
    ------
    BundleError
        If it is larger than any that was ever written, or no file.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise BundleError(f"'{path}' cannot be read: it is not a file. {AGAIN}")
    if found.st_size > most:
        raise BundleError(
            f"'{path}' has {found.st_size:,} bytes; at most {most:,} are read. {AGAIN}"
        )
    return path.read_bytes()


def sha256_of(path: Path) -> str:
    """Checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
