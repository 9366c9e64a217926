"""From a history to a released model: split, search, choose, test once, refit, report, release.

The test rows are split off before anything is looked at. Candidates are searched and the champion
is chosen by cross-validation on the training rows alone; only then is it scored on the test rows.
"""

from clv.training.pipeline import TrainingResult, train
from clv.training.progress import Progress, Silent
from clv.training.release import Release, release
from clv.training.retrain import Retraining, retrain

__all__ = [
    "Progress",
    "Release",
    "Retraining",
    "Silent",
    "TrainingResult",
    "release",
    "retrain",
    "train",
]
