"""What is served: tables of cells and a manifest, and the one path for a prediction.

A bundle is a folder:

    manifest.json    what it is, what it was learnt from, calibration, checksums, golden rows
    serving.npz      the champion, fitted on all rows; every prediction comes from it
    holdout.npz      the same recipe fitted on the training rows only; it is never served. It is
                     what a later challenger is compared with, on rows that neither has seen
"""

from clv.bundle.calibration import Calibration
from clv.bundle.cells import Cells
from clv.bundle.intervals import DEFAULT_LEVEL, MAX_LEVEL, MIN_LEVEL, Intervals
from clv.bundle.manifest import DataSummary, GoldenRow, Histogram, Manifest, Uncertainty
from clv.bundle.predictions import Prediction, Predictions, to_cents
from clv.bundle.predictor import Predictor
from clv.bundle.support import Support
from clv.bundle.write import write_bundle

__all__ = [
    "DEFAULT_LEVEL",
    "MAX_LEVEL",
    "MIN_LEVEL",
    "Calibration",
    "Cells",
    "DataSummary",
    "GoldenRow",
    "Histogram",
    "Intervals",
    "Manifest",
    "Prediction",
    "Predictions",
    "Predictor",
    "Support",
    "Uncertainty",
    "to_cents",
    "write_bundle",
]
