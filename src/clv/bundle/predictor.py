"""A loaded bundle: the one path for a prediction, of API, batch, validation and segments."""

import hashlib
from pathlib import Path
from typing import Any, Self

import numpy as np

from clv.bundle.calibration import Calibration
from clv.bundle.cells import Cells
from clv.bundle.intervals import DEFAULT_LEVEL, Intervals
from clv.bundle.manifest import AGAIN, MANIFEST, TABLES, Manifest, Role, read_bounded
from clv.bundle.predictions import Prediction, Predictions
from clv.bundle.scorer import Scorer
from clv.bundle.surroundings import Surroundings
from clv.bundle.tables import activity_of
from clv.errors import BundleError
from clv.schema import MAX_FREQUENCY, MAX_MONETARY, Activity, Window, require_valid

__all__ = ["Predictor"]

#: What a bundle is called that no registry knows.
UNREGISTERED = "unregistered"

# Sums of floats in another order; anything beyond that is another model.
_GOLDEN_TOLERANCE = 1e-9


class Predictor:
    """A loaded bundle. Safe to share between threads; holds no state between calls.

    Parameters
    ----------
    manifest : Manifest
    cells : Cells
        The table of the role.
    version : str
        Name of the version in the registry.
    role : {'serving', 'holdout'}
        Which of the two fits it is.
    """

    def __init__(self, manifest: Manifest, cells: Cells, version: str, role: Role) -> None:
        uncertainty = manifest.uncertainty[role]
        self.manifest = manifest
        self.window: Window = manifest.window
        self.version = version
        self.calibration: Calibration = uncertainty.calibration
        self.surroundings = Surroundings(uncertainty.support)
        self.scorer = Scorer(
            cells, manifest.target, Intervals(uncertainty.calibration), self.surroundings
        )

    @classmethod
    def load(cls, folder: Path, *, version: str = UNREGISTERED, role: Role = "serving") -> Self:
        """Load a bundle after checking its files and that it computes what it did when written.

        Raises
        ------
        BundleError
            If a file is missing, foreign or altered, a number gives no prediction, or a golden row
        comes out differently; whatever else is wrong with it, too. Names the version.
        """
        try:
            return cls._checked(folder, version, role)
        except BundleError as error:
            # The cause tells a disk that failed from a bundle that is spoilt.
            raise BundleError(_naming(version, str(error))) from error.__cause__
        except Exception as error:
            # Whatever else is wrong with it, it is this version that cannot be used.
            odd = f"'{folder}' cannot be used: {type(error).__name__}: {error}. {AGAIN}"
            raise BundleError(_naming(version, odd)) from error

    @classmethod
    def _checked(cls, folder: Path, version: str, role: Role) -> Self:
        manifest = Manifest.read(folder)
        content = _read_checked(folder, manifest, role)
        try:
            cells = Cells.from_bytes(content)
            cells.require_usable(manifest.target)
        except ValueError as error:
            raise BundleError(
                f"'{folder / TABLES[role]}' is not a usable table: {error}. {AGAIN}"
            ) from error
        predictor = cls(manifest, cells, version, role)
        if role == "serving":
            _check_golden_rows(folder, predictor)
        return predictor

    def predict(self, activity: Any, *, level: float = DEFAULT_LEVEL) -> Predictions:
        """Predict each row of `activity`, in its order, with intervals at `level`.

        Parameters
        ----------
        activity : Activity or table
            A table of pandas, Polars or Arrow has the columns that `clv score` reads, such as
            `recency_7`, `frequency_7` and `monetary_value_7`; others are ignored.
        level : float
            From 0.5 to 0.99.

        Raises
        ------
        DataError
            If the level is not between 0.5 and 0.99, or a value cannot be: names it and its row.
        """
        if not isinstance(activity, Activity):
            activity = activity_of(activity, self.window)
        elif len(activity) and activity.recency.max() > self.window.observation_days:
            require_valid(activity, self.window)
        return self.scorer.predict(activity.matrix(), level)

    def predict_one(
        self, recency: float, frequency: float, monetary: float, *, level: float = DEFAULT_LEVEL
    ) -> Prediction:
        """Predict one customer; the same answer as in a batch.

        Raises
        ------
        DataError
            If the level or a value is out of its range, or two values contradict each other.
        """
        if not self._can_be(recency, frequency, monetary):
            require_valid(Activity.of(recency, frequency, monetary), self.window)
        return self.scorer.predict_one(recency, frequency, monetary, level)

    def _can_be(self, recency: float, frequency: float, monetary: float) -> bool:
        """As `require_valid`, in a thousandth of the time; what is no number cannot be."""
        try:
            return bool(
                0 <= recency <= self.window.observation_days
                and 0 <= frequency <= MAX_FREQUENCY
                and 0 <= monetary <= MAX_MONETARY
                and recency == recency // 1
                and frequency == frequency // 1
                and (recency > 0) == (frequency > 0)
                and (frequency > 0 or monetary == 0)
            )
        except (TypeError, ValueError):
            return False

    def why_out_of_support(self, recency: float, frequency: float, monetary: float) -> str:
        """Say of a customer out of support what is rare about it."""
        found = self.surroundings.similar_to(recency, frequency, monetary)
        were = "customer was" if found == 1 else "customers were"
        return (
            f"{found} training {were} like this one "
            f"({self.surroundings.describe(recency, frequency, monetary)}); at least "
            f"{self.surroundings.needed} are needed for a reliable prediction"
        )


def _naming(version: str, text: str) -> str:
    return text if version == UNREGISTERED else f"Version {version} cannot be loaded: {text}"


def _check_golden_rows(folder: Path, predictor: Predictor) -> None:
    rows = predictor.manifest.golden
    said = predictor.predict(
        Activity.of(
            [row.recency for row in rows],
            [row.frequency for row in rows],
            [row.monetary for row in rows],
        )
    )
    for name in ("expected_increment", "p_return"):
        found = getattr(said, name)
        expected = np.array([getattr(row, name) for row in rows])
        # The negation also refuses NaN.
        near = _GOLDEN_TOLERANCE * np.maximum(np.abs(expected), 1.0)
        wrong = ~(np.abs(found - expected) <= near)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise BundleError(
                f"'{folder}' does not give the predictions that it gave when it was written: "
                f"golden row {row} "
                f"gives {found[row]:.6g} as {name}, expected {expected[row]:.6g}. " + AGAIN
            )


def _read_checked(folder: Path, manifest: Manifest, role: Role) -> bytes:
    """The table of a role, once the folder holds exactly the files of the manifest, unaltered.

    Nothing is loaded that nobody vouched for.
    """
    try:
        found = {path.name for path in folder.iterdir()} - {MANIFEST}
        expected = set(TABLES.values())
        if set(manifest.files) != expected or found != expected:
            odd = ", ".join(sorted((found ^ expected) | (set(manifest.files) ^ expected)))
            raise BundleError(
                f"'{folder}' must hold {MANIFEST} and {', '.join(sorted(expected))}, no more and "
                f"no less; at fault: {odd}. Register the bundle again."
            )
        contents = {name: read_bounded(folder / name) for name in manifest.files}
        for name, checksum in manifest.files.items():
            if hashlib.sha256(contents[name]).hexdigest() != checksum:
                raise BundleError(
                    f"'{folder / name}' was altered: its sha256 is not that of the manifest. "
                    + AGAIN
                )
        return contents[TABLES[role]]
    except OSError as error:
        raise BundleError(
            f"'{error.filename}' cannot be read: {error.strerror}. {AGAIN}"
        ) from error
