"""What a training leaves to read: leaderboard, model card, and the report with its checks."""

from pathlib import Path

from clv.training.pipeline import TrainingResult
from clv.training.report.card import MODEL_CARD, model_card
from clv.training.report.checks import Check
from clv.training.report.content import Report, make_report
from clv.training.report.leaderboard import COLUMNS, leaderboard_table, write_leaderboard
from clv.training.report.page import write_report

__all__ = [
    "COLUMNS",
    "MODEL_CARD",
    "MODEL_RESULTS",
    "Check",
    "Report",
    "leaderboard_table",
    "make_report",
    "model_card",
    "write_reports",
]

MODEL_RESULTS = "model_results.csv"


def write_reports(folder: Path, result: TrainingResult, report: Report) -> list[Path]:
    """Write all of them into `folder`."""
    results, card = folder / MODEL_RESULTS, folder / MODEL_CARD
    write_leaderboard(results, result.leaderboard)
    card.write_text(model_card(result), encoding="utf-8")
    return [results, card, *write_report(folder, report)]
