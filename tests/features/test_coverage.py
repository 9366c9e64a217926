"""A log that begins after its customers did is noticed, and a complete one is not accused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from clv.data.sample import write_sample
from features.logs import INSTANT, on_duckdb, write

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 300
CODES = ("log-begins-late", "before-the-log")


def log_of(folder: Path, rng: np.random.Generator, *, history_days: int, growth: float) -> str:
    """Rides of customers who register all the time, some of them before the log begins."""
    customers = 600
    whose, when = [], []
    since = rng.random(customers) ** (1 / (1 + growth)) * (DAYS + history_days) - history_days
    for customer, day in enumerate(since):
        at, rate = day + rng.exponential(1.0), rng.gamma(1.0, 0.15)
        while at < DAYS:
            if at >= 0:
                whose.append(customer)
                when.append(START + timedelta(days=float(at)))
            if rng.random() < 0.08:
                break
            at += rng.exponential(1 / max(rate, 1e-6))
    registered = [START + timedelta(days=float(day)) for day in since]
    write(
        pa.table({"id": np.arange(customers), "registered_at": pa.array(registered, INSTANT)}),
        folder / "who.parquet",
    )
    table = pa.table(
        {"id": whose, "ridden_at": pa.array(when, INSTANT), "amount": np.full(len(whose), 9.5)}
    )
    return write(table, folder / "log.parquet")


@pytest.mark.parametrize("growth", [0.0, 1.0])
@pytest.mark.parametrize("with_registrations", [True, False])
def test_a_complete_log_raises_no_finding(
    growth: float, with_registrations: object, tmp_path: Path
) -> None:
    for seed in range(3):
        log = log_of(tmp_path, np.random.default_rng(seed), history_days=0, growth=growth)
        who = str(tmp_path / "who.parquet") if with_registrations else None
        built = on_duckdb(log, tmp_path / "out.parquet", registrations=who)
        assert not {one.code for one in built.findings} & set(CODES)


def test_customers_who_registered_before_the_log_are_left_out_or_noticed(tmp_path: Path) -> None:
    log = log_of(tmp_path, np.random.default_rng(1), history_days=300, growth=0.0)
    who = str(tmp_path / "who.parquet")
    built = on_duckdb(log, tmp_path / "out.parquet", registrations=who)
    (left_out,) = (one for one in built.findings if one.code == "before-the-log")
    assert left_out.severity == "left out"
    assert 250 < left_out.rows < 350
    assert built.customers + built.too_young + left_out.rows == 600
    noticed = on_duckdb(log, tmp_path / "out.parquet").findings
    assert [one.code for one in noticed if one.code in CODES] == ["log-begins-late"]


def test_generated_rides_are_a_complete_log(tmp_path: Path) -> None:
    files = write_sample(tmp_path, passengers=2_000)
    assert on_duckdb(str(files.rides), tmp_path / "out.parquet").findings == ()
