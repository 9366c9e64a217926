"""One measured job in a process of its own, whose memory is then that job's: prints JSON."""

import json
import resource
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
        build(
            engine, rides, output, window=Window(), now=utc_now(),
            reading=Reading(registrations=registered),
        )  # fmt: skip


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
    path = folder / "warm.parquet"
    pyarrow.parquet.write_table(pa.concat_tables([rides, later]), path)
    with duckdb_engine(path) as engine:
        build(engine, str(path), str(path) + ".out.parquet", window=Window(), now=utc_now())


def main() -> None:
    jobs: dict[str, Callable[..., None]] = {
        "features": features, "by_hand": by_hand, "scores": scores, "copied": copied,
    }  # fmt: skip
    name, *arguments = sys.argv[1:]
    if name == "features":
        _warm(Path(arguments[2]).parent)
    started = time.perf_counter()
    jobs[name](*arguments)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mb": memory}))


if __name__ == "__main__":
    main()
