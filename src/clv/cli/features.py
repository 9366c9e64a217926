"""`clv features`, and what `clv train --kind rides` shares with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.cli.options import HorizonDays, MasterOption, ObservationDays, RawOption, window_of
from clv.cli.show import JsonOption, note, print_json, show_findings, summary_of
from clv.clock import utc_now
from clv.errors import UsageError
from clv.schema import DEFAULT_RIDES, Window

if TYPE_CHECKING:
    from clv.features import Features
    from clv.features.engine import Engine

__all__ = [
    "AmountColumn",
    "AsOf",
    "CustomerColumn",
    "MemoryLimit",
    "Registrations",
    "TimeColumn",
    "features",
    "instant",
    "require_ibis",
]

Registrations = Annotated[
    str | None,
    typer.Option(
        "--passengers",
        help="Who registered when: a table with id and registered_at. Without it a customer "
        "registered with the first ride, and who never rode is not there.",
    ),
]
CustomerColumn = Annotated[
    str | None, typer.Option(help="Who rode. Default: customer_id, passenger_id, user_id or id.")
]
TimeColumn = Annotated[
    str | None, typer.Option(help="When. Default: ridden_at, timestamp, time, date or the like.")
]
AmountColumn = Annotated[
    str | None, typer.Option(help="What was paid. Default: amount, price, fare, total or value.")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        help="Instant at which the log is looked at, as 2026-11-01 or 2026-11-01T08:30:00Z. Later "
        "rides are not known; who registered less than the horizon before has no outcome. "
        "Default: the last ride."
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(help="What DuckDB may use, as 500MB or 4GB; beyond it spills to disk."),
]


def features(
    rides: Annotated[
        str,
        typer.Argument(
            metavar="RIDES", help="Ride log: a file, a folder of Parquet files or a database URL."
        ),
    ],
    output: Annotated[str, typer.Option(help="Activity table to write: .parquet or .csv.")],
    passengers: Registrations = None,
    table_name: Annotated[
        str, typer.Option("--table", help="Table to read, where the source holds tables.")
    ] = DEFAULT_RIDES,
    customer_column: CustomerColumn = None,
    time_column: TimeColumn = None,
    amount_column: AmountColumn = None,
    status_column: Annotated[
        str | None, typer.Option(help="State of a ride. Default: status, where there is one.")
    ] = None,
    cancelled: Annotated[
        list[str] | None,
        typer.Option(help="State of a ride that did not take place; may be given several times."),
    ] = None,
    kind_column: Annotated[
        str | None, typer.Option(help="Kind of a row. Default: kind, where there is one.")
    ] = None,
    refund: Annotated[
        list[str] | None,
        typer.Option(help="Kind of a row that is money given back; may be given several times."),
    ] = None,
    registered_column: Annotated[
        str | None, typer.Option(help="In --passengers: when. Default: registered_at or the like.")
    ] = None,
    observation_days: ObservationDays = 7,
    horizon_days: HorizonDays = 30,
    as_of: AsOf = None,
    engine: Annotated[
        Literal["duckdb", "spark"],
        typer.Option(help="What computes: DuckDB on this machine, or Spark."),
    ] = "duckdb",
    master: MasterOption = None,
    memory_limit: MemoryLimit = None,
    raw: RawOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the activity table of a ride log: what each customer did in their first days.

    Writes id, registered_at, recency_7, frequency_7 and monetary_value_7, and where the horizon has
    passed frequency_30 and monetary_value_30: a row for each customer whose first 7 days have
    passed, sorted by id. Who did not ride has zeros. A day is 24 hours from the registration; times
    without a zone are UTC.

    Cancelled rides are left out; refunds and negative amounts lower the money and are no rides.
    Everything odd is counted and shown.

    Example: `clv features rides.parquet --passengers passengers.parquet --output activity.parquet`
    """
    require_ibis()
    from clv.features import Reading, Words, build
    from clv.features.engine import told

    words = Words()
    made = _engine(engine, master, output, memory_limit, raw=raw)
    with made as running:
        built = build(
            told(running, note),
            rides,
            output,
            window=window_of(observation_days, horizon_days),
            now=utc_now(),
            as_of=instant(as_of),
            reading=Reading(
                {
                    "customer": customer_column,
                    "time": time_column,
                    "amount": amount_column,
                    "status": status_column,
                    "kind": kind_column,
                    "registered": registered_column,
                },
                Words(
                    _words(cancelled) or words.cancelled,
                    _words(refund) or words.refunds,
                ),
                table_name,
                passengers,
            ),
        )
    if as_json:
        print_json({"output": output, "features": built})
        return
    _show(built, output, window_of(observation_days, horizon_days))


def _words(given: list[str] | None) -> list[str]:
    return [word.strip().lower() for word in given or ()]


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
            f"--memory-limit {memory_limit} is DuckDB's; tell Spark by its own settings."
        )
    from clv.features.spark import spark_engine

    with spark_engine(master) as running:
        yield running


def require_ibis() -> None:
    """Say what to install, where it is not."""
    from importlib.util import find_spec

    if find_spec("ibis") is None:
        raise UsageError(
            "Features from a ride log need Ibis, not installed here: a server runs without it. "
            "Install clv[features]."
        )


def instant(text: str | None) -> datetime | None:
    """An instant of the command line; without a zone it is UTC."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--as-of {text!r}: expected ISO 8601, as in 2026-11-01 or 2026-11-01T08:30:00Z."
        ) from error
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _show(built: "Features", output: str, window: Window) -> None:
    show_findings(built.findings)
    tell = summary_of(output)
    tell(
        f"{built.rides_read:,} rows read, {built.rides_used:,} rides used; "
        f"as of {built.as_of:%Y-%m-%d %H:%M} UTC"
    )
    tell(f"{built.customers:,} customers: {output}")
    tell(f"{built.with_outcome:,} of them with what they had done by day {window.horizon_days}")
    if built.too_young:
        tell(
            f"{built.too_young:,} more registered less than {window.observation_days} days before "
            "and are left out"
        )
