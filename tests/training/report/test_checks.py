"""An honest history raises no issue; each planted fault is caught by its check."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from clv.data.checks import History, read_history
from clv.data.simulate import simulate
from clv.data.sources import open_source
from clv.schema import Window
from clv.training import TrainingResult
from clv.training.appraisal import Appraisal
from clv.training.report import Report
from clv.training.report.checks import QUESTIONS, Check, check_training, questions_table
from clv.training.report.evidence import Evidence
from clv.training.split import held_out
from training.report.making import holdout_of, report_of, statuses, with_activity

# What is true of 4,000 generated passengers: too few to know everybody's like.
SMALL = {"CLV013"}


def issues(report: Report) -> set[str]:
    return {check.code for check in report.issues}


def found(report: Report, code: str) -> str:
    return next(check.found for check in report.checks if check.code == code)


@pytest.fixture(scope="module")
def evidence(result: TrainingResult, appraisal: Appraisal) -> Evidence:
    return Evidence.of(result, holdout_of(result), appraisal)


# ---------------------------------------------------------------- nothing wrong


def test_an_honest_history_raises_no_issue(tmp_path: Path) -> None:
    chunks = [chunk.activity for chunk in simulate(12_000, seed=11)]
    pyarrow.parquet.write_table(pa.concat_tables(chunks), tmp_path / "activity.parquet")
    with open_source(tmp_path / "activity.parquet") as source:
        honest = report_of(read_history(source, Window()))
    assert set(statuses(honest).values()) == {"passed"}
    assert honest.verdict.startswith("None of 14 checks found an issue.")


def test_a_small_honest_history_is_only_said_to_be_small(report: Report) -> None:
    assert issues(report) <= SMALL
    assert [check.code for check in report.checks] == sorted(check.code for check in QUESTIONS)


def test_without_dates_cohorts_are_not_asked_about(history: History) -> None:
    undated = report_of(replace(history, registered_at=None))
    asked = statuses(undated)
    assert (asked["CLV007"], asked["CLV014"]) == ("not applicable", "not applicable")
    assert issues(undated) <= SMALL
    assert undated.cohorts == ()


# ---------------------------------------------------------------- planted faults


def copied_into_frequency(history: History) -> History:
    return with_activity(history, frequency=np.round(history.outcome))


def mostly_copied_into_money(history: History) -> History:
    return with_activity(history, monetary=history.activity.monetary + 0.9 * history.increment)


def copied_into_money_of_half(history: History) -> History:
    half = np.random.default_rng(0).random(len(history)) < 0.5
    return with_activity(
        history, monetary=np.where(half, history.outcome, history.activity.monetary)
    )


def later_rides_counted(history: History) -> History:
    return with_activity(
        history, frequency=history.activity.frequency + np.ceil(history.increment / 20)
    )


def recency_looked_ahead(history: History) -> History:
    recency = np.where(history.returned, 7, np.minimum(history.activity.recency, 6))
    return with_activity(history, recency=recency.astype(float))


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (copied_into_frequency, "frequency ranks the outcome 1.00"),
        (mostly_copied_into_money, "monetary ranks the outcome 1.00"),
        (copied_into_money_of_half, "of those who rode again spent nothing more"),
        (later_rides_counted, "frequency ranks the outcome"),
        (recency_looked_ahead, "recency tells who returns, AUC"),
    ],
)
def test_an_outcome_in_a_feature_is_caught(
    plant: Callable[[History], History], says: str, history: History
) -> None:
    planted = report_of(plant(history))
    assert "CLV009" in issues(planted)
    assert says in found(planted, "CLV009")
    assert "CLV009" in planted.verdict


def test_shuffled_outcomes_are_caught(history: History) -> None:
    outcome = np.random.default_rng(0).permutation(history.outcome)
    shuffled = report_of(
        replace(history, outcome=outcome, returned=outcome > history.activity.monetary)
    )
    assert {"CLV002", "CLV011"} <= issues(shuffled)


def test_shuffled_increments_are_caught(history: History) -> None:
    others = np.random.default_rng(0).permutation(len(history))
    shuffled = report_of(
        replace(
            history,
            outcome=history.activity.monetary + history.increment[others],
            returned=history.returned[others],
        )
    )
    assert "CLV002" in issues(shuffled)


def doubled(history: History, rows: np.ndarray) -> History:
    factor = np.where(rows, 2.0, 1.0)
    return replace(
        with_activity(history, monetary=history.activity.monetary * factor),
        outcome=history.outcome * factor,
    )


def test_doubled_fares_in_the_test_rows_are_caught(history: History) -> None:
    test = held_out(history.ids, seed=42, share=0.2)
    planted = report_of(doubled(history, test))
    assert "CLV006" in issues(planted)
    assert statuses(planted)["CLV007"] == "passed"


def test_doubled_fares_in_the_youngest_cohort_are_caught(history: History) -> None:
    dates = history.registered_at
    assert dates is not None
    youngest = dates >= np.sort(dates)[int(0.8 * len(dates))]
    planted = report_of(doubled(history, youngest))
    assert {"CLV007", "CLV014"} <= issues(planted)
    assert statuses(planted)["CLV006"] == "passed"


def test_a_target_that_is_the_week_for_all_but_a_few_is_caught(history: History) -> None:
    few = np.flatnonzero(history.returned)[10:]
    outcome = history.outcome.copy()
    outcome[few] = history.activity.monetary[few]
    planted = report_of(
        replace(history, outcome=outcome, returned=outcome > history.activity.monetary)
    )
    assert {"CLV001", "CLV002", "CLV008", "CLV012"} <= issues(planted)


def test_refunds_by_the_thousand_are_caught(history: History) -> None:
    odd = np.random.default_rng(0).random(len(history)) < 0.05
    planted = report_of(
        replace(history, outcome=np.where(odd, history.activity.monetary / 2, history.outcome))
    )
    assert "CLV011" in issues(planted)


# ---------------------------------------------------------------- what the model says


def asked_of(evidence: Evidence, code: str) -> Check:
    return next(check for check in check_training(evidence) if check.code == code)


def with_evaluation(evidence: Evidence, **parts: object) -> Evidence:
    return replace(evidence, evaluation=replace(evidence.evaluation, **parts))


def test_money_that_is_promised_too_much_is_an_issue(evidence: Evidence) -> None:
    quality = replace(evidence.evaluation.quality, bias=0.3)
    assert asked_of(with_evaluation(evidence, quality=quality), "CLV003").status == "issue"


@pytest.mark.parametrize(("is_point", "off", "status"), [
    (False, 0.25, "issue"), (False, -0.25, "issue"), (True, -0.25, "issue"), (True, 0.15, "passed"),
])  # fmt: skip
def test_coverage_that_is_off_in_one_bin_is_an_issue_but_a_point_may_cover_more(
    evidence: Evidence, *, is_point: bool, off: float, status: str
) -> None:
    wide, narrow = evidence.evaluation.coverage
    first, *others = narrow.bins
    bent = replace(first, covered=0.8 + off, is_point=is_point)
    coverage = (wide, replace(narrow, bins=(bent, *others)))
    check = asked_of(with_evaluation(evidence, coverage=coverage), "CLV004")
    assert check.status == status
    assert ("off in bin 1 at 80%" in check.found) == (status == "issue")


def test_a_probability_that_is_off_in_one_tenth_is_an_issue(evidence: Evidence) -> None:
    returning = evidence.evaluation.returning
    *others, last = returning.deciles
    bent = replace(returning, deciles=(*others, replace(last, happened=last.predicted - 0.25)))
    check = asked_of(with_evaluation(evidence, returning=bent), "CLV005")
    assert (check.status, f"tenth {last.group}: predicted" in check.found) == ("issue", True)


def test_customers_like_nobody_learnt_from_are_an_issue(evidence: Evidence) -> None:
    for share, status in ((0.89, "issue"), (0.91, "passed")):
        check = asked_of(with_evaluation(evidence, share_in_support=share), "CLV013")
        assert check.status == status


def test_bins_calibrated_on_a_handful_are_an_issue(evidence: Evidence) -> None:
    uncertainty = evidence.result.serving.uncertainty
    first, *others = uncertainty.calibration.bins
    few = uncertainty.calibration.model_copy(
        update={"bins": (first.model_copy(update={"rows": 60}), *others)}
    )
    serving = replace(
        evidence.result.serving, uncertainty=uncertainty.model_copy(update={"calibration": few})
    )
    check = asked_of(replace(evidence, result=replace(evidence.result, serving=serving)), "CLV010")
    assert (check.status, "calibrated on 60 rows" in check.found) == ("issue", True)


@pytest.mark.parametrize("part", [
    {"predicted": 30.0, "actual": 10.0}, {"covered": 0.7}, {"brier": 0.25},
])  # fmt: skip
def test_a_youngest_cohort_that_is_predicted_worse_is_an_issue(
    evidence: Evidence, part: dict[str, float]
) -> None:
    assert asked_of(evidence, "CLV014").status == "passed"
    *older, youngest = evidence.appraisal.cohorts
    worse = replace(evidence.appraisal, cohorts=(*older, replace(youngest, **part)))
    assert asked_of(replace(evidence, appraisal=worse), "CLV014").status == "issue"


# ---------------------------------------------------------------- the table of them


def test_codes_are_unique_and_every_question_says_what_to_do() -> None:
    codes = [question.code for question in QUESTIONS]
    assert codes == [f"CLV{number:03}" for number in range(1, len(codes) + 1)]
    for question in QUESTIONS:
        assert question.issue.endswith(".")
        assert question.advice.endswith(".")


def test_the_documentation_holds_the_table_of_checks() -> None:
    docs = Path(__file__).parents[3] / "docs" / "data-scientists.md"
    assert questions_table() in docs.read_text(encoding="utf-8")
