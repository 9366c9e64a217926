"""How fast a prediction is, with all that is said of it, beside the limit and the published way."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet

from clv.bundle import Predictor
from clv.data.simulate import simulate
from clv.data.sources import open_source
from clv.models.candidates import PUBLISHED, candidates
from clv.schema import Activity
from clv.scoring import score
from clv.training import TrainingResult

__all__ = ["batch", "in_memory", "one_row"]

ROWS = 1_000_000
_FEATURES = ("recency_7", "frequency_7", "monetary_value_7")


def one_row(result: TrainingResult, bundle: Path) -> str:
    predictor = Predictor.load(bundle)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        (bundle / "serving.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    published = next(one for one in candidates(42) if one.name == PUBLISHED).estimator
    published.set_params(n_estimators=100, max_depth=5)
    published.fit(result.history.activity.matrix(), result.history.outcome)
    row = np.array([[1.0, 1.0, 8.5]])
    narrow = row.astype(np.float32)
    timed = _alternate(
        {
            "the graph alone (the limit)": (lambda: session.run(None, {"activity": narrow}), 2_000),
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
    narrow = activity.matrix().astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        (bundle / "serving.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    timed = _alternate(
        {
            "the graph alone (the limit)": (lambda: session.run(None, {"activity": narrow}), 1),
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
        f"| {name} | {np.median(times) / 1e6:.1f} | {np.median(times) / ours:.2f} |"
        for name, times in timed.items()
    ]
    return "\n".join([*lines, ""])


def batch(folder: Path, bundle: Path) -> str:
    predictor = Predictor.load(bundle)
    source, output = folder / "million.parquet", folder / "scored.parquet"
    with pyarrow.parquet.ParquetWriter(source, next(iter(simulate(1))).activity.schema) as writer:
        for chunk in simulate(ROWS):
            writer.write_table(chunk.activity)

    def scored() -> None:
        with open_source(source) as opened:
            score(opened, predictor, output)

    def copied() -> None:
        with open_source(source) as opened:
            columns = ["id", *_FEATURES]
            batches = opened.batches(columns)
            first = next(batches)
            with pyarrow.parquet.ParquetWriter(output, first.schema) as writer:
                writer.write_batch(first)
                for part in batches:
                    writer.write_batch(part)

    timed = _alternate({"copy, no model (the limit)": (copied, 1), "`clv score`": (scored, 1)}, 3)
    rates = {name: ROWS / (np.median(times) / 1e6) for name, times in timed.items()}
    limit = max(rates.values())
    lines = [
        f"## {ROWS:,} customers, Parquet to Parquet",
        "",
        "| | rows/s | of the limit |",
        "|---|--:|--:|",
    ]
    lines += [f"| {name} | {rate:,.0f} | {rate / limit:.2f} |" for name, rate in rates.items()]
    return "\n".join([*lines, ""])
