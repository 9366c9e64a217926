"""What a training leaves to read: the leaderboard as CSV and the model card as Markdown."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import jinja2

from clv.models.candidates import MEAN, PERSISTENCE, PUBLISHED
from clv.training.pipeline import Standing, TrainingResult
from clv.training.search import FOLDS

__all__ = ["MODEL_CARD", "MODEL_RESULTS", "leaderboard_table", "model_card", "write_reports"]

MODEL_RESULTS = "model_results.csv"
MODEL_CARD = "model_card.md"


def write_reports(folder: Path, result: TrainingResult) -> list[Path]:
    """Write both reports into `folder`."""
    results, card = folder / MODEL_RESULTS, folder / MODEL_CARD
    rows = [_cells(row) for row in result.leaderboard]
    with results.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    card.write_text(model_card(result), encoding="utf-8")
    return [results, card]


def _cells(row: Standing) -> dict[str, object]:
    return {
        "model": row.model,
        "best_params": json.dumps(row.best_params),
        "cv_mse": round(row.cv_mse, 4),
        "cv_mse_se": round(row.cv_mse_se, 4),
        "cv_mse_to_champion": round(row.to_champion.mean, 4),
        "cv_mse_to_champion_se": round(row.to_champion.standard_error, 4),
        "test_mse": round(row.test_mse, 4),
        "test_mae": round(row.test_mae, 4),
        "test_bias": _rounded(row.test_bias, 6),
        "test_gini_total": _rounded(row.test_gini_total, 6),
        "test_gini_increment": _rounded(row.test_gini_increment, 6),
        "test_decile_mape": _rounded(row.test_decile_mape, 6),
        "fit_seconds": round(row.fit_seconds, 3),
    }


# Where nobody in the test came back there is no order to find, and no Gini.
def _rounded(value: float, digits: int) -> float | str:
    return round(value, digits) + 0.0 if math.isfinite(value) else ""


def _text(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "–"


def leaderboard_table(leaderboard: Sequence[Standing]) -> str:
    """Write the leaderboard as a Markdown table."""
    heads = (
        "model", "cv MSE", "less the champion's", "test MSE", "MAE", "bias", "Gini total",
        "Gini increment", "decile MAPE",
    )  # fmt: skip
    rows = [
        (
            row.model,
            f"{row.cv_mse:.1f}",
            f"{row.to_champion.mean:+.1f} ± {row.to_champion.standard_error:.1f}",
            f"{row.test_mse:.1f}",
            f"{row.test_mae:.2f}",
            f"{row.test_bias:+.1%}",
            _text(row.test_gini_total, "z.3f"),
            _text(row.test_gini_increment, "z.3f"),
            _text(row.test_decile_mape, ".1%"),
        )
        for row in leaderboard
    ]
    lines = [" | ".join(cells) for cells in (heads, ("---", *["--:"] * (len(heads) - 1)), *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def model_card(result: TrainingResult) -> str:
    """Say what it is for, learnt from, how it was chosen, how good it is, and its limits."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("clv.training", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, read as text
    )
    baselines = {PUBLISHED, PERSISTENCE, MEAN} - {result.champion.model}
    return templates.get_template(MODEL_CARD).render(
        history=result.history,
        window=result.history.window,
        champion=result.champion,
        choice=result.choice,
        table=leaderboard_table(result.leaderboard),
        compared=[row for row in result.leaderboard if row.model in baselines],
        failed=result.failed,
        tested=int(result.test.sum()),
        learnt=int((~result.test).sum()),
        seed=result.seed,
        folds=FOLDS,
    )
