"""The one path for a prediction: API, batch, validation and training's checks go through here."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

import clv.offline  # noqa: F401 - before ONNX Runtime

# isort: split
import onnxruntime

from clv.bundle.calibration import DEFAULT_LEVEL, Intervals
from clv.bundle.manifest import GRAPHS, MANIFEST, Manifest, Role, sha256_of
from clv.bundle.support import Surroundings
from clv.errors import BundleError
from clv.metrics import to_micros
from clv.schema import MONETARY, Activity, Floats, Ints, Mask

__all__ = ["Prediction", "Predictions", "Predictor", "complete", "to_cents"]

# Graphs compute in float32; beyond this share of the value something else is wrong.
_GOLDEN_TOLERANCE = 1e-4
_P_DIGITS = 4


class Prediction(NamedTuple):
    """What one customer is expected to be worth; fields as in `Predictions`."""

    monetary: float
    expected_increment: float
    p_return: float
    level: float
    low: float
    high: float
    score_bin: int
    similar: int
    in_support: bool

    def in_cents(self) -> "Prediction":
        """As it leaves the house; the same as `Predictions.in_cents`."""
        # As NumPy rounds, without its 3 us a call.
        return Prediction(
            round(self.monetary * 100.0) / 100.0 + 0.0,
            round(self.expected_increment * 100.0) / 100.0 + 0.0,
            round(self.p_return * 10.0**_P_DIGITS) / 10.0**_P_DIGITS,
            self.level,
            round(self.low * 100.0) / 100.0 + 0.0,
            round(self.high * 100.0) / 100.0 + 0.0,
            self.score_bin,
            self.similar,
            self.in_support,
        )


@dataclass(frozen=True, slots=True)
class Predictions:
    """What customers are expected to be worth, each attribute of shape (n,), and how surely.

    Attributes
    ----------
    monetary : array of float
        Expected spend from registration to the horizon, in currency units.
    expected_increment : array of float
        The part of it that is still to come after the observation window; never negative.
    p_return : array of float
        Probability of any further ride, between 0 and 1, never either.
    level : float
        Share of customers whose spend lies in their interval.
    low, high : array of float
        The shortest interval of the spend from registration to the horizon that holds the level
        among customers of the same score bin. Where enough of them never ride again it begins, and
        may end, at what is spent already: the mean of a mostly-zero future can lie above it.
    score_bin : array of int
        From 1, the lowest expected increments, upwards.
    similar : array of int
        Training customers who were like this one.
    in_support : array of bool
        Whether those are enough for the prediction to rest on.
    """

    monetary: Floats
    expected_increment: Floats
    p_return: Floats
    level: float
    low: Floats
    high: Floats
    score_bin: Ints
    similar: Ints
    in_support: Mask

    def __len__(self) -> int:
        return len(self.monetary)

    def in_cents(self) -> "Predictions":
        """As they leave the house: money rounded to cents, probabilities to four digits."""
        return replace(
            self,
            monetary=to_cents(self.monetary),
            expected_increment=to_cents(self.expected_increment),
            p_return=np.round(self.p_return, _P_DIGITS),
            low=to_cents(self.low),
            high=to_cents(self.high),
        )

    def holds(self, outcome: Floats) -> Mask:
        """Whether each outcome lies in its interval, to a millionth; shape (n,)."""
        return np.asarray(
            (to_micros(outcome - self.low) >= 0) & (to_micros(self.high - outcome) >= 0)
        )

    def rows(self) -> list[Prediction]:
        """Each row, as plain numbers."""
        columns = (
            self.monetary,
            self.expected_increment,
            self.p_return,
            np.broadcast_to(self.level, len(self)),
            self.low,
            self.high,
            self.score_bin,
            self.similar,
            self.in_support,
        )
        # All at once: a tenth of the time of asking each row for each number.
        return [Prediction(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def __getitem__(self, row: int) -> Prediction:
        """One row, as plain numbers."""
        return Prediction(
            float(self.monetary[row]),
            float(self.expected_increment[row]),
            float(self.p_return[row]),
            self.level,
            float(self.low[row]),
            float(self.high[row]),
            int(self.score_bin[row]),
            int(self.similar[row]),
            bool(self.in_support[row]),
        )


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
    role : {'serving', 'holdout'}
        Which graph the session runs.
    """

    def __init__(self, manifest: Manifest, session: Any, version: str, role: Role) -> None:
        self.manifest = manifest
        self.window = manifest.window
        self.version = version
        self.intervals = Intervals(manifest.uncertainty[role].calibration)
        self.surroundings = Surroundings(manifest.uncertainty[role].support)
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
            predictor = cls(manifest, session, version, role)
            golden = predictor.predict(_golden_activity(manifest))
        except Exception as error:  # onnxruntime raises classes of its own, unrelated
            raise BundleError(
                f"'{folder / GRAPHS[role]}' is no usable graph: {error} "
                "Register the bundle again, or roll back to another version."
            ) from error
        if role == "serving":
            _check_golden_rows(folder, manifest, golden)
        return predictor

    def predict(self, activity: Activity, *, level: float = DEFAULT_LEVEL) -> Predictions:
        """Predict each row of `activity`, in its order, with intervals at `level`.

        Raises
        ------
        DataError
            Where the level is not between 0.5 and 0.99.
        """
        return self._predict(activity.matrix(), level)

    def predict_one(
        self, recency: float, frequency: float, monetary: float, *, level: float = DEFAULT_LEVEL
    ) -> Prediction:
        """Predict one customer; the same answer as in a batch.

        The arithmetic of `complete` in plain numbers: on arrays of one row NumPy takes twice the
        time of the graph. A test holds the two equal to the last bit, except that ONNX Runtime
        rounds the seventh digit of a probability in another way where it computes four at once.
        """
        expected, p_return = self._run(
            None, {"activity": np.array(((recency, frequency, monetary),), np.float32)}
        )
        increment = float(expected[0, 0])
        if self.manifest.target == "total":
            increment = max(increment - monetary, 0.0)
        score_bin, low, high = self.intervals.around_one(increment, level)
        similar = self.surroundings.similar_to(recency, frequency, monetary)
        return Prediction(
            monetary + increment,
            increment,
            float(p_return[0, 0]),
            level,
            max(monetary + low, 0.0),
            max(monetary + high, 0.0),
            score_bin + 1,
            similar,
            similar >= self.surroundings.support.needed,
        )

    def why_out_of_support(self, recency: float, frequency: float, monetary: float) -> str:
        """Say of a customer out of support what is rare about it."""
        found = self.surroundings.similar(np.array([[recency, frequency, monetary]]))[0]
        were = "customer was" if found == 1 else "customers were"
        return (
            f"{found} training {were} like this one "
            f"({self.surroundings.describe(recency, frequency, monetary)}); at least "
            f"{self.surroundings.support.needed} are needed for a prediction to rest on"
        )

    def _predict(self, X: Floats, level: float) -> Predictions:
        expected, p_return = self._run(None, {"activity": X.astype(np.float32)})
        increment = expected[:, 0].astype(np.float64)
        if self.manifest.target == "total":
            # What is spent is spent: a model of the total that says less is not followed.
            increment = np.maximum(increment - X[:, MONETARY], 0.0)
        return complete(
            X,
            increment,
            p_return[:, 0].astype(np.float64),
            self.intervals,
            self.surroundings,
            level,
        )


