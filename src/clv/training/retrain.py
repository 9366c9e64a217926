"""Learning again from what came of the predictions: tracked requests and their outcomes.

The *newest matured cohort* is held out: the champion and the new recipe, fitted without it, are
compared on passengers who came after everything either has learnt from, as they will have to serve
those who come next. What is served then is the recipe fitted on all of them. Where an alarm says
since when passengers behave otherwise, only what came since is learnt from, by this version and by
those after it.

The policy: the new model becomes champion where its squared error is lower by a paired test (95%
bootstrap interval below 0) and no check of its report found an issue; otherwise it is left in
shadow. Why stands with the version in the registry.

Safe to run at any time, twice at once, and again after `kill -9`: a version is registered with what
it was learnt from before anybody decides about it, so that whoever runs next finds it and goes on
from there, and whoever finds it decided has nothing to do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from clv.bundle import Predictor
from clv.data.checks import History
from clv.errors import DataError
from clv.metrics import PairedDifference, paired_bootstrap, squared_errors
from clv.monitoring import Monitoring, manifests_of, monitor
from clv.registry import Registry
from clv.tracking import one_at_a_time, read_judged
from clv.training.material import Material, material
from clv.training.pipeline import TrainingResult, train
from clv.training.release import packed

__all__ = ["LAST", "Retraining", "retrain"]

#: Under this name the registry remembers the last decision, also where no version came of it.
LAST = "last_retraining"
_SEED = 42  # of the bootstrap: the same passengers, the same decision
_KEY, _SINCE, _END, _ISSUES = "retraining", "learnt_since", "learnt_before", "issues"


Decision = Literal["promoted", "in shadow", "nothing to do"]


@dataclass(frozen=True, slots=True)
class Retraining:
    """What was decided.

    Attributes
    ----------
    decision : {'promoted', 'in shadow', 'nothing to do'}
    reason : str
    version : str or None
        The version it is about.
    learnt_from, tested_on : int
        Passengers.
    comparison : PairedDifference or None
        Squared error of the new model less the champion's.
    """

    decision: Decision
    reason: str
    version: str | None = None
    learnt_from: int = 0
    tested_on: int = 0
    comparison: PairedDifference | None = None


def retrain(
    engine: Engine,
    registry: Registry,
    folder: Path,
    *,
    now: datetime,
    source: History | None = None,
    only_if_alarmed: bool = False,
    learn: Callable[..., TrainingResult] = train,
    told: Callable[[str], None] = lambda _: None,
) -> Retraining:
    """Learn from what came of the predictions, and decide who is champion.

    Parameters
    ----------
    engine : Engine
        Of `clv.tracking.open_database`, upgraded.
    registry : Registry
        With a champion.
    folder : Path
        Where reports are left for reading.
    now : datetime
        Aware.
    source : History, optional
        What the champion learnt from, to learn from as well; left out while an alarm says that
        passengers behave otherwise.
    only_if_alarmed : bool
        Do nothing where no alarm of bias or coverage is raised.
    learn : callable
        `clv.training.train`, with its options where others are wanted.
    told : callable, optional
        Told what is done, in words.

    Raises
    ------
    NotTrainedError
        Where there is no champion.
    StoreError, RegistryError
        Where either is away; the next run goes on from there.
    """
    waits = partial(told, "Another retraining is under way; waiting for it.")
    with one_at_a_time(engine, "retraining", waits):
        registry.end_interrupted(_KEY)
        champion = registry.champion()
        seen = monitor(engine, champion, manifests_of(registry), now)
        alarmed = _changed_since(seen)
        if only_if_alarmed and alarmed is None:
            done = Retraining("nothing to do", "no alarm of bias or coverage is raised")
        else:
            tags = _tags_of(champion, registry)
            since, after = alarmed or _day(tags.get(_SINCE)), _day(tags.get(_END))
            try:
                found = material(read_judged(engine), now.date(), since, after, source)
                done = _decided(found, registry, folder, now, learn, told)
            except DataError as error:
                done = Retraining("nothing to do", str(error))
        registry.remember(LAST, f"{now:%Y-%m-%d %H:%M} UTC: {done.decision}: {done.reason}")
        return done


def _decided(
    found: Material,
    registry: Registry,
    folder: Path,
    now: datetime,
    learn: Callable[..., TrainingResult],
    told: Callable[[str], None],
) -> Retraining:
    """Register what is learnt from this, unless that is done already, and settle about it."""
    version = next((one for one in registry.versions() if one.tags.get(_KEY) == found.key), None)
    if version is not None and version.reason:
        why = f"version {version.number} learnt from the same passengers: {version.reason}"
        return Retraining("nothing to do", why, version.number)
    if version is not None:
        told(f"Nobody decided about version {version.number} yet; going on from there.")
        return _settle(registry, version.number, found)
    tested = int(found.tested.sum())
    told(f"{len(found.history) - tested:,} passengers to learn from, {tested:,} to compare on")
    result = learn(found.history, test=found.tested)
    with packed(result, folder, now=now, generated=False) as package:
        tags = {
            _KEY: found.key,
            _END: found.end.isoformat(),
            _SINCE: found.since.isoformat() if found.since else "",
            _ISSUES: " ".join(check.code for check in package.report.issues),
        }
        number = package.register(registry, tags)
        package.keep(folder)
    return _settle(registry, number, found)


def _changed_since(seen: Monitoring) -> date | None:
    """Since which week of outcomes passengers behave otherwise, where an alarm says so.

    Of both alarms the one of bias: money that is off is seen long before intervals are.
    """
    starts = {alarm.kind: alarm.since for alarm in seen.alarms}
    return starts.get("bias") or starts.get("coverage")


def _tags_of(champion: str, registry: Registry) -> Mapping[str, str]:
    """What is known of the champion, which gets a reason where its promotion was interrupted."""
    known = next(one for one in registry.versions() if one.number == champion)
    if known.tags.get(_KEY) and not known.reason:
        registry.explain(champion, "retrained and better; interrupted before it was said how much")
    return known.tags


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _settle(registry: Registry, number: str, found: Material) -> Retraining:
    """Compare a registered version with the champion, and decide."""
    champion = registry.champion()
    tags = {version.number: version.tags for version in registry.versions()}
    tested = found.history[found.tested]
    learnt_from = len(found.history) - len(tested)
    if found.start.isoformat() < tags.get(champion, {}).get(_END, ""):
        # It became champion since: on whom it has learnt from it would be flattered.
        reason = f"version {champion} was trained on the passengers to compare on"
        registry.challenge(number, f"not compared: {reason}", action="retrain")
        return Retraining("in shadow", reason, number, learnt_from, len(tested))
    new = Predictor.load(registry.bundle(number), version=number, role="holdout")
    old = Predictor.load(registry.bundle(champion), version=champion)
    comparison = paired_bootstrap(
        squared_errors(tested.outcome, new.predict(tested.activity).monetary),
        squared_errors(tested.outcome, old.predict(tested.activity).monetary),
        seed=_SEED,
    )
    said = (
        f"MSE {comparison.mean:+,.1f} against version {champion} on {comparison.rows:,} passengers "
        f"predicted from {found.start} on, whom neither was trained on (95% "
        f"interval {comparison.low:+,.1f} to {comparison.high:+,.1f})"
    )
    issues = tags[number].get(_ISSUES, "")
    if comparison.high < 0 and not issues:
        reason = f"retrained and better: {said}"
        registry.promote(number, reason, action="retrain", expected=champion)
        decision: Decision = "promoted"
    else:
        why = f"checks found issues ({issues})" if issues else "not shown to be better"
        reason = f"retrained; {why}: {said}"
        registry.challenge(number, reason, action="retrain")
        decision = "in shadow"
    return Retraining(decision, reason, number, learnt_from, len(tested), comparison)
