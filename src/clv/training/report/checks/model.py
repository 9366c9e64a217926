"""Checks of what the champion says."""

import numpy as np

from clv.metrics import PairedDifference, paired_difference, ranks, squared_errors
from clv.schema import Floats
from clv.training.report.checks.check import Answer, Question, not_applicable, verdict
from clv.training.report.evidence import Evidence

__all__ = ["QUESTIONS"]

# Beyond three standard errors chance alone raises an issue in about one of 400 honest groups.
_SURE = 3.0
# Half of what a budget usually tolerates; and beyond two standard errors, or small tests cry wolf.
_BIAS, _BIAS_SURE = 0.02, 2.0
# What the intervals promise of each score bin.
_COVERAGE_OFF = 0.04
_PROBABILITY_OFF = 0.02
# Coverage of new customers spreads by 3 points around the level with 100 calibration rows in a bin
# and by 4 with 50 (a beta distribution: Angelopoulos, Bates (2021), arXiv:2107.07511, 3.2).
_CALIBRATION_ROWS = 100
# A share of 100 returning customers is known to a tenth of itself.
_RETURNING_TESTED = 100
_OUT_OF_SUPPORT = 0.1


def _against(evidence: Evidence, other: Floats) -> PairedDifference:
    """Squared errors of the champion less those of other increments, on all rows."""
    history = evidence.result.history
    actual, spent = history.outcome, history.activity.monetary
    return paired_difference(
        squared_errors(actual, spent + evidence.expected), squared_errors(actual, spent + other)
    )


def _said(difference: PairedDifference) -> str:
    return (
        f"{difference.mean:+,.1f} (95% interval {difference.low:+,.1f} to {difference.high:+,.1f}, "
        f"{difference.rows:,} rows, each predicted by a model that did not see it)"
    )


def _beats_persistence(evidence: Evidence) -> Answer:
    difference = _against(evidence, np.zeros(len(evidence.expected)))
    return verdict(
        f"MSE less that of 'month = week': {_said(difference)}.", issue=difference.high >= 0
    )


def _has_learnt(evidence: Evidence) -> Answer:
    history = evidence.result.history
    spent = history.activity.monetary
    # Both: shuffled outcomes leave an order on the increment, as who spent little has more to
    # come; shuffled increments leave one on the total, most of which is known.
    total = _from_chance(history.outcome, spent + evidence.expected)
    increment = _from_chance(history.increment, evidence.expected)
    constant = np.full(len(history), evidence.seen.increment.mean())
    difference = _against(evidence, constant)
    return verdict(
        f"The order of the predictions is {increment:.1f} standard deviations from chance on the "
        f"increment and {total:.1f} on the total; MSE less that of giving everybody the mean "
        f"increment: {_said(difference)}.",
        issue=min(total, increment) <= _SURE or difference.high >= 0,
    )


def _from_chance(actual: Floats, predicted: Floats) -> float:
    """How far the order is from chance: were outcomes dealt at random, with mean 0 and deviation 1.

    That holds however heavy the tail of the outcomes is: the variance is that over permutations.
    """
    order = ranks(predicted)
    if np.ptp(order) == 0 or np.ptp(actual) == 0:
        return 0.0
    return float(np.corrcoef(order, actual)[0, 1] * np.sqrt(len(order) - 1))


def _is_unbiased(evidence: Evidence) -> Answer:
    off = evidence.said.monetary - evidence.unseen.outcome
    bias = evidence.evaluation.quality.bias
    error = float(off.std(ddof=1) * np.sqrt(len(off)) / evidence.unseen.outcome.sum())
    return verdict(
        f"Predicted spend of the test rows is {bias:+.2%} off, standard error {error:.2%}.",
        issue=abs(bias) > _BIAS and abs(bias) > _BIAS_SURE * error,
    )


def _covers(evidence: Evidence) -> Answer:
    off = []
    for measured in evidence.evaluation.coverage:
        for row in measured.bins:
            difference = row.covered - measured.level
            if row.is_point:
                # It covers those who never return, who are more than the level.
                difference = min(difference, 0.0)
            if abs(difference) > max(_COVERAGE_OFF, _SURE * row.standard_error):
                off.append(f"bin {row.score_bin} at {measured.level:.0%}: {row.covered:.1%}")
    overall = ", ".join(
        f"{one.covered:.1%} at {one.level:.0%}" for one in evidence.evaluation.coverage
    )
    details = f"; off in {'; '.join(off)}" if off else "; no score bin is off"
    return verdict(f"Covered of the test rows: {overall}{details}.", issue=bool(off))


def _probability_is_honest(evidence: Evidence) -> Answer:
    returning = evidence.evaluation.returning
    off = [
        f"tenth {row.group}: predicted {row.predicted:.1%}, returned {row.happened:.1%}"
        for row in returning.deciles
        if abs(row.happened - row.predicted) > _PROBABILITY_OFF + _SURE * row.standard_error
    ]
    details = "; ".join(off) if off else "no tenth is off"
    return verdict(
        f"Brier score {returning.brier:.4f} (the same for everybody: "
        f"{returning.brier_base_rate:.4f}); {details}.",
        issue=bool(off),
    )