def complete(
    X: Floats,
    increment: Floats,
    p_return: Floats,
    intervals: Intervals,
    surroundings: Surroundings,
    level: float,
) -> Predictions:
    """Everything that is said of customers, given what a model computes of them."""
    spent = X[:, MONETARY]
    bins = intervals.bin_of(increment)
    low, high = intervals.around(increment, bins, level)
    similar = surroundings.similar(X)
    return Predictions(
        monetary=spent + increment,  # in float64: no cent of what is known is lost
        expected_increment=increment,
        p_return=p_return,
        level=level,
        low=np.maximum(spent + low, 0.0),  # a refund gives back no more than was spent
        high=np.maximum(spent + high, 0.0),
        score_bin=bins + 1,
        similar=similar,
        in_support=similar >= surroundings.support.needed,
    )


def _golden_activity(manifest: Manifest) -> Activity:
    rows = manifest.golden
    return Activity.of(
        [row.recency for row in rows],
        [row.frequency for row in rows],
        [row.monetary for row in rows],
    )


def _check_golden_rows(folder: Path, manifest: Manifest, said: Predictions) -> None:
    for name in ("expected_increment", "p_return"):
        found = getattr(said, name)
        expected = np.array([getattr(row, name) for row in manifest.golden])
        # The negation also refuses NaN.
        near = _GOLDEN_TOLERANCE * np.maximum(np.abs(expected), 1.0)
        wrong = ~(np.abs(found - expected) <= near)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise BundleError(
                f"'{folder}' does not compute what it did when it was written: golden row {row} "
                f"gives {found[row]:.6g} as {name}, expected {expected[row]:.6g}. "
                "Train again on this machine, or install the onnxruntime that the manifest names."
            )


def _read_checked(folder: Path, manifest: Manifest, role: Role) -> bytes:
    """The graph of a role, once the folder holds exactly the files of the manifest, unaltered.

    Nothing is loaded that nobody vouched for.
    """
    try:
        found = {path.name for path in folder.iterdir()} - {MANIFEST}
        expected = set(GRAPHS.values())
        if set(manifest.files) != expected or found != expected:
            odd = ", ".join(sorted((found ^ expected) | (set(manifest.files) ^ expected)))
            raise BundleError(
                f"'{folder}' must hold {MANIFEST} and {', '.join(sorted(expected))}, no more and "
                f"no less; at fault: {odd}. Register the bundle again."
            )
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
