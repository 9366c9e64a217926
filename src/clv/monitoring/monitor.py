"""Everything that is said of promises and reality, at one moment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine

from clv.bundle import Calibration, Manifest
from clv.errors import ClvError
from clv.metrics import DecileRow
from clv.monitoring.alarm import Alarm, Watch, watch_bias, watch_coverage
from clv.monitoring.drift import WINDOW_DAYS, Drift, drift_of, edges_as_tracked
from clv.monitoring.early import Early, early_of
from clv.monitoring.quality import (
    BinQuality,
    CohortQuality,
    LiveQuality,
    Shadow,
    of_bins,
    of_cohorts,
    of_deciles,
    of_shadow,
    quality_of,
)
from clv.monitoring.sums import Sums
from clv.registry import Registry
from clv.tracking import OutcomeCounts, read_tracked

__all__ = ["Monitoring", "VersionQuality", "manifests_of", "monitor"]

ManifestOf = Callable[[str], Manifest | None]


@dataclass(frozen=True, slots=True)
class VersionQuality:
    """What one version promised, and what came of it.

    Attributes
    ----------
    version : str
    is_champion : bool
    quality : LiveQuality
        Over all cohorts.
    cohorts : tuple of CohortQuality
        By week of prediction, oldest first.
    bins : tuple of BinQuality
    deciles : tuple of DecileRow
        Of the increment, currency units.
    bias, coverage : Watch
    early : Early
    """

    version: str
    is_champion: bool
    quality: LiveQuality
    cohorts: tuple[CohortQuality, ...]
    bins: tuple[BinQuality, ...]
    deciles: tuple[DecileRow, ...]
    bias: Watch
    coverage: Watch
    early: Early


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Promise against reality.

    Attributes
    ----------
    at : datetime
    champion : str or None
        The version that serves.
    alarms : tuple of Alarm
        Of the champion; those of versions that serve no longer stand with them.
    outcomes : OutcomeCounts
    versions : tuple of VersionQuality
        Newest first.
    shadows : tuple of Shadow
        Challengers beside those who answered.
    drift : tuple of Drift
        Of the champion's last `drift_days` days; empty without one, or where nobody was asked
        about.
    drift_days, drift_customers : int
    out_of_support, impossible : int
        Of those customers: unlike all of training, and with values that cannot be.
    """

    at: datetime
    champion: str | None
    alarms: tuple[Alarm, ...]
    outcomes: OutcomeCounts
    versions: tuple[VersionQuality, ...]
    shadows: tuple[Shadow, ...]
    drift: tuple[Drift, ...]
    drift_days: int
    drift_customers: int
    out_of_support: int
    impossible: int

    @property
    def serving(self) -> VersionQuality | None:
        """The champion, where it promised anything."""
        return next((one for one in self.versions if one.is_champion), None)


def monitor(
    engine: Engine, champion: str | None, manifest_of: ManifestOf, now: datetime
) -> Monitoring:
    """Compare what was promised with what came.

    Parameters
    ----------
    engine : Engine
        Of `clv.tracking.open_database`, upgraded.
    champion : str or None
        The version that serves.
    manifest_of : callable
        The manifest of a version; None where it cannot be read: what it would tell is left out.
    now : datetime
        Aware.

    Raises
    ------
    StoreError
        Where the database fails.
    """
    manifest = manifest_of(champion) if champion else None
    edges = edges_as_tracked(manifest.reference) if manifest else {}
    since = now - timedelta(days=WINDOW_DAYS)
    tracked = read_tracked(engine, champion if manifest else None, since, edges)
    sums = Sums.of(tracked.sums)
    answered, ideal = sums.answered(), sums.by_outcome()
    versions = tuple(
        _version(version, version == champion, of_one, ideal, manifest_of(version), now)
        for version, of_one in sorted(answered.by("model_version"), key=_newest_first)
    )
    drift = drift_of(manifest.reference, manifest.data.rows, tracked.spread) if manifest else ()
    serving = next((one for one in versions if one.is_champion), None)
    return Monitoring(
        at=now,
        champion=champion,
        alarms=(*(_alarms(serving) if serving else ()), *_drift_alarms(champion, drift)),
        outcomes=tracked.outcomes,
        versions=versions,
        shadows=of_shadow(sums, now.date()),
        drift=drift,
        drift_days=WINDOW_DAYS,
        drift_customers=tracked.spread.customers,
        out_of_support=tracked.spread.out_of_support,
        impossible=tracked.spread.impossible,
    )


def manifests_of(registry: Registry) -> ManifestOf:
    """Manifests from the registry, each read once."""
    known: dict[str, Manifest | None] = {}

    def manifest_of(version: str) -> Manifest | None:
        if known.get(version) is None:
            try:
                known[version] = Manifest.read(registry.bundle(version))
            except ClvError:  # what it would tell is left out, and said to be
                known[version] = None
        return known[version]

    return manifest_of


def _version(
    version: str,
    is_champion: bool,  # noqa: FBT001
    sums: Sums,
    ideal: Sums,
    manifest: Manifest | None,
    now: datetime,
) -> VersionQuality:
    calibration: Calibration | None = None
    if manifest is not None:
        calibration = manifest.uncertainty["serving"].calibration
    today, its_ideal = now.date(), ideal.where(ideal["model_version"] == version)
    bias = watch_bias(sums, calibration)
    return VersionQuality(
        version,
        is_champion,
        quality_of(sums, its_ideal, today),
        of_cohorts(sums, its_ideal, today),
        of_bins(sums, today),
        of_deciles(sums),
        bias,
        watch_coverage(sums, calibration),
        early_of(sums, calibration, alarmed=bias.raised is not None),
    )


def _newest_first(version: tuple[str, Sums]) -> tuple[int, str]:
    name = version[0]
    return (-int(name) if name.isdecimal() else 0, name)


def _alarms(serving: VersionQuality) -> tuple[Alarm, ...]:
    found = []
    bias, coverage = serving.bias, serving.coverage
    if bias.raised:
        direction = "over-predicts" if bias.off > 0 else "under-predicts"
        found.append(
            Alarm(
                "bias",
                serving.version,
                "",
                bias.since,
                bias.raised,
                f"Version {serving.version} {direction} by {abs(bias.off):.1%} (limit "
                f"{bias.tolerated:.1%}), based on outcomes since the week of {_day(bias.since)}.",
                "Retrain on the outcomes since then: clv retrain.",
            )
        )
    if coverage.raised:
        found.append(
            Alarm(
                "coverage",
                serving.version,
                "",
                coverage.since,
                coverage.raised,
                f"Intervals of version {serving.version} cover {coverage.off:.1%} fewer outcomes "
                f"than predicted (limit {coverage.tolerated:.1%}), based on outcomes since the "
                f"week of {_day(coverage.since)}.",
                "Retrain on the outcomes since then: clv retrain.",
            )
        )
    return tuple(found)


def _day(monday: date | None) -> str:
    return f"{monday:%-d %b %Y}" if monday else "unknown"


def _drift_alarms(champion: str | None, drift: tuple[Drift, ...]) -> tuple[Alarm, ...]:
    return tuple(
        Alarm(
            "drift",
            champion or "",
            one.quantity,
            None,
            None,
            f"{one.quantity} of the last {WINDOW_DAYS} days differs from training: stability index "
            f"{one.stability_index:.2f}.",
            "Check that the features are still computed as before. If the passengers have changed, "
            "watch the outcomes, then run: clv retrain.",
        )
        for one in drift
        if one.status == "drifted"
    )
