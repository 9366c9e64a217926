"""One measured job in a process of its own, whose memory is then that job's: prints JSON."""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from clv.bundle import Predictor
from clv.clock import utc_now
from clv.data.sources import open_source
from clv.features import Reading, build, duckdb_engine
from clv.features.engine import Engine
from clv.features.spark import spark_engine
from clv.schema import Window
from clv.scoring import score

# What somebody who knows DuckDB would write for the table alone, without a look at what is odd.
_BY_HAND = """
COPY (
    WITH each AS (
        SELECT g.id, g.registered_at, epoch_us(r.ridden_at) - epoch_us(g.registered_at) AS e,
               round(r.amount * 100)::BIGINT AS cents
        FROM read_parquet('{registered}') g
        LEFT JOIN read_parquet('{rides}') r ON r.passenger_id = g.id
    )
    SELECT id, registered_at,
        coalesce(max(e // 86400000000 + 1) FILTER (e >= 0 AND e < 604800000000), 0) AS recency_7,
        count(*) FILTER (e >= 0 AND e < 604800000000) AS frequency_7,
        coalesce(sum(cents) FILTER (e >= 0 AND e < 604800000000), 0) / 100 AS monetary_value_7,
        count(*) FILTER (e >= 0 AND e < 2592000000000) AS frequency_30,
        coalesce(sum(cents) FILTER (e >= 0 AND e < 2592000000000), 0) / 100 AS monetary_value_30
    FROM each GROUP BY id, registered_at ORDER BY id
) TO '{output}' (FORMAT parquet, COMPRESSION zstd)
"""


def features(rides: str, registered: str, output: str, limit: str) -> None:
    with duckdb_engine(Path(output), limit) as engine:
        _build(engine, rides, registered, output)


def on_spark(rides: str, registered: str, output: str, master: str) -> None:
    with spark_engine(master) as engine:
        _build(engine, rides, registered, output)


def _build(engine: Engine, rides: str, registered: str, output: str) -> None:
    reading = Reading(registrations=registered)
    build(engine, rides, output, window=Window(), now=utc_now(), reading=reading)


def by_hand(rides: str, registered: str, output: str, limit: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute(f"SET memory_limit = '{limit}'")
        connection.execute(f"SET temp_directory = '{Path(output).parent / 'spilled'}'")
        connection.execute(_BY_HAND.format(rides=rides, registered=registered, output=output))


def scores(bundle: str, source: str, output: str) -> None:
    predictor = Predictor.load(Path(bundle), version="1")
    with open_source(source) as opened:
        score(opened, predictor, Path(output))


def copied(_: str, source: str, output: str) -> None:
    """Read and write the same rows without a model."""
    with open_source(source) as opened:
        batches = opened.batches(["id", "recency_7", "frequency_7", "monetary_value_7"])
        first = next(batches)
        with pyarrow.parquet.ParquetWriter(output, first.schema) as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)


def _warm(folder: Path) -> None:
    """Load what is loaded once: the figures are of long jobs, and starts take a second."""
    moment = pa.array([utc_now().replace(year=2025)] * 2, pa.timestamp("us", "UTC"))
    rides = pa.table({"id": [1, 2], "ridden_at": moment, "amount": [1.0, 2.0]})
    later = rides.set_column(1, "ridden_at", pa.array([utc_now()] * 2, pa.timestamp("us", "UTC")))
    path, output = folder / "warm.parquet", folder / "warmed.parquet"
    pyarrow.parquet.write_table(pa.concat_tables([rides, later]), path)
    with duckdb_engine(output) as engine:
        build(engine, str(path), str(output), window=Window(), now=utc_now())


def _most_resident_mb() -> float:
    # getrusage would also count the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def main() -> None:
    jobs: dict[str, Callable[..., None]] = {
        "features": features,
        "on_spark": on_spark,
        "by_hand": by_hand,
        "scores": scores,
        "copied": copied,
    }
    name, *arguments = sys.argv[1:]
    if name == "features":
        _warm(Path(arguments[2]).parent)
    started = time.perf_counter()
    jobs[name](*arguments)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "mb": _most_resident_mb()}))


if __name__ == "__main__":
    main()
