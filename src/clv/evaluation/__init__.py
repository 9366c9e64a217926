"""Predictions against actuals, as numbers and as pages.

Used by `clv validate` and by the report of every training.
"""

from clv.evaluation.evaluate import Evaluation, evaluate
from clv.evaluation.intervals import Coverage
from clv.evaluation.page import REPORT_JSON, REPORT_PAGE, write_page
from clv.evaluation.validate import Line, Validation, validate

__all__ = [
    "REPORT_JSON",
    "REPORT_PAGE",
    "Coverage",
    "Evaluation",
    "Line",
    "Validation",
    "evaluate",
    "validate",
    "write_page",
]