def _is_calibrated_on_enough(evidence: Evidence) -> Answer:
    bins = evidence.result.serving.uncertainty.calibration.bins
    fewest = min(part.rows for part in bins)
    return verdict(
        f"{len(bins)} score bins, the smallest calibrated on {fewest:,} rows.",
        issue=fewest < _CALIBRATION_ROWS,
    )


def _is_tested_on_enough(evidence: Evidence) -> Answer:
    returned = int(evidence.unseen.returned.sum())
    return verdict(
        f"{len(evidence.unseen):,} test rows, {returned:,} of whom rode again.",
        issue=returned < _RETURNING_TESTED,
    )


def _is_supported(evidence: Evidence) -> Answer:
    outside = 1 - evidence.evaluation.share_in_support
    return verdict(
        f"{outside:.1%} of the test rows are unlike all but a few training customers.",
        issue=outside > _OUT_OF_SUPPORT,
    )


# A cohort's mean increment differs from what was predicted by a tenth in any quiet year.
_COHORT_OFF = 0.1
_BRIER_WORSE = 0.02
# Of one customer's Brier score where a fifth return; it hardly depends on the model.
_BRIER_SPREAD = 0.25


def _youngest_is_as_good(evidence: Evidence) -> Answer:
    cohorts = evidence.appraisal.cohorts
    if len(cohorts) < 2:
        return not_applicable(
            "There are no two cohorts to compare: no registration dates, or too few outcomes known "
            "before them."
        )
    *older, youngest = cohorts
    rows = youngest.tested_on
    error = float(evidence.result.history.increment.std()) / np.sqrt(rows)
    off = youngest.predicted - youngest.actual
    missing = youngest.level - youngest.covered
    worse = youngest.brier - float(np.mean([cohort.brier for cohort in older]))
    level = youngest.level
    issues = (
        abs(off) > max(_COHORT_OFF * youngest.actual, _SURE * error),
        missing > max(_COVERAGE_OFF, _SURE * np.sqrt(level * (1 - level) / rows)),
        worse > max(_BRIER_WORSE, _SURE * _BRIER_SPREAD / np.sqrt(rows)),
    )
    return verdict(
        f"Those registered from {youngest.start} on: expected increment {youngest.predicted:,.2f}, "
        f"actual {youngest.actual:,.2f}; {youngest.covered:.1%} in their {level:.0%} interval; "
        f"Brier score {worse:+.4f} against the older cohorts.",
        issue=any(issues),
    )


QUESTIONS = (
    Question(
        "CLV001",
        "Better than 'month = week'",
        "The 95% interval of the paired difference of squared errors does not lie below 0.",
        "Do not use the model: what is spent already says as much. Give a longer history.",
        _beats_persistence,
    ),
    Question(
        "CLV002",
        "Better than chance",
        "The order of the predictions, on the increment or on the total, is within 3 standard "
        "deviations of chance; or giving everybody the mean increment is not shown to be worse.",
        "See that outcomes belong to their customers (a join, a sort): shuffled ones look like "
        "this. Otherwise give a longer history.",
        _has_learnt,
    ),
    Question(
        "CLV003",
        "Unbiased on the test rows",
        "Predicted money is off by more than 2% and by more than 2 standard errors.",
        "Look at drift (CLV006, CLV007) first; a budget made of these predictions would be off by "
        "as much.",
        _is_unbiased,
    ),
    Question(
        "CLV004",
        "Intervals cover their level in each score bin",
        "Coverage in a bin is off by more than 4 points and 3 standard errors; where an interval "
        "is one point, only too little counts.",
        "Do not show the intervals of that bin. Look at drift; give a longer history.",
        _covers,
    ),
    Question(
        "CLV005",
        "Probability of return is calibrated",
        "A tenth of the test rows returned more or less often than predicted by more than 2 points "
        "and 3 standard errors.",
        "Do not multiply by this probability. Look at drift; give a longer history.",
        _probability_is_honest,
    ),
    Question(
        "CLV010",
        "Enough calibration rows in each score bin",
        "A score bin was calibrated on fewer than 100 rows.",
        "Give a longer history; until then read the intervals as rough.",
        _is_calibrated_on_enough,
    ),
    Question(
        "CLV012",
        "Enough test rows",
        "Fewer than 100 of the test rows rode again.",
        "Give a longer history, or hold out more with --test-share: the figures of the test are "
        "mostly noise.",
        _is_tested_on_enough,
    ),
    Question(
        "CLV013",
        "Customers resemble the training customers",
        "More than 10% of the test rows are out of support.",
        "Their predictions rest on few customers: give a longer history, or leave them out of "
        "campaigns by `in_support`.",
        _is_supported,
    ),
    Question(
        "CLV014",
        "The youngest cohort is predicted as well as older ones",
        "The youngest cohort's mean increment is off by more than 10% and 3 standard errors, its "
        "intervals cover 4 points too few, or its Brier score is worse by .02, beyond chance.",
        "Customers have changed: train on the latest cohorts only, and train again soon.",
        _youngest_is_as_good,
    ),
)
