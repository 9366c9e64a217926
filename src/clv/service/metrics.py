"""What is counted, for Prometheus: correct however many workers there are.

Every worker writes its values to a file of its own in one folder (`prometheus_client`'s
multi-process mode); whichever worker is asked adds them all up.
"""

import logging
from collections import Counter as Count
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from math import isfinite
from pathlib import Path

import prometheus_client.values
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from clv.bundle import Prediction
from clv.errors import ServeError
from clv.monitoring import Monitoring
from clv.service.metrics_files import Place, forget_the_dead
from clv.service.problems import RefusedError
from clv.tracking import Recorded

__all__ = ["Metrics"]

_log = logging.getLogger(__name__)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

_LIVE = {
    "promised": "Passengers with a promise.",
    "judged": "Of those, passengers whose outcome is known.",
    "label_coverage": "Share of outcomes known among those whose horizon has passed.",
    "bias": "Promised over actual spend, less 1.",
    "bias_evidence": "Evidence that spend is not as promised; an alarm at 20.",
    "mse": "Mean squared error.",
    "covered": "Share of outcomes in their interval.",
    "brier": "Brier score of p_return.",
}


class Metrics:
    """The metrics of a worker.

    Parameters
    ----------
    folder : Path, optional
        Where all workers of the service keep their values; without one, this process counts alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._place = None if folder is None else Place(folder)
        self._lost = ""
        if self._place is not None:
            # The library would name the files by the process's number, and ask the system for it at
            # each count, in case it forked: that costs more than the count. Another place than
            # before has it open its files anew.
            prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(  # type: ignore[no-untyped-call]
                lambda: self._place
            )
        self._registry = own = CollectorRegistry()
        self._requests = Counter(
            "clv_requests", "Answered requests.", ("route", "method", "status"), registry=own
        )
        self._seconds = Histogram(
            "clv_request_seconds",
            "Time from the whole head of a request to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=own,
        )
        self._predictions = Counter(
            "clv_predictions",
            "Passengers predicted, by score bin: a distribution that moves is a drift.",
            ("model_version", "score_bin"),
            registry=own,
        )
        self._increment = Counter(
            "clv_predicted_increment",
            "Sum of the expected increments, in currency units.",
            ("model_version",),
            registry=own,
        )
        self._out_of_support = Counter(
            "clv_predictions_out_of_support",
            "Predictions for passengers with too few similar training passengers.",
            ("model_version",),
            registry=own,
        )
        self._batch = Histogram(
            "clv_batch_passengers", "Passengers a batch.", buckets=_ROWS, registry=own
        )
        self._commit = Histogram(
            "clv_commit_rows", "Rows a transaction.", buckets=_ROWS, registry=own
        )
        self._failed_commits = Counter(
            "clv_commit_failures", "Transactions that failed.", registry=own
        )
        self._shadow_failures = Counter(
            "clv_shadow_failures",
            "Predictions that the challenger failed to make.",
            ("model_version",),
            registry=own,
        )
        self._waiting = Gauge(
            "clv_tracking_queue_rows",
            "Rows that wait to be stored.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self._workers = Gauge(
            "clv_model_workers",
            "Workers that serve this version under this alias.",
            ("alias", "model_version"),
            registry=own,
            multiprocess_mode="livesum",
        )
        self._warnings = Gauge(
            "clv_warnings",
            "What needs attention, as /ready says it: a refused version, a registry away.",
            registry=own,
            multiprocess_mode="livemax",
        )
        self._outcomes = Counter(
            "clv_outcomes",
            "Outcomes received, by what became of them.",
            ("result",),
            registry=own,
        )
        self._live = {
            name: Gauge(
                f"clv_live_{name}",
                f"{says} As of the last look, see GET /api/monitoring.",
                ("model_version",),
                registry=own,
                multiprocess_mode="mostrecent",
            )
            for name, says in _LIVE.items()
        }
        self._drift = Gauge(
            "clv_drift_stability_index",
            "Population stability index of the champion's last weeks against its training.",
            ("quantity",),
            registry=own,
            multiprocess_mode="mostrecent",
        )
        self._alarms = Gauge(
            "clv_alarms",
            "Alarms of the champion, as `clv monitor` says them.",
            ("kind",),
            registry=own,
            multiprocess_mode="mostrecent",
        )
        # To look a labelled metric up takes longer than to count.
        self._of_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._of_version: dict[str, tuple[Counter, Counter]] = {}
        self._of_bin: dict[tuple[str, int], Counter] = {}
        self._serving: set[tuple[str, str]] = set()

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        found = self._of_request.get((route, method, status))
        if found is None:
            found = self._of_request[route, method, status] = (
                self._requests.labels(route, method, status),
                self._seconds.labels(route),
            )
        found[0].inc()
        found[1].observe(seconds)

    def predicted(self, version: str, said: Prediction) -> None:
        """Count one prediction."""
        self._count(version, said.score_bin, 1)
        self._sums(version, said.expected_increment, int(not said.in_support))

    def predicted_batch(self, version: str, said: Sequence[Prediction]) -> None:
        """Count a batch of predictions."""
        self._batch.observe(len(said))
        for score_bin, passengers in Count([one.score_bin for one in said]).items():
            self._count(version, score_bin, passengers)
        self._sums(
            version,
            sum([one.expected_increment for one in said]),
            sum([not one.in_support for one in said]),
        )

    def committed(self, rows: int, stored: bool) -> None:  # noqa: FBT001 - as `tracking.Observe`
        """Count a transaction of the request log."""
        if not stored:
            self._failed_commits.inc()
        elif rows:
            self._commit.observe(rows)

    def recorded(self, outcomes: Recorded) -> None:
        """Count outcomes that were sent."""
        for result, number in asdict(outcomes).items():
            if number:
                self._outcomes.labels(result).inc(number)

    def monitored(self, found: Monitoring) -> None:
        """Say what was found of promises and reality; what is not known has no value."""
        for one in found.versions:
            values = asdict(one.quality) | {"bias_evidence": max((*one.bias.evidence, 0.0))}
            for name, gauge in self._live.items():
                if isfinite(values[name]):
                    gauge.labels(one.version).set(values[name])
        for moved in found.drift:
            self._drift.labels(moved.quantity).set(moved.stability_index)
        kinds = Count([alarm.kind for alarm in found.alarms])
        for kind in ("bias", "coverage", "drift"):
            self._alarms.labels(kind).set(kinds[kind])

    def set_state(self, versions: Mapping[str, str], waiting_rows: int, warnings: int) -> None:
        """Say how this worker stands."""
        self._waiting.set(waiting_rows)
        self._warnings.set(warnings)
        serving = set(versions.items())
        for alias, version in self._serving - serving:
            self._workers.labels(alias, version).set(0)
        for alias, version in serving:
            self._workers.labels(alias, version).set(1)
        self._serving = serving

    def shadow_failed(self, version: str) -> None:
        """Count a prediction that the challenger could not make."""
        self._shadow_failures.labels(version).inc()

    def check(self) -> None:
        """Begin anew if the files are gone, as when a cleaner removed them."""
        if self._folder is None or self._place is None or self._place.is_there:
            return
        try:
            place = Place(self._folder)
        except (ServeError, OSError) as error:
            if not self._lost:
                _log.error("The folder of metrics is gone and cannot be made again: %s", error)
            self._lost = "Metrics are not exposed: their folder is gone and cannot be made again."
            return
        self._place.leave()
        self._place, self._lost = place, ""
        _log.warning("The folder of metrics was gone; it was made again and counters start at 0")

    def warnings(self) -> list[str]:
        """Why metrics are not exposed."""
        return [self._lost] if self._lost else []

    def exposed(self) -> tuple[bytes, str]:
        """All metrics of all workers, and their content type.

        Raises
        ------
        RefusedError
            503 if their folder is gone.
        """
        if self._folder is None:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        self.check()
        if self._lost:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._lost} Make room in the folder for temporary files.",
                headers={"Retry-After": "5"},
            )
        forget_the_dead(self._folder)
        everything = CollectorRegistry()
        MultiProcessCollector(everything, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(everything), CONTENT_TYPE_LATEST

    def _count(self, version: str, score_bin: int, passengers: int) -> None:
        found = self._of_bin.get((version, score_bin))
        if found is None:
            found = self._predictions.labels(version, score_bin)
            self._of_bin[version, score_bin] = found
        found.inc(passengers)

    def _sums(self, version: str, increment: float, out_of_support: int) -> None:
        found = self._of_version.get(version)
        if found is None:
            found = self._of_version[version] = (
                self._increment.labels(version),
                self._out_of_support.labels(version),
            )
        found[0].inc(increment)
        if out_of_support:
            found[1].inc(out_of_support)
