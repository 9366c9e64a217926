"""What the report says: all its figures, as plain data; the page draws them and JSON holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.bundle import Predictor
from clv.data.checks import History
from clv.data.findings import Finding
from clv.evaluation import Evaluation
from clv.evaluation.evaluate import TOP_SHARE
from clv.metrics import CurvePoint, capture_curve, captured, mse, normalised_gini
from clv.models.candidates import PUBLISHED
from clv.schema import Floats
from clv.training.appraisal import Appraisal
from clv.training.backtest import Cohort
from clv.training.noise import NoiseFloor
from clv.training.pipeline import Standing, TrainingResult
from clv.training.repeats import Repeats
from clv.training.report.checks import Check, check_training
from clv.training.report.effects import Effects, effects_of
from clv.training.report.evidence import Evidence
from clv.training.report.limits import LIMITS

__all__ = ["FORMAT", "Data", "Order", "Report", "make_report"]

#: Raised by one when a reader of the older `report.json` would misunderstand the newer.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Data:
    """What was learnt from, and how it was split.

    `registered` are the first and last day of registration, None without dates.
    """

    source: str
    fingerprint: str
    rows_read: int
    rows: int
    learnt: int
    tested: int
    seed: int
    mean_observed: float
    mean_outcome: float
    share_returning: float
    registered: tuple[str, str] | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """In which order another model puts the test rows, and how much of the money that finds."""

    model: str
    gini_total: float
    gini_increment: float
    top_increment: float
    curve_increment: tuple[CurvePoint, ...]
    curve_total: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is known of a training.

    `evaluation` and `orders` are of the test rows, by recipes fitted on the training rows.
    """

    format: int
    verdict: str
    champion: str
    parameters: Mapping[str, Any]
    observation_days: int
    horizon_days: int
    checks: tuple[Check, ...]
    data: Data
    leaderboard: tuple[Standing, ...]
    failed: Mapping[str, str]
    evaluation: Evaluation
    orders: tuple[Order, ...]
    repeats: Repeats
    effects: Effects
    cohorts: tuple[Cohort, ...]
    noise: NoiseFloor
    limits: tuple[str, ...]

    @property
    def issues(self) -> tuple[Check, ...]:
        """The checks that found something."""
        return tuple(check for check in self.checks if check.status == "issue")


def make_report(result: TrainingResult, holdout: Predictor, appraisal: Appraisal) -> Report:
    """Measure and check a training.

    Parameters
    ----------
    result : TrainingResult
    holdout : Predictor
        The champion's recipe, fitted on the training rows, from the bundle.
    appraisal : Appraisal
        Of the same training.
    """
    evidence = Evidence.of(result, holdout, appraisal)
    checks = check_training(evidence)
    window = result.history.window
    return Report(
        format=FORMAT,
        verdict=_verdict(evidence, checks),
        champion=result.champion.model,
        parameters=result.champion.best_params,
        observation_days=window.observation_days,
        horizon_days=window.horizon_days,
        checks=checks,
        data=_data(result),
        leaderboard=result.leaderboard,
        failed=result.failed,
        evaluation=evidence.evaluation,
        orders=tuple(_orders(evidence)),
        repeats=appraisal.repeats,
        effects=effects_of(holdout, result.history),
        cohorts=appraisal.cohorts,
        noise=appraisal.noise,
        limits=LIMITS,
    )


def _verdict(evidence: Evidence, checks: tuple[Check, ...]) -> str:
    issues = [check.code for check in checks if check.status == "issue"]
    asked = sum(check.status != "not applicable" for check in checks)
    said = (
        f"{len(issues)} of {asked} checks found an issue ({', '.join(issues)}): read about it "
        "before you use the model."
        if issues
        else f"None of {asked} checks found an issue."
    )
    unseen, evaluation = evidence.unseen, evidence.evaluation
    if not unseen.increment.any():
        return f"{said} None of {evaluation.rows:,} held-out customers spent anything more."
    lower = 1 - evaluation.quality.mse / mse(unseen.outcome, unseen.activity.monetary)
    return (
        f"{said} On {evaluation.rows:,} held-out customers the squared error is {abs(lower):.0%} "
        f"{'below' if lower > 0 else 'above'} that of assuming no further spend, total predicted "
        f"spend is off by {evaluation.quality.bias:+.1%}, and the tenth with the highest "
        f"predictions brings {evaluation.capture_increment.top:.0%} of the further spend."
    )


def _data(result: TrainingResult) -> Data:
    history = result.history
    return Data(
        source=history.source,
        fingerprint=history.fingerprint(),
        rows_read=history.rows_read,
        rows=len(history),
        learnt=int((~result.test).sum()),
        tested=int(result.test.sum()),
        seed=result.seed,
        mean_observed=float(history.activity.monetary.mean()),
        mean_outcome=float(history.outcome.mean()),
        share_returning=float(history.returned.mean()),
        registered=_registered(history),
        findings=history.findings,
    )


def _registered(history: History) -> tuple[str, str] | None:
    if history.registered_at is None:
        return None
    dated = history.registered_at[~np.isnat(history.registered_at)].astype("datetime64[D]")
    return (str(dated.min()), str(dated.max())) if len(dated) else None


def _orders(evidence: Evidence) -> list[Order]:
    """Order by the published forest, where it took part, and by what is spent already."""
    unseen, result = evidence.unseen, evidence.result
    orders = []
    for contender in result.contenders:
        if contender.name == PUBLISHED != result.champion.model:
            total = np.asarray(contender.estimator.predict(unseen.activity.matrix()))
            increment = total - unseen.activity.monetary
            orders.append(_order(PUBLISHED, evidence, increment, total))
    spent = unseen.activity.monetary
    # "month = week" expects no increment of anybody; as an order it is that of the spend so far.
    return [*orders, _order("spend so far", evidence, spent, spent)]


def _order(model: str, evidence: Evidence, increment: Floats, total: Floats) -> Order:
    actual = evidence.unseen.increment
    return Order(
        model=model,
        gini_total=normalised_gini(evidence.unseen.outcome, total),
        gini_increment=normalised_gini(actual, increment),
        top_increment=captured(actual, increment, TOP_SHARE),
        curve_increment=tuple(capture_curve(actual, increment)),
        curve_total=tuple(capture_curve(evidence.unseen.outcome, total)),
    )
