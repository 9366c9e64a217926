"""`clv features`, `clv train --kind rides` and `clv export sql`."""

import csv
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet
import pytest

from clv.bundle import Predictor
from clv.data.sample import write_sample
from clv.registry import open_registry
from clv.scoring.warehouse import sql_script
from clv.settings import Settings


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("sample"), passengers=3_000)


def test_a_ride_log_becomes_an_activity_table(clv, sample, tmp_path):
    output = tmp_path / "activity.parquet"
    done = clv("features", sample.rides, "--passengers", sample.activity, "--output", output)
    assert done.code == 0, done.err
    assert f"3,000 customers: {output}" in done.out
    assert "3,000 of them with an outcome by day 30" in done.out
    made = pyarrow.parquet.read_table(output)
    assert made.equals(pyarrow.parquet.read_table(sample.activity).cast(made.schema))


def test_machines_are_answered_in_json_with_the_findings(clv, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("who,day,paid\n1,2026-01-05,5\n1,soon,5\n1,2026-06-05,-2\n1,2026-06-06,1\n")
    output = tmp_path / "activity.csv"
    done = clv(
        "features", log, "--output", output, "--customer-column", "who", "--time-column", "day",
        "--amount-column", "paid", "--observation-days", 90, "--horizon-days", 120, "--json",
    )  # fmt: skip
    answer = json.loads(done.out)
    assert answer["output"] == str(output)
    assert answer["features"]["customers"] == 1
    assert answer["features"]["as_of"] == "2026-06-06T00:00:00+00:00"
    codes = {one["code"]: one["rows"] for one in answer["features"]["findings"]}
    assert codes == {"no-time": 1, "negative": 1}
    assert output.read_text().startswith("id,registered_at,recency_90,frequency_90,")


def test_people_are_shown_what_is_odd(clv, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("id,date,amount\n1,2026-01-05,5\n1,soon,5\n2,2026-06-05,2\n")
    done = clv("features", log, "--output", tmp_path / "out.parquet")
    assert done.code == 0
    assert "left out: date: no readable time; expected a date or time" in done.err
    assert "'soon'" in done.err
    assert "3 rows read, 2 rides used; as of 2026-06-05 00:00 UTC" in done.out
    assert "1 more registered less than 7 days before and are left out" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--as-of", "monday"], 2, "--as-of 'monday': expected ISO 8601"),
        (["--as-of", "2999-01-01"], 2, "2999-01-01 00:00 is in the future"),
        (["--master", "local[1]"], 2, "--master local[1] without --engine spark"),
        (
            ["--engine", "spark", "--memory-limit", "1GB"],
            2,
            "--memory-limit 1GB applies to DuckDB only",
        ),
        (["--horizon-days", "7"], 2, "expected 0 < observation_days < horizon_days"),
        (["--time-column", "when"], 1, "--time-column 'when'"),
        (["--as-of", "2025-01-01"], 1, "None of the"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line_and_nothing_is_written(
    arguments, code, says, clv, sample, tmp_path
):
    refused = clv("features", sample.rides, "--output", tmp_path / "out.parquet", *arguments)
    assert refused.code == code
    assert says in refused.complaint
    assert list(tmp_path.iterdir()) == []


def test_without_ibis_it_says_what_to_install(clv, sample, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    refused = clv("features", sample.rides, "--output", tmp_path / "out.parquet")
    assert refused.code == 2
    assert refused.complaint.endswith("Install clv[features].")


def test_a_model_is_trained_straight_from_a_ride_log(clv_in, quickly, sample, tmp_path):
    with quickly():
        done = clv_in(
            "train", "--data", sample.rides, "--kind", "rides", "--passengers", sample.activity,
            "--json", home=tmp_path / "home",
        )  # fmt: skip
    assert done.code == 0, done.err
    assert re.search(r"rides of 3,000 customers, as of 2025-", done.err)
    registry = open_registry(Settings(home=tmp_path / "home"))
    manifest = Predictor.load(registry.bundle("1")).manifest
    assert manifest.data.source == str(sample.rides)
    assert (manifest.data.rows, manifest.data.generated) == (3_000, False)
    report = json.loads((tmp_path / "home" / "report.json").read_text())
    assert len(report["cohorts"]) > 0  # the log has dates, so younger cohorts were predicted
    assert not list((tmp_path / "home").glob(".rides-*"))

    # There are no outcomes yet; the log itself is no table to train on again.
    again = clv_in("retrain", "--json", home=tmp_path / "home")
    assert again.code == 0, again.err
    assert json.loads(again.out)["decision"] == "nothing to do"
    assert "Training on tracked requests only. Column 'recency_7'" in again.err
    assert "make its table with `clv features`" in again.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kind", "rides"], "--kind rides needs a ride log: give one with --data."),
        (
            ["--data", "x.csv", "--as-of", "2026-01-01"],
            "--as-of 2026-01-01: options of a ride log. Add --kind rides",
        ),
    ],
)
def test_options_of_a_ride_log_belong_to_one(arguments, says, clv, home):
    refused = clv("train", *arguments)
    assert refused.code == 2
    assert says in refused.complaint


def test_the_champion_is_written_as_sql_or_printed(clv_in, trained_home, predictor, tmp_path):
    def export(*arguments):
        return clv_in("export", "sql", "--table", "mine", *arguments, home=trained_home)

    written = export("--output", tmp_path / "champion.sql")
    assert written.code == 0, written.err
    script = (tmp_path / "champion.sql").read_text()
    assert script == sql_script(predictor, "duckdb", table="mine")
    assert export().out == script + "\n"


def test_a_missing_folder_is_said_and_not_made(clv, sample, tmp_path):
    done = clv("features", sample.rides, "--output", tmp_path / "new" / "activity.csv")
    assert done.code == 1
    assert "there is no folder" in done.complaint
    assert not (tmp_path / "new").exists()


def test_ids_that_a_spreadsheet_would_run_are_escaped_and_read_back(clv, tmp_path):
    log = tmp_path / "log.csv"
    ids = ["+1+1", "=cmd|'/C calc'!A0", "@x", "plain"]
    rows = [f'"{one}",2026-01-05,5' for one in ids]
    log.write_text("\n".join(["customer_id,time,amount", *rows]) + "\n")
    made = {}
    for name, options in (("safe", ()), ("raw", ("--raw",))):
        output = tmp_path / f"{name}.csv"
        done = clv("features", log, *options, "--as-of", "2026-06-01", "--output", output)
        assert done.code == 0, done.err
        with output.open(newline="") as file:
            made[name] = [row[0] for row in csv.reader(file)][1:]
    assert made["raw"] == sorted(ids)
    assert made["safe"] == ["'+1+1", "'=cmd|'/C calc'!A0", "'@x", "plain"]
    again = tmp_path / "again.csv"
    (tmp_path / "log2.csv").write_text(log.read_text().replace('"+1+1"', '"\'+1+1"'))
    done = clv("features", tmp_path / "log2.csv", "--as-of", "2026-06-01", "--output", again)
    assert done.code == 0, done.err
    assert again.read_bytes() == (tmp_path / "safe.csv").read_bytes()


def test_a_pipe_gets_the_table(clv, sample, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        done = clv("features", sample.rides, "--output", pipe)
        assert done.code == 0, done.err
        assert read.result().startswith("id,registered_at,recency_7")
    assert pipe.is_fifo()
