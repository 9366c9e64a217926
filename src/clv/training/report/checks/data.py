"""Checks of what was learnt from."""

import numpy as np

from clv.bundle import Histogram
from clv.data.checks import History
from clv.metrics import (
    auc,
    mse,
    noise_of_stability,
    normalised_gini,
    rank_correlation,
    stability_index,
)
from clv.schema import FEATURES, Floats
from clv.training.report.checks.check import Answer, Question, not_applicable, verdict
from clv.training.report.evidence import Evidence

__all__ = ["QUESTIONS"]

# By custom an index below 0.1 means that little has changed.
_DRIFT = 0.1
# Fewer customers than this move the index by 0.1 and more by chance.
_DRIFT_ROWS = 200
_COHORT_SHARE = 0.2
# Refunds are real; more than this looks like columns that were exchanged, or windows that differ.
_BELOW_SPEND = 0.02
# Fewer returning customers in a thousand or in all, and there is nothing to tell them by.
_RETURNING_SHARE, _RETURNING = 0.01, 50
_EQUAL = 0.5
# In two histories of real size the first week's money has a rank correlation of .74 and .79 with
# the outcome of those who returned, and of .38 and .43 with their increment; no feature alone has
# an AUC above .66 for returning or a Gini above .54. A copy of the outcome has 1, .85, .85 and .9.
_CORRELATION, _AUC, _GINI = 0.9, 0.85, 0.8
_EXPLAINED = 0.9
# To ride again and pay nothing is rare, unless the money was counted in the first week already.
_RETURNED_FREE = 0.25
_TOO_FEW_RETURNING = 20


def _quantities(history: History) -> dict[str, Floats]:
    return {name: getattr(history.activity, name) for name in FEATURES} | {
        "outcome": history.outcome
    }


def _drift(before: History, after: History, what: str) -> Answer:
    if min(len(before), len(after)) < _DRIFT_ROWS:
        return not_applicable(f"Fewer than {_DRIFT_ROWS} customers in {what}.")
    indices = {}
    drifted = False
    for name, values in _quantities(before).items():
        reference = Histogram.of(values)
        bins = len(reference.shares)
        where = np.searchsorted(reference.edges, _quantities(after)[name])
        shares = np.bincount(where, minlength=bins) / len(after)
        indices[name] = stability_index(np.array(reference.shares), shares)
        noise = noise_of_stability(bins, len(before), len(after)) if bins > 1 else 0.0
        drifted |= indices[name] > max(_DRIFT, noise)
    said = ", ".join(f"{name} {index:.3f}" for name, index in indices.items())
    return verdict(f"Population stability index between {what}: {said}.", issue=drifted)


def _test_is_like_training(evidence: Evidence) -> Answer:
    return _drift(evidence.seen, evidence.unseen, "training and test rows")


def _youngest_is_like_oldest(evidence: Evidence) -> Answer:
    history = evidence.result.history
    dates = history.registered_at
    if dates is None or np.isnat(dates).all():
        return not_applicable("The source has no registration dates.")
    dated = dates[~np.isnat(dates)].astype("datetime64[us]").astype(np.int64)
    early, late = np.quantile(dated, [_COHORT_SHARE, 1 - _COHORT_SHARE])
    # NaT compares as neither.
    oldest = history[dates <= np.datetime64(int(early), "us")]
    youngest = history[dates >= np.datetime64(int(late), "us")]
    share = f"{_COHORT_SHARE:.0%}"
    return _drift(oldest, youngest, f"the {share} registered first and the {share} registered last")


def _target_is_no_feature(evidence: Evidence) -> Answer:
    history = evidence.result.history
    returned = int((history.increment > 0).sum())
    equal = {
        name: float((getattr(history.activity, name) == history.outcome).mean())
        for name in FEATURES[:2]
    }
    few = returned < max(_RETURNING, _RETURNING_SHARE * len(history))
    same = [name for name, share in equal.items() if share > _EQUAL]
    copied = f" The outcome equals {' and '.join(same)} in most rows." if same else ""
    return verdict(
        f"{returned:,} of {len(history):,} customers spent more after the observation window."
        + copied,
        issue=few or bool(same),
    )


