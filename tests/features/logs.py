"""Ride logs for tests, and what each customer did in plain Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from clv.features import Features, Reading, build, duckdb_engine
from clv.schema import Window

__all__ = [
    "EPOCH",
    "NOW",
    "Ride",
    "activity_of",
    "by_hand",
    "on_duckdb",
    "registrations_of",
    "table_of",
    "took_place",
    "write",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
US = timedelta(microseconds=1)
DAY = timedelta(days=1)
INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Ride:
    """One row of a log; `cents` negative or `kind` refund is money given back."""

    customer: int
    at: datetime
    cents: int
    status: str = "done"
    kind: str = "ride"


def table_of(rides: Sequence[Ride]) -> pa.Table:
    return pa.table(
        {
            "passenger_id": pa.array([ride.customer for ride in rides], pa.int64()),
            "ridden_at": pa.array([ride.at for ride in rides], INSTANT),
            "amount": pa.array([ride.cents / 100 for ride in rides], pa.float64()),
            "status": pa.array([ride.status for ride in rides], pa.string()),
            "kind": pa.array([ride.kind for ride in rides], pa.string()),
        }
    )


def registrations_of(registered: dict[int, datetime]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(list(registered), pa.int64()),
            "registered_at": pa.array(list(registered.values()), INSTANT),
        }
    )


def write(table: pa.Table, path: Path) -> str:
    pyarrow.parquet.write_table(table, path)
    return str(path)


def on_duckdb(
    rides: str, output: Path, *, window: Window | None = None, **options: Any
) -> Features:
    """Build with DuckDB, as if it were NOW; `options` of `build` and of `Reading`."""
    reading = {name: options.pop(name) for name in list(options) if name in Reading.__annotations__}
    with duckdb_engine(output, options.pop("memory_limit", None)) as engine:
        return build(
            engine, rides, str(output), window=window or Window(), now=options.pop("now", NOW),
            reading=Reading(**reading), **options,
        )  # fmt: skip


def activity_of(path: Path) -> list[dict[str, Any]]:
    return list(pyarrow.parquet.read_table(path).to_pylist())


def by_hand(
    rides: Sequence[Ride],
    registered: dict[int, datetime] | None,
    *,
    window: Window,
    as_of: datetime | None = None,
) -> list[dict[str, Any]]:
    """The activity table, a customer and a ride at a time."""
    known = took_place(rides, as_of)
    until = as_of or max((ride.at for ride in known), default=NOW)
    if registered is None:
        registered = {}
        for ride in sorted(known, key=lambda ride: ride.at):
            if not is_refund(ride):
                registered.setdefault(ride.customer, ride.at)
    return [
        _row(customer, start, [ride for ride in known if ride.customer == customer], window, until)
        for customer, start in sorted(registered.items())
        if until - start >= window.observation_days * DAY
    ]


def is_refund(ride: Ride) -> bool:
    return ride.kind == "refund" or ride.cents < 0


def took_place(rides: Sequence[Ride], as_of: datetime | None) -> list[Ride]:
    return [
        ride for ride in rides
        if ride.status not in ("cancelled", "canceled") and ride.at <= (as_of or NOW)
    ]  # fmt: skip


def _row(
    customer: int, start: datetime, rides: list[Ride], window: Window, until: datetime
) -> dict[str, Any]:
    days, due = window.observation_days, window.horizon_days
    last, counts, sums = 0, {days: 0, due: 0}, {days: 0, due: 0}
    for ride in rides:
        elapsed = ride.at - start
        for end in (days, due):
            if timedelta(0) <= elapsed < end * DAY:
                sums[end] += -abs(ride.cents) if is_refund(ride) else ride.cents
                counts[end] += not is_refund(ride)
                if end == days and not is_refund(ride):
                    last = max(last, elapsed // DAY + 1)
    spent = {end: max(sums[end], 0) / 100 if counts[end] else 0.0 for end in sums}
    known = until - start >= due * DAY
    return {
        "id": customer,
        "registered_at": start,
        f"recency_{days}": last,
        f"frequency_{days}": counts[days],
        f"monetary_value_{days}": spent[days],
        f"frequency_{due}": counts[due] if known else None,
        f"monetary_value_{due}": spent[due] if known else None,
    }
