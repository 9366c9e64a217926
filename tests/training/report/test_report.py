"""The report: its figures are those of the training, its page and its JSON hold them."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from clv.bundle import Predictor
from clv.data.checks import History
from clv.data.findings import Finding
from clv.metrics import normalised_gini
from clv.schema import FEATURES
from clv.training import TrainingResult, train
from clv.training.appraisal import appraise
from clv.training.report import Report, make_report
from clv.training.report.effects import effects_of
from clv.training.report.limits import LIMITS
from clv.training.report.page import write_report
from evaluation.test_page import HOSTILE, Page
from support import quick_candidates
from training.report.making import holdout_of


@pytest.fixture(scope="module")
def holdout(result: TrainingResult) -> Predictor:
    return holdout_of(result)


@pytest.fixture(scope="module")
def files(report: Report, tmp_path_factory) -> tuple[str, dict]:
    page, figures = write_report(tmp_path_factory.mktemp("report"), report)
    return page.read_text(encoding="utf-8"), json.loads(figures.read_bytes())


@pytest.fixture(scope="module")
def page(files) -> Page:
    return Page(files[0])


# ---------------------------------------------------------------- figures


def test_it_judges_the_recipe_on_the_rows_that_were_held_out(report, result, holdout):
    unseen = result.history[result.test]
    predicted = holdout.predict(unseen.activity).monetary
    assert report.evaluation.rows == len(unseen) == report.data.tested
    mse = ((predicted - unseen.outcome) ** 2).mean()
    assert report.evaluation.quality.mse == pytest.approx(mse)
    assert report.evaluation.quality.mse == pytest.approx(result.champion.test_mse, rel=1e-4)


def test_the_verdict_says_how_it_does_and_names_the_issues(report):
    assert f"On {report.data.tested} held-out customers" in report.verdict
    assert "below that of assuming no further spend" in report.verdict
    for check in report.issues:
        assert check.code in report.verdict
    assert "of 14 checks found an issue" in report.verdict


def test_another_order_is_measured_like_the_champions(report, result):
    unseen = result.history[result.test]
    (order,) = report.orders  # the published forest is not among the quick candidates
    assert order.gini_increment == normalised_gini(unseen.increment, unseen.activity.monetary)
    assert order.curve_increment[-1].money == pytest.approx(1)


def test_the_data_is_summed_up(report, result):
    history = result.history
    assert report.data.rows == len(history) == report.data.learnt + report.data.tested
    assert report.data.share_returning == pytest.approx(history.returned.mean())
    dates = history.registered_at.astype("datetime64[D]")
    assert report.data.registered == (str(dates.min()), str(dates.max()))


def test_effects_are_predictions_in_which_one_feature_varies(report, holdout):
    assert [line.feature for line in report.effects.lines] == [
        name for name in FEATURES for _ in range(3)
    ]
    line = report.effects.lines[1]
    assert line.values == (1, 2, 3, 4, 5, 6, 7)
    assert list(line.expected_increment) == sorted(line.expected_increment)  # a law of champions
    day, rides, money = (
        float(part.split()[position])
        for part, position in zip(line.customer.split(": ")[1].split(", "), (1, 0, 0), strict=True)
    )
    assert day in line.values
    said = holdout.predict_one(line.values[0], rides, money)
    assert line.p_return[0] == pytest.approx(said.p_return, abs=0.05)  # the label is rounded


def test_cells_count_every_customer_who_rode_in_their_range(report, result, holdout):
    activity = result.history.activity
    top = max(cell.money_to for cell in report.effects.cells)
    low = min(cell.money_from for cell in report.effects.cells)
    inside = (activity.frequency > 0) & (activity.monetary >= low) & (activity.monetary < top)
    assert sum(cell.customers for cell in report.effects.cells) == inside.sum()
    for cell in report.effects.cells:
        assert (cell.expected_increment is None) == (cell.customers < 20)


def test_a_long_window_is_drawn_in_sevenths(result, holdout):
    days = {cell.recency for cell in effects_of(holdout, result.history).cells}
    assert days == {1, 2, 3, 4, 5, 6, 7}


# ---------------------------------------------------------------- page and JSON


def test_the_json_holds_the_figures_of_the_report(files, report):
    said = files[1]
    assert said["format"] == 1
    assert said["verdict"] == report.verdict
    assert said["checks"] == [asdict(check) for check in report.checks]
    assert said["evaluation"]["quality"] == pytest.approx(asdict(report.evaluation.quality))
    assert [row["model"] for row in said["leaderboard"]] == [
        row.model for row in report.leaderboard
    ]
    assert said["cohorts"][0]["start"] == str(report.cohorts[0].start)
    assert said["noise"]["pairs"] == report.noise.pairs
    assert {"orders", "repeats", "effects", "data", "limits"} <= set(said)


def test_the_page_loads_nothing_and_brings_its_library_once(page, files):
    assert all(link.startswith("#") for link in page.links)
    assert page.tags["link"] == page.tags["img"] == page.tags["iframe"] == 0
    assert 1_000_000 < len(files[0]) < 8_000_000


def test_every_section_is_there_in_order(files, page):
    places = [
        files[0].index(f'<h2 id="{section}">')
        for section in (
            "checks", "data", "leaderboard", "order", "deciles", "intervals", "returning",
            "residuals", "campaign", "effects", "cohorts", "noise", "misses", "limits",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert page.tags["figure"] == page.tags["figcaption"] == 21


def test_the_page_says_verdict_checks_and_limits(page, report):
    said = " ".join(page.text.split())
    assert report.verdict in said
    assert [row[0] for row in page.tables[0][1:]] == [check.code for check in report.checks]
    assert [row[2] for row in page.tables[0][1:]] == [check.status for check in report.checks]
    for check in report.issues:
        assert " ".join(check.advice.replace("`", "").split()) in said
    for limit in LIMITS:
        assert limit in said
    assert "The model that serves is the same recipe refitted on all 4,000" in said


def test_the_page_holds_what_the_repeated_splits_say_of_intervals_and_returning(page, report):
    repeats = report.repeats
    tables = {table[0][0]: table for table in page.tables}
    assert [row[1:3] for row in tables["decile of customers"][1:]] == [
        [f"{said:.1%}", f"{came:.1%}"] for said, came in repeats.reliability
    ]
    assert f"the Brier score is {repeats.brier:.4f}, compared with" in " ".join(page.text.split())
    of_bins = next(table for table in page.tables if table[0][1] == "customers per split")
    assert [of_bins[0][3], of_bins[0][5]] == ["in the 90% interval", "in the 80% interval"]
    assert [(row[5], row[3]) for row in of_bins[1:]] == [
        tuple(f"{share:.1%}" for share in row.covered) for row in repeats.bins
    ]


def test_hostile_names_are_shown_and_not_run(report, page, tmp_path):
    finding = Finding("kept", "odd", HOSTILE, 1, HOSTILE, HOSTILE)
    leaderboard = tuple(
        replace(row, model=HOSTILE) if row.model == report.champion else row
        for row in report.leaderboard
    )
    hostile = replace(
        report,
        champion=HOSTILE,
        verdict=HOSTILE,
        parameters={HOSTILE: HOSTILE},
        data=replace(report.data, source=HOSTILE, findings=(finding,)),
        leaderboard=leaderboard,
        failed={HOSTILE: HOSTILE},
    )
    shown = Page(write_report(tmp_path, hostile)[0].read_text(encoding="utf-8"))
    assert all(link.startswith("#") for link in shown.links)
    # One more paragraph: the candidate that failed; and the finding is set in italics.
    assert shown.tags - page.tags == {"p": 1, "em": 1}
    assert HOSTILE in shown.text


def test_what_could_not_be_computed_is_said_in_words(history: History, tmp_path) -> None:
    """No dates, and nobody among the test rows came back."""
    few = replace(history, registered_at=None)[np.arange(len(history)) < 1_000]
    first = train(few, among=quick_candidates()[:3])
    outcome = np.where(first.test, few.activity.monetary, few.outcome)
    nobody = replace(few, outcome=outcome, returned=outcome > few.activity.monetary)
    result = train(nobody, among=quick_candidates()[:3])
    page, figures = write_report(
        tmp_path, make_report(result, holdout_of(result), appraise(result))
    )
    shown = Page(page.read_text(encoding="utf-8"))
    assert "The source has no registration dates" in shown.text
    assert "there is no ranking to measure" in shown.text
    assert "no dates in the source" in shown.text
    assert "nan" not in shown.text.lower()
    assert json.loads(figures.read_bytes())["evaluation"]["capture_increment"]["gini"] is None
