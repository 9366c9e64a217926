"""A report of the training that many tests share."""

import pytest

from clv.training import TrainingResult
from clv.training.appraisal import Appraisal
from clv.training.report import Report, make_report
from training.report.making import holdout_of


@pytest.fixture(scope="session")
def report(result: TrainingResult, appraisal: Appraisal) -> Report:
    return make_report(result, holdout_of(result), appraisal)
