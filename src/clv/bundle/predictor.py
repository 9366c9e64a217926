"""The one path for a prediction: API, batch, validation and training's checks go through here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

import clv.offline  # noqa: F401 - before ONNX Runtime

# isort: split
import onnxruntime

from clv.bundle.manifest import GRAPHS, MANIFEST, Manifest, Role, sha256_of
from clv.errors import BundleError
from clv.schema import MONETARY, Activity, Floats

__all__ = ["Prediction", "Predictions", "Predictor", "to_cents"]

# Graphs compute in float32; beyond this share of the value something else is wrong.
_GOLDEN_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one customer is expected to be worth, in currency units."""

    monetary: float
    expected_increment: float


@dataclass(frozen=True, slots=True)
class Predictions:
    """What customers are expected to be worth.

    Attributes
    ----------
    monetary : array of shape (n,)
        Expected spend from registration to the horizon.
    expected_increment : array of shape (n,)
        The part of it that is still to come after the observation window; never negative.
    """

    monetary: Floats
    expected_increment: Floats

    def __len__(self) -> int:
        return len(self.monetary)


def to_cents(values: Any) -> Any:
    """Money as it leaves the house: rounded to cents, never -0.0; scalars and arrays alike."""
    return np.round(values, 2) + 0.0


class Predictor:
    """A loaded bundle. Safe to share between threads; holds no state between calls.

    Parameters
    ----------
    manifest : Manifest
    session : onnxruntime.InferenceSession
    version : str
        Name of the version in the registry.
    """

    def __init__(self, manifest: Manifest, session: Any, version: str) -> None:
        self.manifest = manifest
        self.window = manifest.window
        self.version = version
        self._run = session.run

    @classmethod
    def load(cls, folder: Path, *, version: str = "unregistered", role: Role = "serving") -> Self:
        """Load a bundle after checking its files and that it computes what it did when written.

        Raises
        ------
        BundleError
            Where a file is missing, foreign or altered, or a golden row comes out differently.
        """
        manifest = Manifest.read(folder)
        graph = _read_checked(folder, manifest, role)
        options = onnxruntime.SessionOptions()
        # One row takes 10 microseconds: threads would cost more than they bring, and one thread
        # sums the trees in one order, so a row has the same answer alone and in a batch.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
            predictor = cls(manifest, session, version)
            golden = predictor.predict(_golden_activity(manifest))
        except Exception as error:  # onnxruntime raises classes of its own, unrelated
            raise BundleError(
                f"'{folder / GRAPHS[role]}' is no usable graph: {error} "
                "Register the bundle again, or roll back to another version."
            ) from error
        if role == "serving":
            _check_golden_rows(folder, manifest, golden.expected_increment)
        return predictor

    def predict(self, activity: Activity) -> Predictions:
        """Predict each row of `activity`, in its order."""
        return Predictions(*self._predict(activity.matrix()))

    def predict_one(self, recency: float, frequency: float, monetary: float) -> Prediction:
        """Predict one customer."""
        total, increment = self._predict(np.array([[recency, frequency, monetary]]))
        return Prediction(float(total[0]), float(increment[0]))

    def _predict(self, X: Floats) -> tuple[Floats, Floats]:
        expected = self._run(None, {"activity": X.astype(np.float32)})[0][:, 0].astype(np.float64)
        spent = X[:, MONETARY]
        if self.manifest.target == "total":
            # What is spent is spent: a model of the total that says less is not followed.
            expected = np.maximum(expected - spent, 0.0)
        return spent + expected, expected  # in float64: no cent of what is known is lost


def _golden_activity(manifest: Manifest) -> Activity:
    rows = manifest.golden
    return Activity.of(
        [row.recency for row in rows],
        [row.frequency for row in rows],
        [row.monetary for row in rows],
    )


def _check_golden_rows(folder: Path, manifest: Manifest, said: Floats) -> None:
    expected = np.array([row.expected_increment for row in manifest.golden])
    # The negation also refuses NaN.
    wrong = ~(np.abs(said - expected) <= _GOLDEN_TOLERANCE * np.maximum(np.abs(expected), 1.0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise BundleError(
            f"'{folder}' does not compute what it did when it was written: golden row {row} "
            f"gives {said[row]:.6g}, expected {expected[row]:.6g}. "
            "Train again on this machine, or install the onnxruntime that the manifest names."
        )


def _read_checked(folder: Path, manifest: Manifest, role: Role) -> bytes:
    """The graph of a role, once the folder holds exactly the files of the manifest, unaltered.

    Nothing is loaded that nobody vouched for.
    """
    found = {path.name for path in folder.iterdir()} - {MANIFEST}
    expected = set(GRAPHS.values())
    if set(manifest.files) != expected or found != expected:
        odd = ", ".join(sorted((found ^ expected) | (set(manifest.files) ^ expected)))
        raise BundleError(
            f"'{folder}' must hold {MANIFEST} and {', '.join(sorted(expected))}, no more and no "
            f"less; at fault: {odd}. Register the bundle again."
        )
    try:
        for name, checksum in manifest.files.items():
            if sha256_of(folder / name) != checksum:
                raise BundleError(
                    f"'{folder / name}' was altered: its sha256 is not that of the manifest. "
                    "Register the bundle again, or roll back to another version."
                )
        return (folder / GRAPHS[role]).read_bytes()
    except OSError as error:
        raise BundleError(
            f"'{error.filename}' cannot be read: {error.strerror}. "
            "Register the bundle again, or roll back to another version."
        ) from error
