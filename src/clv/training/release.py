"""From a training result to a registered version: bundle, parity gate, and who becomes champion."""

import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from clv.bundle import DataSummary, GoldenRow, Histogram, Manifest, Predictor, write_bundle
from clv.bundle.manifest import Role
from clv.errors import BundleError
from clv.files import replacing
from clv.metrics import PairedDifference, paired_bootstrap, squared_errors
from clv.models.tabulate import tabulate, target_of
from clv.registry import Registry, RunRecord
from clv.schema import FEATURES, MONETARY, Activity, Window
from clv.training.appraisal import appraise
from clv.training.fitted import Fitted
from clv.training.pipeline import Standing, TrainingResult
from clv.training.progress import Progress
from clv.training.report import Report, make_report, write_reports
from clv.training.report.leaderboard import metrics
from clv.training.split import held_out

__all__ = ["MAX_RELATIVE_ERROR", "Package", "Release", "check_parity", "packed", "release"]

#: Largest difference between bundle and original on any row, as a share of the prediction. Trees
#: differ by nothing at all; a linear model's sum is rounded in another order.
MAX_RELATIVE_ERROR = 1e-9
# Fewer rows than this decide nothing about heavy-tailed errors.
_MIN_UNSEEN = 100
_LIBRARIES = ("clv", "numpy", "scikit-learn", "lightgbm")

