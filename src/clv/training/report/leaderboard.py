"""The leaderboard, its columns defined once: for terminal, Markdown, CSV, HTML and registry."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clv.training.pipeline import Standing

__all__ = ["COLUMNS", "Column", "leaderboard_table", "metrics", "write_leaderboard"]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of each model.

    Attributes
    ----------
    name : str
        For machines.
    title : str
        For people.
    value : function of Standing
        NaN where it could not be computed: where nobody in the test came back there is no order to
        find, and no Gini.
    form : str
        How people see it.
    digits : int
        How many machines get.
    kind : {'quality', 'comparison', 'time'}
        A comparison says nothing of the model alone; time is another at every run.
    """

    name: str
    title: str
    value: Callable[[Standing], float]
    form: str
    digits: int
    kind: str = "quality"

    def text(self, row: Standing) -> str:
        """The figure for people; a dash where it could not be computed."""
        value = self.value(row)
        return format(value, self.form) if math.isfinite(value) else "–"

    def cell(self, row: Standing) -> float | str:
        """The figure for a file; empty where it could not be computed."""
        value = self.value(row)
        return round(value, self.digits) + 0.0 if math.isfinite(value) else ""


COLUMNS = (
    Column("cv_mse", "cv MSE", lambda row: row.cv_mse, ".1f", 4),
    Column("cv_mse_se", "±", lambda row: row.cv_mse_se, ".1f", 4),
    Column(
        "cv_mse_to_champion",
        "to champion",
        lambda row: row.to_champion.mean,
        "+.1f",
        4,
        "comparison",
    ),
    Column(
        "cv_mse_to_champion_se",
        "±",
        lambda row: row.to_champion.standard_error,
        ".1f",
        4,
        "comparison",
    ),
    Column("test_mse", "test MSE", lambda row: row.test_mse, ".1f", 4),
    Column("test_mae", "MAE", lambda row: row.test_mae, ".2f", 4),
    Column("test_bias", "bias", lambda row: row.test_bias, "+z.1%", 6),
    Column("test_gini_total", "Gini total", lambda row: row.test_gini_total, "z.3f", 6),
    Column("test_gini_increment", "Gini increment", lambda row: row.test_gini_increment, "z.3f", 6),
    Column("test_decile_mape", "decile MAPE", lambda row: row.test_decile_mape, ".1%", 6),
    Column("fit_seconds", "fit s", lambda row: row.fit_seconds, ".2f", 3, "time"),
)


def write_leaderboard(path: Path, leaderboard: Sequence[Standing]) -> None:
    """Write it as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "best_params", *(column.name for column in COLUMNS)])
        for row in leaderboard:
            figures = [column.cell(row) for column in COLUMNS]
            writer.writerow([row.model, json.dumps(row.best_params), *figures])


def leaderboard_table(leaderboard: Sequence[Standing]) -> str:
    """Write it as a Markdown table, without what is another at every run."""
    columns = [column for column in COLUMNS if column.kind != "time"]
    lines = [
        ["model", *(column.title for column in columns)],
        ["---", *["--:"] * len(columns)],
        *([row.model, *(column.text(row) for column in columns)] for row in leaderboard),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def metrics(row: Standing) -> dict[str, float]:
    """What the registry keeps of one model; what could not be computed is left out."""
    values = {column.name: column.value(row) for column in COLUMNS if column.kind != "comparison"}
    return {name: value for name, value in values.items() if math.isfinite(value)}
