"""What a training leaves to read: the leaderboard as CSV and the model card as Markdown."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from clv.models.candidates import MEAN, PERSISTENCE, PUBLISHED
from clv.training.pipeline import Standing, TrainingResult

__all__ = ["MODEL_CARD", "MODEL_RESULTS", "write_reports"]

MODEL_RESULTS = "model_results.csv"
MODEL_CARD = "model_card.md"

_COLUMNS = (
    "model", "best_params", "cv_mse", "cv_mse_se", "cv_mse_to_champion", "cv_mse_to_champion_se",
    "test_mse", "test_mae", "test_bias", "test_gini_total", "test_gini_increment",
    "test_decile_mape", "fit_seconds",
)  # fmt: skip


def write_reports(folder: Path, result: TrainingResult) -> list[Path]:
    """Write both reports into `folder`."""
    results, card = folder / MODEL_RESULTS, folder / MODEL_CARD
    with results.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(_cells(row) for row in result.leaderboard)
    card.write_text(model_card(result), encoding="utf-8")
    return [results, card]


def _cells(row: Standing) -> list[object]:
    return [
        row.model,
        json.dumps(row.best_params),
        *(
            round(value, 6)
            for value in (
                row.cv_mse,
                row.cv_mse_se,
                row.to_champion.mean,
                row.to_champion.standard_error,
                row.test_mse,
                row.test_mae,
                row.test_bias,
                row.test_gini_total,
                row.test_gini_increment,
                row.test_decile_mape,
                row.fit_seconds,
            )
        ),
    ]


def model_card(result: TrainingResult) -> str:
    """The model card: what it is for, what it learnt from, how it was chosen, how good, its limits."""
    history, choice = result.history, result.choice
    window = history.window
    tested, learnt = int(result.test.sum()), int((~result.test).sum())
    findings = [f"- *{finding.severity}*: {finding}" for finding in history.findings]
    failed = [f"- {name} could not be fitted: {why}" for name, why in result.failed.items()]
    parameters = json.dumps(choice.champion.parameters)
    return "\n".join(
        [
            f"# Model card: {choice.champion.name}",
            "",
            f"Predicts what a customer spends in the first {window.horizon_days} days after "
            f"registration from recency, frequency and money spent in the first "
            f"{window.observation_days}. Meant for choosing whom a campaign is worth; not for "
            "pricing, credit or any decision about a single person's rights.",
            "",
            "## What it learnt from",
            "",
            f"`{history.source}`: {history.rows_read:,} rows read, {len(history):,} used "
            f"(fingerprint `{history.fingerprint()[:16]}`). Mean spend "
            f"{history.activity.monetary.mean():.2f} in the first {window.observation_days} days, "
            f"{history.outcome.mean():.2f} by day {window.horizon_days}; "
            f"{(history.increment > 0).mean():.1%} spent anything in between.",
            "",
            *(findings or ["No findings."]),
            "",
            "## How it was chosen",
            "",
            f"{tested:,} customers were held out by a hash of their id (seed {result.seed}) before "
            f"anything was looked at. On the other {learnt:,} every candidate was searched by "
            f"5-fold cross-validation. {_why(result)} Best parameters: `{parameters}`.",
            "",
            _table(result.leaderboard),
            *(["", *failed] if failed else []),
            "",
            "`cv` is cross-validated on the training rows, `test` measured once on the held-out "
            "rows after the choice. The difference to the champion is paired, row by row.",
            "",
            "## How good it is",
            "",
            *_against_the_baselines(result),
            f"- Bias on the test rows: {result.champion.test_bias:+.2%} of the money.",
            "",
            "**The model that is served was then fitted anew on all rows**, test rows included; the "
            "figures above are those of the same recipe fitted on the training rows alone.",
            "",
            "## Limits",
            "",
            "- Three features leave most of the difference between customers unexplained: a "
            "prediction is a mean over customers alike, not a promise about one.",
            "- Predicted value is not the effect of a campaign.",
            "- It speaks of customers like those it learnt from; train again when behaviour, prices "
            "or cities change.",
            "",
        ]
    )


def _why(result: TrainingResult) -> str:
    choice = result.choice
    if choice.champion is choice.best:
        return f"**{choice.champion.name}** has the lowest error, and no simpler candidate is within one standard error of it."
    return (
        f"**{choice.best.name}** has the lowest error, but {choice.champion.name} is simpler and "
        f"within one paired standard error of it ({choice.difference.mean:+.1f} "
        f"± {choice.difference.standard_error:.1f})."
    )


def _against_the_baselines(result: TrainingResult) -> list[str]:
    lines = []
    names = {row.model for row in result.leaderboard}
    for name in (PUBLISHED, PERSISTENCE, MEAN):
        if name not in names or name == result.champion.model:
            continue
        row = result.standing(name)
        paired = row.test_to_champion
        lines.append(
            f"- Test MSE {result.champion.test_mse:.1f} against {row.test_mse:.1f} of *{name}*: "
            f"{-paired.mean:+.1f}, 95% bootstrap interval {-paired.high:+.1f} to {-paired.low:+.1f}; "
            f"cross-validated {-row.to_champion.mean:+.1f} ± {row.to_champion.standard_error:.1f}."
        )
    return lines


def _table(leaderboard: Sequence[Standing]) -> str:
    lines = [
        "| model | cv MSE | to champion | test MSE | MAE | bias | Gini total | Gini increment | decile MAPE |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row.model} | {row.cv_mse:.1f} | {row.to_champion.mean:+.1f} "
        f"± {row.to_champion.standard_error:.1f} | {row.test_mse:.1f} | {row.test_mae:.2f} "
        f"| {row.test_bias:+.1%} | {row.test_gini_total:.3f} | {row.test_gini_increment:.3f} "
        f"| {row.test_decile_mape:.3f} |"
        for row in leaderboard
    ]
    return "\n".join(lines)