def _nothing_leaks(evidence: Evidence) -> Answer:
    history = evidence.result.history
    returning = history.increment > 0
    if returning.sum() < _TOO_FEW_RETURNING:
        return not_applicable(f"Fewer than {_TOO_FEW_RETURNING} customers spent more later.")
    suspects = [
        f"{name} {why}"
        for name in FEATURES
        for why in _suspicions(getattr(history.activity, name), history)
    ]
    spread = float(history.increment.var())
    explained = 1 - mse(history.increment, evidence.expected) / spread
    if explained > _EXPLAINED:
        suspects.append(f"the champion explains {explained:.0%} of the increment")
    rode = history.returned.sum()
    free = float((history.returned & ~returning).sum() / rode) if rode else 0.0
    if free > _RETURNED_FREE:
        suspects.append(f"{free:.0%} of those who rode again spent nothing more")
    said = "; ".join(suspects) if suspects else "no feature tells the outcome suspiciously well"
    return verdict(
        f"The champion explains {explained:.0%} of the increment; {said}.", issue=bool(suspects)
    )


def _suspicions(feature: Floats, history: History) -> list[str]:
    returning = history.increment > 0
    with_outcome = rank_correlation(feature[returning], history.outcome[returning])
    with_increment = rank_correlation(feature[returning], history.increment[returning])
    tells = auc(history.returned, feature)
    gini = normalised_gini(history.increment, feature)
    found = (
        (abs(with_outcome) > _CORRELATION, "ranks the outcome", with_outcome),
        (abs(with_increment) > _CORRELATION, "ranks the increment", with_increment),
        (max(tells, 1 - tells) > _AUC, "tells who returns, AUC", tells),
        (abs(gini) > _GINI, "orders the increment, Gini", gini),
    )
    return [f"{why} {figure:.2f}" for suspect, why, figure in found if suspect]


def _outcomes_hold_the_spend(evidence: Evidence) -> Answer:
    history = evidence.result.history
    below = float((history.outcome < history.activity.monetary).mean())
    return verdict(
        f"{below:.1%} of the outcomes are below what was spent in the observation window.",
        issue=below > _BELOW_SPEND,
    )


QUESTIONS = (
    Question(
        "CLV006",
        "Test rows resemble training rows",
        "The population stability index of a feature or of the outcome is above 0.1 and above what "
        "chance makes of so many rows.",
        "The split is by a hash of the id, so the two should be alike: see whether ids follow "
        "time, city or source, and whether one part was counted in another currency.",
        _test_is_like_training,
    ),
    Question(
        "CLV007",
        "Recent customers resemble earlier ones",
        "The same index between the fifth of the customers who registered first and the fifth who "
        "registered last.",
        "Prices, cities or counting have changed: train on the latest cohorts only, or correct "
        "the amounts.",
        _youngest_is_like_oldest,
    ),
    Question(
        "CLV008",
        "The target is not a feature",
        "Fewer than 1% or fewer than 50 customers spent more after the observation window, or the "
        "outcome equals recency or frequency in most rows.",
        "See that the outcome column is the money by the horizon, and that the horizon of these "
        "customers has passed.",
        _target_is_no_feature,
    ),
    Question(
        "CLV009",
        "No feature knows the future",
        "A feature alone ranks outcome or increment of the returning customers above .9, tells who "
        "returns (AUC above .85) or orders the increment (Gini above .8); or the champion explains "
        "more than 90% of it; or more than 25% of those who rode again spent nothing.",
        "See that features count only what happened in the observation window: a feature that "
        "holds later rides makes a model that is useless in service.",
        _nothing_leaks,
    ),
    Question(
        "CLV011",
        "Outcomes include the spend so far",
        "More than 2% of the outcomes are below what was spent in the observation window.",
        "Refunds are real, but not so many: see that both count from registration, in one "
        "currency, and are not exchanged.",
        _outcomes_hold_the_spend,
    ),
)
