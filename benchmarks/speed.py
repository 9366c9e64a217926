"""How fast a prediction is, with all that is said of it, beside the limit and the published way."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from clv.bundle import Predictor
from clv.data.simulate import simulate
from clv.models.candidates import PUBLISHED, candidates
from clv.schema import Activity
from clv.training import TrainingResult

__all__ = ["in_memory", "one_row"]

ROWS = 1_000_000
_FEATURES = ("recency_7", "frequency_7", "monetary_value_7")


def one_row(result: TrainingResult, bundle: Path) -> str:
    predictor = Predictor.load(bundle)
    cells = predictor.scorer.cells
    published = next(one for one in candidates(42) if one.name == PUBLISHED).estimator
    published.set_params(n_estimators=100, max_depth=5)
    published.fit(result.history.activity.matrix(), result.history.outcome)
    row = np.array([[1.0, 1.0, 8.5]])
    timed = _alternate(
        {
            "the table alone (the limit)": (lambda: cells.expected[cells.of_one(1, 1, 8.5)], 2_000),
            "`Predictor.predict_one`": (lambda: predictor.predict_one(1, 1, 8.5), 2_000),
            "the published forest in scikit-learn": (lambda: published.predict(row), 20),
        }
    )
    ours = float(np.median(timed["`Predictor.predict_one`"]))
    lines = [
        "## One prediction",
        "",
        "With all that is said of a customer, interval and support included. In turns, 10 rounds.",
        "",
        "| | p50 (µs) | p99 (µs) | ratio to ours |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {np.median(times):,.1f} | {np.quantile(times, 0.99):,.1f} "
        f"| {np.median(times) / ours:,.2f} |"
        for name, times in timed.items()
    ]
    return "\n".join([*lines, ""])


def _alternate(
    measured: dict[str, tuple[Callable[[], object], int]], rounds: int = 10
) -> dict[str, list[float]]:
    """Microseconds of each call, taken in turns so that the machine's moods hit all alike."""
    times: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, (call, repeats) in measured.items():
            for _ in range(repeats):
                started = time.perf_counter_ns()
                call()
                times[name].append((time.perf_counter_ns() - started) / 1_000)
    return times


def in_memory(bundle: Path) -> str:
    """A million rows through the Predictor alone, on one core."""
    predictor = Predictor.load(bundle)
    rows = next(iter(simulate(20_000))).activity
    columns = [np.tile(rows.column(name).to_numpy(), ROWS // 20_000) for name in _FEATURES]
    activity = Activity.of(*columns)
    X, cells = activity.matrix(), predictor.scorer.cells
    timed = _alternate(
        {
            "the table alone (the limit)": (lambda: cells.expected[cells.of(X)], 1),
            "`Predictor.predict`": (lambda: predictor.predict(activity), 1),
        },
        5,
    )
    ours = float(np.median(timed["`Predictor.predict`"]))
    lines = [
        f"## {ROWS:,} customers in memory, one core",
        "",
        "| | seconds | ratio to ours |",
        "|---|--:|--:|",
    ]
    lines += [
        f"| {name} | {np.median(times) / 1e6:.2f} | {np.median(times) / ours:.2f} |"
        for name, times in timed.items()
    ]
    return "\n".join([*lines, ""])
