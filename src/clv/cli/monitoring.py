"""`clv monitor`."""

from typing import TYPE_CHECKING

import typer

from clv.cli.environment import load_settings
from clv.cli.outcomes import tracking
from clv.cli.show import JsonOption, figure, note, print_json, say, table
from clv.clock import utc_now

if TYPE_CHECKING:
    from clv.monitoring import LiveQuality, Monitoring, VersionQuality

__all__ = ["monitor"]

#: Neither a failure (1) nor wrong usage (2): a scheduler can tell an alarm from a broken check.
EXIT_ALARM = 3
_COHORTS = 12


def monitor(as_json: JsonOption = False) -> None:
    """Compare predictions with outcomes; exits with 3 if an alarm is raised, for cron.

    Alarms concern the champion: its bias and the coverage of its intervals, by tests that may be
    run every day and raise a false alarm in at most one year of twenty each; and drift, when the
    passengers scored in the last 28 days differ from those of training.

    Exit codes: 0 no alarm, 1 could not be checked, 2 wrong usage, 3 alarm.

    Example: `clv monitor; test $? -ne 3 || echo "look at the Monitoring page"`
    """
    from clv.monitoring import manifests_of
    from clv.monitoring import monitor as look
    from clv.registry import open_registry

    settings = load_settings()
    registry = open_registry(settings)
    with tracking(settings) as engine:
        found = look(engine, registry.number_of("champion"), manifests_of(registry), utc_now())
    if as_json:
        print_json(found)
    else:
        _show(found)
    if found.alarms:
        raise typer.Exit(EXIT_ALARM)


def _show(found: "Monitoring") -> None:
    for alarm in found.alarms:
        say(f"ALARM ({alarm.kind}): {alarm.says} {alarm.advice}")
    if not found.alarms:
        say(f"No alarm.{_off(found)}")
    counts = found.outcomes
    say(
        f"Outcomes: {counts.judged:,} compared with a prediction, {counts.early:,} too early, "
        f"{counts.unmatched:,} without a prediction; {counts.corrections:,} corrections."
    )
    if not found.versions:
        note("No predictions yet. Send outcomes by POST /api/outcomes or: "
             "clv outcomes import FILE")  # fmt: skip
        return
    say("")
    _versions(found)
    for one in found.versions[:1] if found.serving is None else (found.serving,):
        _version(one)
    _shadows(found)
    _drift(found)


def _off(found: "Monitoring") -> str:
    """Say if the champion is biased by more than noise, though not by enough for an alarm."""
    from clv.monitoring.drift import MIN_CUSTOMERS

    if found.serving is None or found.serving.quality.judged < MIN_CUSTOMERS:
        return ""
    quality = found.serving.quality
    if not (quality.bias_low > 0 or quality.bias_high < 0):
        return ""
    amount = "much" if quality.bias > 0 else "little"
    return (
        f" But version {found.serving.version} predicts too {amount}: bias {quality.bias:+.1%} "
        f"(95% interval {quality.bias_low:+.1%} to {quality.bias_high:+.1%})."
    )


_QUALITY = ("predictions", "outcomes", "known", "predicted", "actual", "bias", "95% interval",
            "MSE", "MAE", "Gini", "coverage", "Brier")  # fmt: skip


def _of(one: "LiveQuality") -> tuple[str, ...]:
    interval = f"{figure(one.bias_low, '+.1%')} to {figure(one.bias_high, '+.1%')}"
    return (
        f"{one.promised:,}",
        f"{one.judged:,}",
        figure(one.label_coverage, ".0%"),
        figure(one.predicted, ",.2f"),
        figure(one.actual, ",.2f"),
        figure(one.bias, "+.1%"),
        interval if one.judged else "–",
        figure(one.mse, ",.0f"),
        figure(one.mae, ",.2f"),
        figure(one.gini, ".3f"),
        figure(one.covered, ".1%"),
        figure(one.brier, ".4f"),
    )


def _versions(found: "Monitoring") -> None:
    serving = [row for row, one in enumerate(found.versions) if one.is_champion]
    table(
        "Predicted and actual spend, by version (known: share of due outcomes)",
        ("version", *_QUALITY, "evidence"),
        [
            (one.version, *_of(one.quality), f"{_now(one):.2g} of {one.bias.limit:.0f}")
            for one in found.versions
        ],
        mark=serving[0] if serving else -1,
    )
    say("")


def _now(one: "VersionQuality") -> float:
    return max((*one.bias.evidence, 0.0))


def _version(one: "VersionQuality") -> None:
    cohorts = one.cohorts[-_COHORTS:]
    table(
        f"Version {one.version} by week of prediction"
        + (f" (the last {_COHORTS})" if len(cohorts) < len(one.cohorts) else ""),
        ("week of", *_QUALITY),
        [(row.cohort.isoformat(), *_of(row.quality)) for row in cohorts],
    )
    say("")
    table(
        f"Version {one.version} by score bin",
        ("bin", "outcomes", "predicted increment", "actual", "coverage", "target"),
        [
            (
                str(row.score_bin),
                f"{row.quality.judged:,}",
                figure(row.predicted_increment, ",.2f"),
                figure(row.actual_increment, ",.2f"),
                figure(row.quality.covered, ".1%"),
                figure(row.quality.level, ".1%"),
            )
            for row in one.bins
        ],
    )
    say("")
    early = one.early
    if early.customers:
        doubt = f" Do not rely on it: {early.unsound}." if early.unsound else ""
        say(
            f"Waiting for outcomes: {early.customers:,}. Expected if nothing has changed: "
            f"MSE {figure(early.mse, ',.0f')}, Brier {early.brier:.4f}.{doubt}"
        )
        say("")


def _shadows(found: "Monitoring") -> None:
    if not found.shadows:
        return
    table(
        "Challengers in shadow, on the same passengers (difference in MSE: below 0 is better)",
        ("challenger", "champion", "outcomes", "bias", "MSE", "difference", "95% interval"),
        [
            (
                one.challenger,
                one.champion,
                f"{one.quality.judged:,}",
                figure(one.quality.bias, "+.1%"),
                figure(one.quality.mse, ",.0f"),
                figure(one.to_champion.mean, "+,.1f") if one.to_champion else "–",
                f"{one.to_champion.low:+,.1f} to {one.to_champion.high:+,.1f}"
                if one.to_champion
                else "–",
            )
            for one in found.shadows
        ],
        text=("champion",),
    )
    say("")


def _drift(found: "Monitoring") -> None:
    if not found.drift:
        return
    table(
        f"Drift: {found.drift_customers:,} passengers of the last {found.drift_days} days",
        ("quantity", "status", "stability index", "noise up to", "moved by"),
        [
            (
                one.quantity,
                one.status,
                f"{one.stability_index:.3f}",
                f"{one.noise:.3f}",
                f"{one.distance:,.3g}",
            )
            for one in found.drift
        ],
        text=("status",),
    )
    say(
        f"Unlike the training data: {found.out_of_support:,}; with impossible values: "
        f"{found.impossible:,}."
    )
