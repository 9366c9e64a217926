"""Reports of trainings that are made for a test."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from clv.bundle import Predictor, write_bundle
from clv.data.checks import History
from clv.models.candidates import PERSISTENCE, Candidate
from clv.models.tabulate import tabulate
from clv.training import TrainingResult, train
from clv.training.appraisal import appraise
from clv.training.release import _manifest
from clv.training.report import Report, make_report
from support import quick_candidates

__all__ = ["few_candidates", "holdout_of", "report_of", "statuses", "with_activity"]


def few_candidates() -> list[Candidate]:
    """One that learns and one that does not."""
    return [one for one in quick_candidates() if one.name in (PERSISTENCE, "boosting, Tweedie")]


def holdout_of(result: TrainingResult) -> Predictor:
    """The champion's recipe fitted on the training rows, through a bundle as in a release."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        manifest = _manifest(result, datetime(2026, 11, 1, tzinfo=UTC), generated=False)
        fits = {"serving": result.serving, "holdout": result.holdout}
        write_bundle(
            bundle,
            manifest,
            {role: tabulate(fit.expected, fit.returning) for role, fit in fits.items()},
        )
        return Predictor.load(bundle, role="holdout")


def report_of(history: History) -> Report:
    """Train on a history and report."""
    result = train(history, among=few_candidates())
    return make_report(result, holdout_of(result), appraise(result))


def statuses(report: Report) -> dict[str, str]:
    """Status of each check by its code."""
    return {check.code: check.status for check in report.checks}


def with_activity(history: History, **features: object) -> History:
    """The same customers with other features."""
    return replace(history, activity=replace(history.activity, **features))
