"""Small inputs on which the product once went wrong, each with what is right.

Ids and values are invented. A row of the activity table is written as
(recency_7, frequency_7, monetary_value_7, frequency_30, monetary_value_30).
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

CASES = Path(__file__).parent
US, DAY_FIRST = "%m/%d/%Y", "%d/%m/%Y"
RECEIPTS = ("--customer-column", "CustomerID", "--time-column", "InvoiceDate")

Rows = dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Log:
    """A ride log, options, and the rows that are right or the words with which it is refused."""

    file: str
    options: Sequence[str] = ()
    rows: Rows = field(default_factory=dict)
    findings: Sequence[str] = ()
    refused: Sequence[str] = ()

    @property
    def name(self) -> str:
        return " ".join([self.file, *self.options])


X = (5, 2, 20, 2, 20)
LOGS = [
    # Dates: the column decides, and what it leaves open is refused.
    Log("usa_dates.csv", refused=[US, DAY_FIRST, "'12/10/2025'", "12 October", "10 December"]),
    Log("usa_dates.csv", ["--date-format", US], {"x": (4, 2, 20, 3, 50), "y": (1, 1, 4, 2, 9)}),
    Log("usa_dates_decided.csv", rows={"x": (4, 2, 20, 3, 50), "y": (1, 1, 4, 2, 9)}),
    Log("mixed_dates.csv", refused=["two notations", "'06/04/2014'", "4 written year first"]),
    Log("mixed_dates.csv", ["--date-format", "%F"], {"x": (1, 1, 8, 2, 38)}, ["no-time"]),
    Log("half_days.csv", rows={"x": (7, 2, 20, 2, 20), "y": (1, 1, 4, 1, 4)}),
    Log("half_days.csv", ["--date-format", "%m/%d/%Y %I:%M %p"], {"x": (7, 2, 20, 2, 20)}),
    Log("month_names.csv", rows={"x": X}),
    Log("digits.csv", rows={"x": X}),
    Log("epoch.csv", rows={"x": X}),
    Log("epoch_ms.csv", rows={"x": X}),
    Log("epoch_ms.csv", ["--date-format", "epoch-ms"], {"x": X}),
    Log("one_readable.csv", refused=["39 written", "'2024-12-14 13:19:07.033'", "--date-format"]),
    Log("one_readable.csv", ["--date-format", US], {"1": (1, 1, 7.5, 1, 7.5)}, ["no-time"]),
    Log(
        "one_readable.csv",
        ["--date-format", "%Y-%m-%d"],
        refused=["39 of 40 rows", "no readable time"],
    ),
    # States of a ride.
    Log(
        "states.csv",
        rows={"x": (1, 1, 8, 1, 8), "y": (1, 1, 14, 1, 14), "v": (1, 1, 25, 1, 25)},
        findings=["cancelled", "completed"],
    ),
    Log("states.csv", ["--cancelled", "no_show"], {"v": (1, 1, 25, 1, 25)}, ["cancelled"]),
    Log("unknown_states.csv", rows={"x": (1, 1, 8, 1, 8)}, findings=["unknown-state"]),
    Log("unknown_states.csv", ["--completed", "erledigt"], {"x": (2, 2, 17, 2, 17)}),
    Log("refunded_order.csv", rows={"x": (1, 1, 15, 1, 15)}, findings=["refund"]),
    Log("refunded_order.csv", ["--cancelled", "refunded"], {"x": (1, 1, 15, 1, 15)}, ["refund"]),
    # Lines of receipts.
    Log("receipt_lines.csv", RECEIPTS, {"501": (3, 4, 27.5, 4, 27.5)}, ["lines", "no-customer"]),
    Log(
        "receipt_lines.csv",
        [*RECEIPTS, "--ride-column", "InvoiceNo"],
        {"501": (3, 2, 27.5, 2, 27.5), "502": (1, 1, 2.5, 1, 2.5)},
        ["ride", "no-customer"],
    ),
    Log(
        "receipt_lines.csv",
        [*RECEIPTS, "--ride-column", "InvoiceNo", "--quantity-column", "Quantity"],
        {"501": (3, 2, 27.5, 2, 27.5), "502": (1, 1, 2.5, 1, 2.5)},
    ),
    Log("invoice_lines.csv", findings=["quantity", "lines"]),
    # A log that begins after its customers did.
    Log("begins_in_the_middle.csv", findings=["log-begins-late"]),
    Log(
        "begins_in_the_middle.csv",
        ["--passengers", "begins_registrations.csv"],
        {f"new{number:02d}": (1, 1, 10, 1, 10) for number in range(8)},
        ["before-the-log"],
    ),
    Log(
        "begins_in_the_middle.csv",
        ["--registered-from", "2026-01-10"],
        {f"new{number:02d}": (1, 1, 10, 1, 10) for number in range(8)},
        ["registered-from"],
    ),
    # Currencies.
    Log("currencies.csv", refused=["USD 3, INR 1", "--currency USD", "--rate INR="]),
    Log("currencies.csv", ["--currency", "USD"], {"x": (1, 1, 10, 1, 10)}, ["currency"]),
    Log("currencies.csv", ["--rate", "INR=0.012"], {"x": (2, 2, 70, 2, 70)}, ["converted"]),
    # Ids.
    Log(
        "float_ids.csv",
        ["--passengers", "whole_ids.csv"],
        {"501": (1, 1, 8, 1, 8), "502": (2, 1, 4, 1, 4)},
        ["no-customer"],
    ),
    Log(
        "float_ids.csv",
        ["--passengers", "other_ids.csv"],
        refused=["None of the 3 rides", "'501'", "'A-7'"],
    ),
    # Dates beside times.
    Log(
        "dated_rides.csv",
        ["--passengers", "timed_registrations.csv"],
        {"501": (3, 2, 12, 2, 12)},
        ["dates"],
    ),
]


def table_of(path: Path) -> Rows:
    """What was written, by id, without the dates of registration."""
    with path.open(newline="") as file:
        next(file)
        return {row[0]: tuple(float(cell or "nan") for cell in row[2:]) for row in csv.reader(file)}


def features(clv: Any, log: Path, options: Sequence[str], output: Path) -> Any:
    places = [CASES / one if one.endswith(".csv") else one for one in options]
    return clv("features", log, "--output", output, "--json", *places)


@pytest.mark.parametrize("case", LOGS, ids=lambda case: case.name)
def test_a_log_as_companies_have_them_is_read_right_or_refused(
    case: Log, clv: Any, tmp_path: Path
) -> None:
    output = tmp_path / "activity.csv"
    done = features(clv, CASES / case.file, case.options, output)
    if case.refused:
        assert done.code == 1
        assert all(word in done.complaint for word in case.refused), done.complaint
        assert not output.exists()
        return
    assert done.code == 0, done.err
    rows = table_of(output)
    assert {name: rows[name] for name in case.rows} == case.rows
    codes = {one["code"] for one in json.loads(done.out)["features"]["findings"]}
    assert set(case.findings) <= codes
    if "--passengers" in case.options or "--registered-from" in case.options:
        assert len(rows) == len(case.rows)  # nobody else, and nobody with zeros


def test_every_state_of_a_ride_is_listed_with_its_count(clv: Any, tmp_path: Path) -> None:
    done = features(clv, CASES / "states.csv", [], tmp_path / "activity.csv")
    said = {one["code"]: one["says"] for one in json.loads(done.out)["features"]["findings"]}
    assert "completed 4" in said["completed"]
    for state in ("cancelled_by_driver", "no_show", "failed", "refunded", "rejected", "expired"):
        assert f"{state} 1" in said["cancelled"]


def test_invoices_in_lines_are_rides_of_quantity_times_price(clv: Any, tmp_path: Path) -> None:
    output = tmp_path / "activity.csv"
    options = ["--ride-column", "invoice", "--quantity-column", "quantity"]
    done = features(clv, CASES / "invoice_lines.csv", options, output)
    assert done.code == 0, done.err
    rows = table_of(output)
    with (CASES / "invoice_right.csv").open(newline="") as file:
        right = {row["customer_id"]: row for row in csv.DictReader(file)}
    assert {name: row[3:] for name, row in rows.items()} == {
        name: (float(row["orders_right"]), float(row["money_right"])) for name, row in right.items()
    }


def test_ids_that_are_floats_with_gaps_are_whole_numbers(clv: Any, tmp_path: Path) -> None:
    start = np.datetime64("2026-01-01", "us")
    log = pa.table(
        {
            "customer_id": pa.array([1.0, 2.0, None, 2.0, 1.0, float("nan")] * 20),
            "time": start + np.arange(120) * np.timedelta64(12, "h"),
            "amount": np.full(120, 5.0),
        }
    )
    pyarrow.parquet.write_table(log, tmp_path / "log.parquet")
    done = features(clv, tmp_path / "log.parquet", [], tmp_path / "activity.csv")
    assert done.code == 0, done.err
    assert json.loads(done.out)["features"]["rides_used"] == 80
    assert list(table_of(tmp_path / "activity.csv")) == ["1", "2"]


# ---------------------------------------------------------------- tables of customers


def test_an_amount_with_a_thousands_separator_is_the_whole_amount(
    champion: Any, tmp_path: Path
) -> None:
    output = tmp_path / "scored.csv"
    refused = champion("score", CASES / "thousands.csv", "--output", output)
    assert refused.code == 1
    assert "--decimal ." in refused.complaint
    done = champion("score", CASES / "thousands.csv", "--output", output, "--decimal", ".")
    assert done.code == 0, done.err
    with output.open(newline="") as file:
        scored = {row["id"]: float(row["monetary_30"]) for row in csv.DictReader(file)}
    assert scored["1"] >= 1234
    assert scored["2"] >= 2500


def test_one_list_has_one_verdict_however_its_thousands_are_written(champion: Any) -> None:
    answers = []
    for name in ("segment_plain.csv", "segment_thousands.csv"):
        done = champion(
            "segment", CASES / name, "--margin", 0.25, "--cost", 14, "--json", "--decimal", "."
        )
        assert done.code == 0, done.err
        answers.append(json.loads(done.out))
    plain, thousands = (
        {key: value for key, value in answer.items() if key not in ("source", "findings")}
        for answer in answers
    )
    assert plain == thousands


def test_a_table_of_another_tool_is_refused_by_the_other_meaning_of_its_recency(
    champion: Any, tmp_path: Path
) -> None:
    done = champion("score", CASES / "lifetimes.csv", "--output", tmp_path / "unused.csv")
    assert done.code == 1
    assert "Did you mean 'recency'" not in done.complaint
    assert "recency" in done.complaint


@pytest.mark.parametrize(
    ("treated", "control", "says"),
    [
        ("treated.csv", "control.csv", ["2 customers are in both groups", "id 3, 4."]),
        ("treated.csv", "treated.csv", ["4 customers are in both groups", "id 1, 2, 3, 4."]),
        ("treated.csv", "control_twice.csv", ["lists customers more than once", "id 7"]),
    ],
)
def test_a_lift_between_groups_that_share_customers_is_refused(
    treated: str, control: str, says: list[str], champion: Any
) -> None:
    done = champion("lift", CASES / treated, CASES / control)
    assert done.code == 1
    assert all(word in done.complaint for word in says), done.complaint


def test_a_column_that_training_does_not_use_is_named(
    clv_in: Any, quickly: Any, tmp_path: Path
) -> None:
    rng = np.random.default_rng(50)
    rows = 600
    frequency = rng.integers(1, 4, rows)
    channel = rng.choice(["referral", "ads"], rows)
    spent = np.round(rng.gamma(2, 10, rows) * frequency, 2)
    later = np.round(np.where(channel == "referral", rng.gamma(2, 20, rows), 0), 2)
    table = pa.table(
        {
            "id": np.arange(1, rows + 1),
            "recency_7": rng.integers(1, 8, rows),
            "frequency_7": frequency,
            "monetary_value_7": spent,
            "monetary_value_30": spent + later,
            "channel": channel,
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "history.parquet")
    with quickly():
        done = clv_in("train", "--data", tmp_path / "history.parquet", home=tmp_path / "home")
    assert done.code == 0, done.err
    assert "channel" in done.err + done.out
