"""`clv score` and `clv validate`: what they print, and what they refuse."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from clv.bundle import DEFAULT_LEVEL, MAX_LEVEL, MIN_LEVEL


@pytest.fixture(name="clv")
def _clv(clv_in, trained_home, tmp_path):
    """The registry is that of the shared home; whatever is written goes to a new one."""
    return lambda *arguments: clv_in(
        *arguments,
        home=tmp_path / "home",
        MLFLOW_TRACKING_URI=f"sqlite:///{trained_home}/mlflow.sqlite",
    )


@pytest.fixture
def dirty(activity_file, tmp_path) -> Path:
    """A table whose third row cannot be scored."""
    rows = pyarrow.parquet.read_table(activity_file).slice(0, 10).to_pylist()
    rows[2] |= {"recency_7": 8}
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows), tmp_path / "dirty.csv")
    return tmp_path / "dirty.csv"


# ---------------------------------------------------------------- score


@pytest.mark.parametrize("name", ["scored.csv", "scored.parquet"])
def test_score_writes_a_row_for_each_row_and_says_what_it_came_to(
    name, clv, activity_file, tmp_path
):
    finished = clv("score", activity_file, "--output", tmp_path / name)
    assert (finished.code, finished.err) == (0, "")
    first, second, third = finished.out.splitlines()
    assert first.startswith(f"4,000 rows to {tmp_path / name} with version 1 in ")
    read = pyarrow.csv.read_csv if name.endswith("csv") else pyarrow.parquet.read_table
    table = read(tmp_path / name)
    rare = table["in_support"].to_pylist().count(False)
    assert second == f"Out of support: {rare:,} (fewer than 20 training customers were like them)"
    assert third.startswith("Expected spend by day 30: ")
    assert table["id"].to_pylist() == list(range(1, 4_001))
    assert table.column_names == [
        "id",
        "monetary_30",
        "expected_increment",
        "p_return",
        "low",
        "high",
        "score_bin",
        "in_support",
        "model_version",
    ]


def test_score_answers_machines_in_json_and_nothing_else(clv, activity_file, tmp_path, predictor):
    output = tmp_path / "scored.parquet"
    finished = clv("score", activity_file, "--output", output, "--json")
    assert (finished.code, finished.err) == (0, "")
    answer = json.loads(finished.out)
    assert answer.keys() == {"output", "model_version", "scored"}
    assert (answer["output"], answer["model_version"]) == (str(output), "1")
    assert (answer["scored"]["rows"], answer["scored"]["blank"]) == (4_000, 0)
    table = pyarrow.parquet.read_table(output)
    assert answer["scored"]["out_of_support"] == table["in_support"].to_pylist().count(False) > 0
    money = sum(table["monetary_30"].to_pylist())
    assert answer["scored"]["expected_spend"] == pytest.approx(money, rel=1e-4)


def test_score_stops_at_a_row_that_cannot_be_scored(clv, dirty, tmp_path):
    refused = clv("score", dirty, "--output", tmp_path / "out.csv")
    assert refused.code == 1
    assert f"Row 3 of '{dirty}' (id 3) cannot be scored: column recency_7 holds 8" in (
        refused.complaint
    )
    assert not (tmp_path / "out.csv").exists()


def test_score_may_leave_such_rows_blank_and_says_how_many(clv, dirty, tmp_path):
    finished = clv("score", dirty, "--output", tmp_path / "out.csv", "--on-invalid", "blank")
    assert finished.code == 0
    assert "1 of them could not be scored and have no prediction" in finished.out
    assert (tmp_path / "out.csv").read_text().splitlines()[3] == '3,,,,,,,,"1"'


def test_score_gives_intervals_of_the_level_that_is_asked_for(
    clv, activity_file, history, tmp_path, predictor
):
    output = tmp_path / "scored.parquet"
    for options, level in (([], DEFAULT_LEVEL), (["--level", "0.6"], 0.6)):
        assert clv("score", activity_file, "--output", output, *options).code == 0
        said = [
            predictor.predict_one(*activity, level=level).in_cents()
            for activity in history.activity[:200].matrix()
        ]
        found = pyarrow.parquet.read_table(output).slice(0, 200)
        assert found["low"].to_pylist() == [one.low for one in said]
        assert found["high"].to_pylist() == [one.high for one in said]


@pytest.mark.parametrize("level", [MIN_LEVEL, MAX_LEVEL])
def test_score_takes_the_lowest_and_the_highest_level(level, clv, activity_file, tmp_path):
    finished = clv("score", activity_file, "--output", tmp_path / "o.csv", "--level", level)
    assert finished.code == 0


@pytest.mark.parametrize("level", ["0.4999", "0.9901", "90", "-1", "nan", "most"])
def test_score_refuses_a_level_out_of_range_and_names_the_option(
    level, clv, activity_file, tmp_path
):
    refused = clv("score", activity_file, "--output", tmp_path / "o.csv", "--level", level)
    assert refused.code == 2
    assert "--level" in refused.err
    assert not (tmp_path / "o.csv").exists()


def test_score_takes_a_version_by_its_number(clv, activity_file, tmp_path):
    finished = clv("score", activity_file, "--output", tmp_path / "o.csv", "--model-version", "1")
    assert finished.code == 0
    refused = clv("score", activity_file, "--output", tmp_path / "o.csv", "--model-version", "9")
    assert refused.code == 1
    assert refused.complaint == (
        "clv: There is no version '9' of 'clv'. See those there are: clv models list"
    )


def test_the_table_of_a_database_is_named(clv, tmp_path):
    connection = sqlite3.connect(tmp_path / "crm.sqlite")
    connection.execute("CREATE TABLE new (id, recency_7, frequency_7, monetary_7)")
    connection.execute("INSERT INTO new VALUES ('a', 1, 1, 8.5), ('b', 0, 0, 0)")
    connection.commit()
    connection.close()
    arguments = ["score", tmp_path / "crm.sqlite", "--output", tmp_path / "out.csv"]
    assert "no table 'passenger_activity_after_registration'; tables there: new." in (
        clv(*arguments).complaint
    )
    assert clv(*arguments, "--table", "new").code == 0
    assert [line.split(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()] == [
        '"id"',
        '"a"',
        '"b"',
    ]


@pytest.mark.parametrize(
    ("given", "output", "says"),
    [
        ("{activity}", "{tmp}/out.xlsx", "Expected a name ending in .csv or .parquet."),
        ("{activity}", "{activity}/out.csv", "cannot be written: "),
        ("{activity}", "{tmp}", "Expected a name ending in .csv or .parquet."),
        ("{tmp}/none.csv", "{tmp}/out.csv", "There is no file '"),
        ("sqlite:///{tmp}/none.db", "{tmp}/out.csv", "There is no file '"),
        ("{tmp}", "{tmp}/out.csv", "is a folder without .parquet files. Give a .csv, "),
    ],
)
def test_what_cannot_be_scored_or_written_is_told_in_a_line(
    given, output, says, clv, activity_file, tmp_path
):
    places = {"activity": activity_file, "tmp": tmp_path}
    refused = clv("score", given.format(**places), "--output", output.format(**places))
    assert refused.code == 1
    assert says in refused.complaint
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []


def test_score_refuses_to_write_over_its_own_input(clv, dirty):
    before = dirty.read_bytes()
    refused = clv("score", dirty, "--output", dirty)
    assert refused.code == 2
    assert f"The output '{dirty}' is the input '{dirty}' itself" in refused.complaint
    assert dirty.read_bytes() == before


def test_score_tells_an_empty_input(clv, activity_file, tmp_path):
    table = pyarrow.parquet.read_table(activity_file).slice(0, 0)
    pyarrow.parquet.write_table(table, tmp_path / "none.parquet")
    refused = clv("score", tmp_path / "none.parquet", "--output", tmp_path / "out.csv")
    assert refused.code == 1
    assert refused.complaint.endswith("none.parquet' holds no rows, so there is nothing to score.")


# ---------------------------------------------------------------- validate


@pytest.fixture
def last_month(activity_file, tmp_path) -> Path:
    """Some of the customers, one of whom got a refund."""
    rows = pyarrow.parquet.read_table(activity_file).slice(0, 800).to_pylist()
    rows[5] |= {
        "recency_7": 1,
        "frequency_7": 1,
        "monetary_value_7": 90.0,
        "monetary_value_30": 1.0,
    }
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows), tmp_path / "last_month.csv")
    return tmp_path / "last_month.csv"


def test_validate_prints_its_tables_and_draws_pictures(clv, last_month, tmp_path):
    finished = clv("validate", "--data", last_month)
    assert finished.code == 0
    assert finished.out.startswith(f"800 customers of {last_month}")
    for line in (
        "\nversion 1 (",
        "\nmonth = week ",
        "\nmean of training ",
        "\nBy decile",
        "\nOutcomes in their intervals, by score bin (90%: ",
        "\nWho rode again: Brier ",
        "\nThe best tenth by prediction holds ",
        "\nLarg",
    ):
        assert line in finished.out
    page = tmp_path / "home" / "validation.html"
    assert finished.out.splitlines()[-1] == f"Picture: {page}"
    assert page.read_text().startswith("<!doctype html>")
    assert "kept: monetary_value_30: less money by the horizon" in finished.err


def test_validate_answers_machines_in_json_and_nothing_else(clv, last_month, tmp_path):
    finished = clv("validate", "--data", last_month, "--json", "--html", tmp_path / "page.html")
    assert (finished.code, finished.err) == (0, "")
    answer = json.loads(finished.out)
    assert (answer["version"], answer["rows"], answer["trained_on_these"]) == ("1", 800, False)
    assert len(answer["lines"]) == 3
    assert [row["decile"] for row in answer["deciles"]] == list(range(1, 11))
    assert len(answer["misses"]) == 10
    assert [one["level"] for one in answer["coverage"]] == [0.9, 0.8]
    assert (tmp_path / "page.html").exists()


def test_validate_says_when_the_model_is_shown_its_own_rows(clv, activity_file):
    finished = clv("validate", "--data", activity_file)
    assert finished.code == 0
    assert "The model was fitted on these very rows" in finished.err


def test_validate_tells_a_table_without_outcomes(clv, activity_file, tmp_path):
    table = pyarrow.parquet.read_table(activity_file).drop_columns("monetary_value_30")
    pyarrow.parquet.write_table(table, tmp_path / "new.parquet")
    refused = clv("validate", "--data", tmp_path / "new.parquet")
    assert refused.code == 1
    assert "Column 'monetary_value_30' (money spent in the first 30 days) is missing" in (
        refused.complaint
    )
    assert not (tmp_path / "home" / "validation.html").exists()


def test_validate_tells_a_place_that_cannot_hold_the_page(clv, last_month):
    refused = clv("validate", "--data", last_month, "--html", last_month / "page.html")
    assert refused.code == 1
    assert "page.html' cannot be written: " in refused.complaint


# ---------------------------------------------------------------- without a champion


@pytest.mark.parametrize("command", ["score {} --output {}.csv", "validate --data {}"])
def test_without_a_champion_it_says_how_to_train_one(command, clv_in, activity_file, tmp_path):
    arguments = command.format(activity_file, tmp_path / "out").split()
    refused = clv_in(*arguments, home=tmp_path / "new")
    assert refused.code == 1
    assert refused.complaint == (
        "clv: There is no champion yet. Train one: clv train --data SOURCE"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_a_file_cannot_take_over_the_terminal(clv_in, trained_home, tmp_path):
    file = tmp_path / "esc.csv"
    file.write_text(
        "id,recency_7,frequency_7,monetary_value_7\x1b[2J\x1b]0;pwn\x07,x\n1,1,1,8.5,1\n"
    )
    finished = clv_in("score", file, "--output", tmp_path / "out.csv", home=trained_home)
    assert finished.code == 1
    assert r"\x1b[2J\x1b]0;pwn\x07" in finished.complaint
    assert not {"\x1b", "\x07"} & set(finished.err)


def test_a_column_that_can_be_read_in_two_ways_waits_for_the_user(clv, tmp_path):
    header = "id,recency_7,frequency_7,monetary_value_7\n"
    table, output = tmp_path / "list.csv", tmp_path / "out.csv"
    table.write_text(f'{header}1,7,4,"1,234"\n2,1,1,900\n')
    refused = clv("score", table, "--output", output)
    assert refused.code == 1
    assert "two ways: '1,234' is 1234" in refused.err
    assert not output.exists()
    finished = clv("score", table, "--output", output, "--decimal", ".")
    assert finished.code == 0
    assert "read as 1,234.50: ',' for thousands" in finished.err
    assert pyarrow.csv.read_csv(output)["monetary_30"][0].as_py() >= 1234
    wrong = clv("score", table, "--output", output, "--decimal", ",", "--thousands", ",")
    assert wrong.code == 2
    assert "two different ones" in wrong.err


def test_ids_of_nobody_keep_their_row_without_a_prediction(clv, tmp_path):
    header = "id,recency_7,frequency_7,monetary_value_7\n"
    table, output = tmp_path / "list.csv", tmp_path / "out.csv"
    table.write_text(f"{header}70001.0,7,4,12.5\nnan,1,1,9\n")
    refused = clv("score", table, "--output", output)
    assert refused.code == 1
    assert "missing id" in refused.err
    assert clv("score", table, "--output", output, "--on-invalid", "blank").code == 0
    scored = pyarrow.csv.read_csv(output)
    assert scored["id"].to_pylist() == [70001, None]
    assert scored["monetary_30"][1].as_py() is None


def test_standard_output_gets_the_table_and_nothing_else(trained_home, tmp_path):
    file = tmp_path / "in.csv"
    file.write_text("id,recency_7,frequency_7,monetary_value_7\n1,1,1,8.5\n=1,2,2,9\n")
    done = subprocess.run(
        [sys.executable, "-m", "clv", "score", str(file), "--output", "/dev/stdout"],
        env={**os.environ, "CLV_HOME": str(trained_home)},
        capture_output=True,
        text=True,
        check=True,
    )
    header, first, second = done.stdout.splitlines()
    assert header.startswith('"id","monetary_30"')
    assert (first.split(",")[0], second.split(",")[0]) == ('"1"', '"\'=1"')
    assert "2 rows to /dev/stdout" in done.stderr


def another_tool(folder: Path) -> Path:
    (folder / "rfm.csv").write_text("customer_id,frequency,recency,T,monetary_value\n1,2,3,8,2\n")
    return folder / "rfm.csv"


def wrong_checksum(folder: Path) -> Path:
    header = "id,recency_7,frequency_7,monetary_value_7\n"
    content = bytearray(gzip.compress(f"{header}1,1,1,10.5\n".encode(), 0))
    content[content.index(b"10.5")] = ord("9")
    (folder / "list.csv.gz").write_bytes(content)
    return folder / "list.csv.gz"


def view_of_files(folder: Path) -> Path:
    (folder / "secret.txt").write_text("hush")
    with duckdb.connect(str(folder / "list.duckdb")) as connection:
        connection.execute(
            "CREATE VIEW passenger_activity_after_registration AS SELECT content AS id, "
            f"1 AS recency_7, 1 AS frequency_7, 1 AS monetary_value_7 "
            f"FROM read_text('{folder}/secret.txt')"
        )
    return folder / "list.duckdb"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (another_tool, "is a table of another tool"),
        (wrong_checksum, "it is damaged (CRC check failed"),
        (view_of_files, "reads more than tables of this file"),
    ],
)
def test_a_file_that_is_no_table_of_activity_is_refused_in_a_line(make, says, clv, tmp_path):
    refused = clv("score", make(tmp_path), "--output", tmp_path / "out.csv")
    assert refused.code == 1
    assert says in refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()
