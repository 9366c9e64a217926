"""`clv segment` and `clv lift`: what they print, write and refuse."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from rich.console import Console

from clv.cli import show


@pytest.fixture(name="clv")
def _clv(clv_in, trained_home, tmp_path):
    """The registry is that of the shared home; whatever is written goes to a new one."""
    return lambda *arguments, **environment: clv_in(
        *arguments,
        home=tmp_path / "home",
        MLFLOW_TRACKING_URI=f"sqlite:///{trained_home}/mlflow.sqlite",
        **environment,
    )


@pytest.fixture
def steady(activity_file, tmp_path) -> Path:
    """Two hundred passengers who rode often."""
    table = pyarrow.parquet.read_table(activity_file)
    often = table.filter(pa.compute.greater_equal(table["frequency_7"], 3)).slice(0, 200)
    columns = ["id", "recency_7", "frequency_7", "monetary_value_7"]
    pyarrow.csv.write_csv(often.select(columns), tmp_path / "steady.csv")
    return tmp_path / "steady.csv"


TERMS = ("--margin", "0.25", "--cost", "0.5")


def test_it_prints_the_verdict_and_what_it_rests_on(clv, steady) -> None:
    finished = clv("segment", steady, *TERMS, CLV_CURRENCY="EUR")
    assert finished.code == 0
    headline = finished.out.splitlines()[0]
    assert re.fullmatch(
        r"Pays if it raises their further spending by [\d.]+% or more; to be safe, [\d.]+% "
        r"\(200 passengers\)",
        headline,
    )
    for part in ("lift at break-even", "less cost", "steady", "EUR", "Hold-out group"):
        assert part in finished.out
    assert "not what the campaign changes" in finished.err
    for word in ("profit", "worth it"):
        assert word not in (finished.out + finished.err).lower()
    given = clv("segment", steady, *TERMS, "--lift", "5", CLV_CURRENCY="EUR")
    assert given.out.splitlines()[0] == "Worth it (200 passengers)"
    for part in ("profit", "probability that it pays", "break-even cost per passenger"):
        assert part in given.out
    dear = clv("segment", steady, "--margin", "0.25", "--cost", "50", "--lift", "0.1")
    assert dear.out.startswith("Not worth it")
    assert "No part of the list is expected to earn its cost" in dear.out


@pytest.mark.parametrize("lift", [(), ("--lift", "0.1")])
def test_nothing_is_cut_off_on_a_terminal_of_80_columns(clv, steady, monkeypatch, lift) -> None:
    piped = clv("segment", steady, *TERMS, *lift, CLV_CURRENCY="EUR").out
    monkeypatch.setattr(show, "_console", lambda stream: Console(file=stream, width=80))
    narrow = clv("segment", steady, *TERMS, *lift, CLV_CURRENCY="EUR").out
    assert narrow.split() == piped.split()
    tables = [line for line in narrow.splitlines() if "  " in line]
    assert tables
    assert max(map(len, tables)) <= 80


def test_all_passengers_are_compared_in_one_sentence(clv, steady) -> None:
    found = json.loads(clv("segment", steady, *TERMS, "--json").out)["evaluation"]["all_customers"]
    assert (
        f"For comparison, all passengers: {found['expected_increment']:.2f} of further spend per "
        f"passenger ({found['times']:.1f} times as much here), {found['returning']:.1%} ride again."
    ) in clv("segment", steady, *TERMS).out


def test_the_best_part_of_a_list_is_named(clv, steady) -> None:
    said = json.loads(clv("segment", steady, *TERMS, "--lift", "0.05", "--json").out)
    best = said["evaluation"]["best"]
    assert 0 < best["customers"] < 200
    assert best["low"] <= best["profit"] <= best["high"]
    text = clv("segment", steady, *TERMS, "--lift", "0.05").out
    assert f"Not all 200: the best {best['customers']} " in text


def test_without_a_lift_json_has_no_profit(clv, steady) -> None:
    finished = clv("segment", steady, *TERMS, "--json")
    assert "profit" not in finished.out.lower()
    found = json.loads(finished.out)["evaluation"]
    assert (found["verdict"], found["speaks_of"]) == ("worth it", "value")
    mean = found["expected_increment"]["mean"]
    assert found["value_less_cost"]["mean"] == pytest.approx(200 * (0.25 * mean - 0.5))
    assert "value_less_cost" in found["best"]


def test_machines_get_json_with_nothing_else(clv, steady) -> None:
    finished = clv("segment", steady, *TERMS, "--lift", "0.2", "--json")
    said = json.loads(finished.out)
    found = said["evaluation"]
    assert (found["n"], found["speaks_of"], said["model_version"]) == (200, "effect", "1")
    assert said["rows_read"] == 200
    low, mean, high = (found["expected_increment"][name] for name in ("low", "mean", "high"))
    assert low < mean < high
    profit = 200 * (0.25 * 0.2 * mean - 0.5)
    assert found["expected_profit"]["mean"] == pytest.approx(profit)


@pytest.mark.parametrize("name", ["chosen.csv", "chosen.parquet"])
def test_the_chosen_are_written_with_the_value_to_bid(name, clv, steady, tmp_path) -> None:
    output = tmp_path / name
    finished = clv("segment", steady, *TERMS, "--output", output, "--best", "20", "--cap", "40")
    assert f"20 chosen passengers to {output}" in finished.err
    read = pyarrow.csv.read_csv if name.endswith("csv") else pyarrow.parquet.read_table
    table = read(output)
    assert table.column_names == ["id", "rank", "expected_increment", "p_return", "value"]
    assert table["rank"].to_pylist() == list(range(1, 21))
    increment = np.array(table["expected_increment"])
    assert (np.diff(increment) <= 0).all()
    value = np.array(table["value"])
    assert value == pytest.approx(0.25 * np.minimum(increment, 40), abs=0.006)
    too_many = clv("segment", steady, *TERMS, "--output", output, "--best", "201")
    assert too_many.code == 1
    assert "expected 0 to 200" in too_many.err
    assert read(output).equals(table)


@pytest.mark.parametrize("lift", [(), ("--lift", "0.5")])
def test_by_default_all_are_chosen_and_with_a_lift_those_who_pay(clv, steady, tmp_path, lift):
    output, terms = tmp_path / "chosen.csv", ("--margin", "0.25", "--cost", "4", *lift)
    said = json.loads(clv("segment", steady, *terms, "--output", output, "--json").out)
    best = said["evaluation"]["best"]["customers"]
    assert best < 200
    table = pyarrow.csv.read_csv(output)
    assert table["rank"].to_pylist() == list(range(1, 1 + (best if lift else 200)))


def test_a_page_opens_anywhere(clv, steady, tmp_path) -> None:
    page = tmp_path / "verdict.html"
    assert clv("segment", steady, *TERMS, "--html", page).code == 0
    text = page.read_text()
    assert "Pays if it raises their further spending by" in text
    assert "profit (" not in text.lower()
    assert text.count("js-plotly-plot") >= 4 or text.count("plotly-graph-div") == 4
    assert "<link" not in text
    assert 'src="http' not in text


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (("--margin", "1.5", "--cost", "1"), "margin=1.5: expected a share from 0.0001", 1),
        (("--margin", "0.2", "--cost", "-1"), "cost=-1.0: expected 0 to", 1),
        ((*TERMS, "--column", "recency_7"), "--column recency_7: expected a name", 2),
        ((*TERMS, "--column", "day=x"), "Unknown name 'day' in the column mapping", 1),
        (("--margin", "0.2"), "--cost", 2),
    ],
)
def test_what_cannot_be_judged_is_said(clv, steady, arguments, says, code) -> None:
    finished = clv("segment", steady, *arguments)
    assert finished.code == code
    assert says in finished.err


def test_rows_that_cannot_be_used_stop_it_unless_told_otherwise(clv, steady, tmp_path) -> None:
    slips = tmp_path / "slips.csv"
    slips.write_text(steady.read_text() + "999001,8,1,5\n999002,,1,5\n")
    finished = clv("segment", slips, *TERMS)
    assert finished.code == 1
    assert "row 201 holds '8'" in finished.err or "row 201 holds 8" in finished.err
    skipped = clv("segment", slips, *TERMS, "--on-invalid", "skip")
    assert skipped.code == 0
    assert "(200 passengers)" in skipped.out


def test_the_lift_of_a_hold_out_is_estimated(clv, activity_file, tmp_path) -> None:
    table = pyarrow.parquet.read_table(activity_file)
    halves = [table.slice(0, 2_000), table.slice(2_000)]
    spent, total = (np.array(halves[0][f"monetary_value_{days}"]) for days in (7, 30))
    position = halves[0].column_names.index("monetary_value_30")
    more = pa.array(spent + 2.0 * (total - spent))
    halves[0] = halves[0].set_column(position, "monetary_value_30", more)
    for half, name in zip(halves, ("treated", "control"), strict=True):
        pyarrow.parquet.write_table(half, tmp_path / f"{name}.parquet")
    groups = (tmp_path / "treated.parquet", tmp_path / "control.parquet")
    found = json.loads(clv("lift", *groups, "--json").out)["lift"]
    assert found["low"] < 1.0 < found["high"]
    assert found["low"] > 0
    said = clv("lift", *groups).out
    assert "2,000 treated, 2,000 held out" in said
    controls = [table.slice(2_000, 1_000), table.slice(3_000)]
    for half, name in zip(controls, ("a", "b"), strict=True):
        pyarrow.parquet.write_table(half, tmp_path / f"{name}.parquet")
    nothing = clv("lift", tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert "No effect cannot be ruled out" in nothing.out