# Made-up passengers, none of them real, in corners and in the middle.
_GOLDEN = (
    (0, 0, 0), (1, 1, 0), (1, 1, 8.5), (1, 1, 30), (1, 2, 60), (2, 1, 12), (3, 2, 45.5), (5, 3, 60),
    (7, 1, 12), (7, 4, 80), (7, 8, 210.4), (6, 5, 33.3), (7, 20, 600), (7, 100, 1000),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Release:
    """What became of a training.

    `comparison` is this model's squared error less the former champion's on rows that neither has
    seen; None where there was nothing to compare with. `files` are what was left to read.
    """

    number: str
    alias: Literal["champion", "challenger"]
    reason: str
    comparison: PairedDifference | None
    files: tuple[Path, ...]
    report: Report


def release(
    result: TrainingResult,
    registry: Registry,
    folder: Path,
    *,
    now: datetime,
    generated: bool = False,
    promote: bool = False,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Release:
    """Write the bundle and the reports, check them, register, and decide who is champion.

    Parameters
    ----------
    result : TrainingResult
    registry : Registry
    folder : Path
        Where leaderboard, model card and report of the latest training are left for reading.
    now : datetime
        When training ended, UTC.
    generated : bool
        Whether it learnt from generated passengers: such a model gives way to one that learnt from
        real ones, whatever the comparison says.
    promote : bool
        Make it champion whatever the comparison says.
    jobs : int
        Threads of a fit.
    progress : Progress, optional
        Told of the fits that the report needs.

    Raises
    ------
    BundleError
        Where the bundle does not compute what the original does; nothing is registered then.
    """
    with packed(
        result, folder, now=now, generated=generated, jobs=jobs, progress=progress
    ) as package:
        former = registry.number_of("champion")
        alias, reason, comparison = _decide(
            result, package.holdout, registry, former, promote=promote
        )
        number = package.register(registry)
        if alias == "champion":
            registry.promote(number, reason, action="train", expected=former)
        else:
            registry.challenge(number, reason)
        files = package.keep(folder)
    return Release(number, alias, reason, comparison, files, package.report)


@dataclass(frozen=True, slots=True)
class Package:
    """A training as it is registered: its bundle, checked, and what was written about it."""

    result: TrainingResult
    bundle: Path
    holdout: Predictor
    report: Report
    reports: tuple[Path, ...]

    def register(self, registry: Registry, tags: Mapping[str, str] = MappingProxyType({})) -> str:
        """Register it as a new version, which no alias names yet; its number."""
        tags = {**_tags(self.result.champion), **tags}
        return registry.register(self.bundle, self.reports, _record(self.result), tags)

    def keep(self, folder: Path) -> tuple[Path, ...]:
        """Leave the reports in a folder, for reading; returns where."""
        kept = []
        for file in self.reports:
            with replacing(folder / file.name) as part:
                shutil.copyfile(file, part)
            kept.append(folder / file.name)
        return tuple(kept)


@contextmanager
def packed(
    result: TrainingResult,
    folder: Path,
    *,
    now: datetime,
    generated: bool,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Iterator[Package]:
    """Write bundle and reports below `folder`, and see that the bundle computes what it should.

    Raises
    ------
    BundleError
        Where it does not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".release-") as temporary:
        bundle = Path(temporary) / "bundle"
        originals: dict[Role, Fitted] = {"serving": result.serving, "holdout": result.holdout}
        write_bundle(
            bundle,
            _manifest(result, now, generated=generated),
            {role: tabulate(fit.expected, fit.returning) for role, fit in originals.items()},
        )
        predictors = {role: Predictor.load(bundle, role=role) for role in originals}
        for role, original in originals.items():
            check_parity(predictors[role], original, result.history.activity)
        report = make_report(
            result, predictors["holdout"], appraise(result, jobs=jobs, progress=progress)
        )
        reports = tuple(write_reports(Path(temporary), result, report))
        yield Package(result, bundle, predictors["holdout"], report, reports)


def check_parity(predictor: Predictor, original: Fitted, activity: Activity) -> None:
    """Refuse a bundle that does not compute what the original computes, on every row.

    Raises
    ------
    BundleError
        Names the worst row and by how much it is off.
    """
    X = activity.matrix()
    said = predictor.predict(activity)
    for what, served, expected in (
        # A total below what is spent already is served as what is spent.
        ("spend", said.monetary, np.maximum(original.expected.predict(X), activity.monetary)),
        ("probability of return", said.p_return, original.returning.predict_proba(X)[:, 1]),
    ):
        off = np.abs(served - expected) / np.maximum(expected, 1.0)
        worst = int(np.argmax(off))
        # The negation also refuses NaN.
        if not off[worst] <= MAX_RELATIVE_ERROR:
            row = ", ".join(
                f"{name}={value:g}" for name, value in zip(FEATURES, X[worst], strict=True)
            )
            raise BundleError(
                f"The bundle does not compute what the model does: for {row} it gives "
                f"{served[worst]:.6g} instead of {expected[worst]:.6g} as {what}, more than "
                f"{MAX_RELATIVE_ERROR:g} apart. Nothing was registered; this is a defect of "
                "clv.models.tabulate."
            )


def _decide(
    result: TrainingResult,
    new: Predictor,
    registry: Registry,
    former: str | None,
    *,
    promote: bool,
) -> tuple[Literal["champion", "challenger"], str, PairedDifference | None]:
    """Champion only where it is better on rows that neither has seen, or on request."""
    if former is None:
        return "champion", "first model", None
    folder = registry.bundle(former)  # a registry that is away decides nothing: training ends
    try:
        old = Predictor.load(folder, version=former, role="holdout")
    except BundleError as error:
        # A champion that nobody can load must not stand in the way of the next one.
        return "champion", f"version {former} cannot be used: {error}", None
    comparison, said = _compare(result, new, old)
    learnt_from_generated = new.manifest.data.generated, old.manifest.data.generated
    if learnt_from_generated == (False, True):
        return (
            "champion",
            f"version {former} was trained on generated passengers; {said}",
            comparison,
        )
    if learnt_from_generated == (True, False) and not promote:
        return "challenger", f"it was trained on generated passengers; {said}", comparison
    better = comparison is not None and comparison.high < 0
    if better or promote:
        why = "better:" if better else "promoted on request;"
        return "champion", f"{why} {said}", comparison
    return "challenger", f"not shown to be better: {said}", comparison


def _compare(
    result: TrainingResult, new: Predictor, old: Predictor
) -> tuple[PairedDifference | None, str]:
    """Compare the recipes, each fitted on its own training rows, and say it in words."""
    former = old.version
    if old.window != result.history.window:
        return None, f"version {former} has another window, so they do not compare"
    unseen = result.history[_unseen_by_both(result, old.manifest.data)]
    if len(unseen) < _MIN_UNSEEN:
        return None, f"only {len(unseen)} rows that neither it nor version {former} has seen"
    comparison = paired_bootstrap(
        squared_errors(unseen.outcome, new.predict(unseen.activity).monetary),
        squared_errors(unseen.outcome, old.predict(unseen.activity).monetary),
        seed=result.seed,
    )
    return comparison, (
        f"MSE {comparison.mean:+.1f} against version {former} on {comparison.rows:,} rows that "
        f"neither has seen (95% interval {comparison.low:+.1f} to {comparison.high:+.1f})"
    )


def _unseen_by_both(result: TrainingResult, old: DataSummary) -> np.ndarray:
    ids = result.history.ids
    return result.test & held_out(ids, seed=old.split_seed, share=old.test_share)


def _manifest(result: TrainingResult, now: datetime, *, generated: bool) -> Manifest:
    history, champion = result.history, result.choice.champion
    spent = history.activity.monetary
    X = history.activity.matrix()
    quantities = {
        **{name: getattr(history.activity, name) for name in FEATURES},
        "predicted": np.maximum(result.serving.expected.predict(X), spent),  # as served
        "p_return": result.serving.returning.predict_proba(X)[:, 1],
    }
    return Manifest(
        model=champion.name,
        target=target_of(result.serving.expected),
        features=FEATURES,
        observation_days=history.window.observation_days,
        horizon_days=history.window.horizon_days,
        created_at=now,
        parameters=champion.parameters,
        metrics=metrics(result.champion),
        data=DataSummary(
            source=history.source,
            generated=generated,
            rows=len(history),
            fingerprint=history.fingerprint(),
            split_seed=result.seed,
            test_share=result.test_share,
            mean_observed=float(history.activity.monetary.mean()),
            mean_outcome=float(history.outcome.mean()),
            share_returning=float(history.returned.mean()),
        ),
        reference={name: Histogram.of(values) for name, values in quantities.items()},
        golden=_golden_rows(result.serving, history.window),
        uncertainty={
            "serving": result.serving.uncertainty,
            "holdout": result.holdout.uncertainty,
        },
        versions={"python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
    )


def _golden_rows(model: Fitted, window: Window) -> tuple[GoldenRow, ...]:
    rows = np.array(_GOLDEN, dtype=np.float64)
    rows[:, 0] = np.minimum(rows[:, 0], window.observation_days)
    increments = np.maximum(model.expected.predict(rows) - rows[:, MONETARY], 0.0)
    returning = model.returning.predict_proba(rows)[:, 1]
    return tuple(
        GoldenRow(
            recency=recency,
            frequency=frequency,
            monetary=monetary,
            expected_increment=increment,
            p_return=p_return,
        )
        for (recency, frequency, monetary), increment, p_return in zip(
            rows.tolist(), increments.tolist(), returning.tolist(), strict=True
        )
    )


def _tags(row: Standing) -> dict[str, str]:
    return {"cv_mse": f"{row.cv_mse:.1f}", "test_mse": f"{row.test_mse:.1f}"}


def _record(result: TrainingResult) -> RunRecord:
    history = result.history
    return RunRecord(
        name=result.champion.model,
        parameters={
            **result.champion.best_params,
            "seed": result.seed,
            "test_share": result.test_share,
            "search": result.plan.kind,
            **({"trials": result.plan.trials} if result.plan.kind == "optuna" else {}),
            "rows": len(history),
            "source": history.source,
            "fingerprint": history.fingerprint(),
        },
        metrics=metrics(result.champion),
        candidates=[
            RunRecord(row.model, row.best_params, metrics(row)) for row in result.leaderboard
        ],
    )
