"""`clv features`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.cli.options import (
    DecimalOption,
    HorizonDays,
    MasterOption,
    ObservationDays,
    RawOption,
    ThousandsOption,
    number_format,
    window_of,
)
from clv.cli.rides import RideOptions, instant, with_ride_options
from clv.cli.show import JsonOption, note, print_json, show_findings, summary_of
from clv.clock import utc_now
from clv.errors import UsageError
from clv.window import DEFAULT_RIDES, Window

if TYPE_CHECKING:
    from clv.features import Features
    from clv.features.engine import Engine

__all__ = ["features", "require_ibis"]


@with_ride_options
def features(
    rides: Annotated[
        str,
        typer.Argument(
            metavar="RIDES", help="Ride log: a file, a folder of Parquet files or a database URL."
        ),
    ],
    output: Annotated[str, typer.Option(help="Activity table to write: .parquet or .csv.")],
    log: RideOptions,
    table_name: Annotated[
        str, typer.Option("--table", help="Table to read, if the source holds tables.")
    ] = DEFAULT_RIDES,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    observation_days: ObservationDays = 7,
    horizon_days: HorizonDays = 30,
    engine: Annotated[
        Literal["duckdb", "spark"],
        typer.Option(help="Engine: DuckDB on this machine, or Spark."),
    ] = "duckdb",
    master: MasterOption = None,
    raw: RawOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the activity table of a ride log: what each customer did in their first days.

    Writes id, registered_at, recency_7, frequency_7 and monetary_value_7, and if the horizon has
    passed frequency_30 and monetary_value_30: one row per customer whose first 7 days have
    passed, sorted by id. Customers without rides have zeros. A day is 24 hours from the
    registration; times without a zone are UTC.

    Rides that did not take place are left out; refunds and negative amounts reduce the money spent
    and are not rides. Anything odd is counted and shown; ambiguous values are refused.

    Example: `clv features rides.parquet --passengers passengers.parquet --output activity.parquet`
    """
    require_ibis()
    from clv.features import build
    from clv.features.engine import with_progress

    window = window_of(observation_days, horizon_days)
    numbers = number_format(decimal, thousands)
    reading, as_of = log.reading(table_name, numbers), instant("--as-of", log.as_of)
    with _engine(engine, master, output, log.memory_limit, raw=raw) as running:
        built = build(
            with_progress(running, note),
            rides,
            output,
            window=window,
            now=utc_now(),
            as_of=as_of,
            reading=reading,
        )
    if as_json:
        print_json({"output": output, "options": log.given(), "features": built})
        return
    _show(built, output, window)


@contextmanager
def _engine(
    name: str, master: str | None, output: str, memory_limit: str | None, *, raw: bool
) -> "Iterator[Engine]":
    if name == "duckdb":
        if master is not None:
            raise UsageError(f"--master {master} without --engine spark. Add it, or leave it out.")
        from clv.features import duckdb_engine

        with duckdb_engine(Path(output), memory_limit, raw=raw) as running:
            yield running
        return
    if memory_limit is not None:
        raise UsageError(
            f"--memory-limit {memory_limit} applies to DuckDB only; Spark has its own settings."
        )
    from clv.features.spark import spark_engine

    with spark_engine(master) as running:
        yield running


def require_ibis() -> None:
    """Say what to install if Ibis is missing."""
    from importlib.util import find_spec

    if find_spec("ibis") is None:
        raise UsageError(
            "Features from a ride log need Ibis, not installed here: a server runs without it. "
            "Install clv[features]."
        )


def _show(built: "Features", output: str, window: Window) -> None:
    show_findings(built.findings)
    tell = summary_of(output)
    tell(
        f"{built.rides_read:,} rows read, {built.rides_used:,} rides used; "
        f"as of {built.as_of:%Y-%m-%d %H:%M} UTC"
    )
    tell(f"{built.customers:,} customers: {output}")
    tell(f"{built.with_outcome:,} of them with an outcome by day {window.horizon_days}")
    if built.too_young:
        tell(
            f"{built.too_young:,} more registered less than {window.observation_days} days before "
            "and are left out"
        )
