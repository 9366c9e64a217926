"""Leaderboard and model card say all of it, and nothing that is none."""

import csv
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from clv.data.checks import History
from clv.data.findings import Finding
from clv.models.candidates import AVERAGE, MEAN, PERSISTENCE
from clv.training import TrainingResult, train
from clv.training.appraisal import appraise
from clv.training.pipeline import Standing
from clv.training.report import Report, leaderboard_table, make_report, model_card, write_reports
from clv.training.report.leaderboard import metrics
from clv.training.split import held_out
from support import quick_candidates
from training.report.making import holdout_of
from training.spies import Refuses, candidate

COLUMNS = [
    "model", "best_params", "cv_mse", "cv_mse_se", "cv_mse_to_champion", "cv_mse_to_champion_se",
    "test_mse", "test_mae", "test_bias", "test_gini_total", "test_gini_increment",
    "test_decile_mape", "fit_seconds",
]  # fmt: skip
NO_NUMBER = re.compile(r"\b(nan|inf|none)\b|-0\.0*\b(?!\d)", re.IGNORECASE)


@pytest.fixture(scope="module")
def nobody_returned(history: History) -> TrainingResult:
    """Of the held-out passengers none came back: there is no Gini on the increment."""
    few = history[np.arange(len(history)) < 1_000]
    test = held_out(few.ids, seed=42, share=0.2)
    outcome = np.where(test, few.activity.monetary, few.outcome)
    return train(
        replace(few, outcome=outcome, returned=outcome > few.activity.monetary),
        among=[*quick_candidates()[:3], candidate("refuses", Refuses())],
    )


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "model_results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_results_hold_every_candidate_and_every_figure(
    result: TrainingResult, report: Report, tmp_path: Path
) -> None:
    assert [path.name for path in write_reports(tmp_path, result, report)] == [
        "model_results.csv",
        "model_card.md",
        "report.html",
        "report.json",
    ]
    rows = rows_of(tmp_path)
    assert list(rows[0]) == COLUMNS
    assert {row["model"] for row in rows} == {one.name for one in quick_candidates()} | {AVERAGE}
    assert [row["model"] for row in rows] == [row.model for row in result.leaderboard]
    for row, standing in zip(rows, result.leaderboard, strict=True):
        assert json.loads(row["best_params"]) == standing.best_params
        for field in fields(Standing):
            if isinstance(getattr(standing, field.name), float):
                written = float(row[field.name])
                assert written == pytest.approx(getattr(standing, field.name), abs=6e-4)
        assert float(row["cv_mse_to_champion"]) == pytest.approx(
            standing.to_champion.mean, abs=1e-3
        )


def test_the_card_names_the_champion_and_how_it_was_chosen(result: TrainingResult) -> None:
    card = model_card(result)
    assert card.startswith(f"# Model card: {result.champion.model}\n")
    assert f"{result.test.sum():,} customers were held out by a hash of their id (seed 42)" in card
    assert f"On the other {(~result.test).sum():,} every candidate was searched by 5-fold" in card
    assert "**The model that is served was then fitted anew on all rows**" in card
    assert "No findings." in card
    assert "## Limits" in card
    assert "Predicted value is not the effect of a campaign." in card
    assert result.history.fingerprint()[:16] in card
    for baseline in (MEAN, PERSISTENCE):
        assert f"of *{baseline}*: a difference of" in card
        assert f"{result.standing(baseline).test_mse:.1f}" in card
    assert json.dumps(result.champion.best_params)[1:-1] in card


def test_the_card_says_whether_the_best_or_a_simpler_one_was_taken(result: TrainingResult) -> None:
    choice = result.choice
    best = model_card(replace(result, choice=replace(choice, champion=choice.best)))
    assert "has the lowest error of those that keep the laws, and no simpler candidate" in best
    other = replace(choice.best, name="another")
    simpler = model_card(replace(result, choice=replace(choice, best=other)))
    assert "**another** has the lowest error of those that keep the laws" in simpler
    assert f"but **{choice.champion.name}** is simpler" in simpler


def test_the_table_of_the_card_has_a_line_for_each_model(result: TrainingResult) -> None:
    lines = [line for line in model_card(result).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(result.leaderboard)
    assert len({line.count("|") for line in lines}) == 1
    for line, row in zip(lines[2:], result.leaderboard, strict=True):
        assert line.startswith(f"| {row.model} | {row.cv_mse:.1f} |")


def test_the_card_holds_what_was_found_in_the_data(result: TrainingResult) -> None:
    finding = Finding(
        "kept", "outcome-below-spend", "monetary_value_30", 306, "less money", "Kept.", ("id 7",)
    )
    card = model_card(replace(result, history=replace(result.history, findings=(finding,))))
    assert "- *kept*: monetary_value_30: less money (306 rows). For example id 7. Kept." in card
    assert "No findings." not in card


def test_a_figure_that_is_not_defined_is_left_blank(
    nobody_returned: TrainingResult, tmp_path: Path
) -> None:
    assert np.isnan(nobody_returned.champion.test_gini_increment)
    write_reports(
        tmp_path,
        nobody_returned,
        make_report(nobody_returned, holdout_of(nobody_returned), appraise(nobody_returned)),
    )
    for row in rows_of(tmp_path):
        assert row["test_gini_increment"] == ""
        assert all(value for name, value in row.items() if name != "test_gini_increment")
    results, card = (
        (tmp_path / name).read_text(encoding="utf-8")
        for name in ("model_results.csv", "model_card.md")
    )
    assert not NO_NUMBER.search(results)
    assert not NO_NUMBER.search(card)
    assert card.count("| – |") == len(nobody_returned.leaderboard)


def test_nothing_is_none_in_the_reports_of_a_usual_training(
    result: TrainingResult, report: Report, tmp_path: Path
) -> None:
    for path in write_reports(tmp_path, result, report)[:2]:
        assert not NO_NUMBER.search(path.read_text(encoding="utf-8")), path.name


def test_a_candidate_that_was_left_out_is_on_the_card_with_its_reason(
    nobody_returned: TrainingResult,
) -> None:
    reason = "- refuses could not be fitted: These customers are not to my taste.\n"
    # A blank line ends the list; otherwise the next paragraph would belong to it.
    assert reason + "\n`cv` is cross-validated" in model_card(nobody_returned)


def test_what_is_another_at_every_run_is_not_in_the_table(result: TrainingResult) -> None:
    assert "fit s" not in leaderboard_table(result.leaderboard)


def test_the_registry_gets_the_figures_of_a_model_alone(result: TrainingResult) -> None:
    kept = metrics(result.champion)
    compared = {"cv_mse_to_champion", "cv_mse_to_champion_se"}
    assert set(kept) == set(COLUMNS) - compared - {"model", "best_params"}
    assert kept["test_mse"] == result.champion.test_mse
