"""`clv train`: from a table, or from nothing at all, to a champion; or a line that says why not."""

import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from clv.bundle import Predictor
from clv.data.sources import databases
from clv.errors import DataError, UsageError
from clv.registry import open_registry
from clv.schema import DEFAULT_TABLE
from clv.settings import Settings
from clv.sqlite import sqlite3 as the_sqlite
from clv.training.search import SearchPlan
from support.rights import without_rights


@pytest.fixture(scope="module")
def trained(clv_in, quickly, tmp_path_factory) -> tuple[Path, Any]:
    """A home in which `clv train --json` was all that was ever typed, and how that ended."""
    home = tmp_path_factory.mktemp("generated") / "home"
    with quickly():
        return home, clv_in("train", "--json", home=home)


def test_without_data_it_generates_passengers_and_trains_a_champion(trained):
    home, finished = trained
    assert finished.code == 0
    assert "No --data given: generating 1,000 passengers in " in finished.err
    assert "1,000 rows read, 1,000 used" in finished.err
    assert {path.name for path in (home / "sample").iterdir()} == {
        "activity.parquet",
        "rides.parquet",
    }
    left = {"model_card.md", "model_results.csv", "report.html", "report.json"}
    assert {path.name for path in home.iterdir()} >= left
    registry = open_registry(Settings(home=home))
    assert [version.reason for version in registry.versions()][-1] == "first model"
    assert Predictor.load(registry.bundle("1")).manifest.data.generated is True


def test_with_json_the_answer_is_json_and_nothing_else(trained):
    answer = json.loads(trained[1].out)
    assert (answer["version"], answer["alias"], answer["reason"]) == (
        "1",
        "champion",
        "first model",
    )
    assert answer["findings"] == []
    assert answer["failed"] == {}
    assert [check["code"] for check in answer["checks"]][:2] == ["CLV001", "CLV002"]
    models = [line["model"] for line in answer["leaderboard"]]
    assert answer["champion"] in models
    assert {"mean", "month = week", "boosting"} <= set(models)
    assert all(isinstance(line["test_mse"], float) for line in answer["leaderboard"])


def test_progress_is_said_line_by_line_where_there_is_no_terminal(trained):
    assert "\nboosting: " in trained[1].err
    assert "\x1b" not in trained[1].err


def test_if_missing_does_nothing_where_there_is_a_champion(trained, clv_in, monkeypatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("clv.training.train", never)
    champion = open_registry(Settings(home=trained[0])).champion()
    finished = clv_in("train", "--if-missing", home=trained[0])
    assert (finished.code, finished.out) == (0, "")
    assert finished.err == f"Version {champion} is champion already; nothing was trained.\n"


def test_if_missing_says_so_as_json_too(trained, clv_in):
    finished = clv_in("train", "--if-missing", "--json", home=trained[0])
    assert json.loads(finished.out) == {
        "version": "1",
        "alias": "champion",
        "reason": "champion already; nothing was trained",
    }


def test_if_missing_trains_anew_where_the_champion_can_serve_nobody(
    trained_home, clv_in, quickly, tmp_path
):
    """As after an upgrade that reads another format of bundles."""
    home = shutil.copytree(trained_home, tmp_path / "home")
    settings = Settings(home=home)
    manifest = open_registry(settings).bundle("1") / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole.replace('"format": 4', '"format": 3'))
    try:
        with quickly():
            finished = clv_in("train", "--if-missing", home=home)
    finally:
        manifest.write_text(whole)
    assert finished.code == 0
    assert re.search(
        r"^Version 1 cannot be used \(.*manifest.*\): training again\.$", finished.err, re.M
    )
    assert open_registry(settings).champion() == "2"


@pytest.fixture(scope="module")
def second(trained, clv_in, quickly, activity_file) -> Any:
    """A second training in the same home, on a table with two odd rows, for people to read."""
    table = pyarrow.parquet.read_table(activity_file)
    odd = table.slice(0, 2).to_pylist()
    odd[0] |= {"id": 90_001, "recency_7": 9}
    odd[1] |= {"id": 90_002, "monetary_value_7": 500.0, "monetary_value_30": 400.0}
    odd[1] |= {"recency_7": 1, "frequency_7": 1}
    dirty = pa.concat_tables([table, pa.Table.from_pylist(odd, table.schema)])
    path = trained[0].parent / "odd.csv"
    pyarrow.csv.write_csv(dirty, path)
    with quickly():
        return clv_in("train", "--data", path, home=trained[0])


def test_it_says_what_was_odd_about_the_data(second):
    assert "4,002 rows read, 4,001 used" in second.err
    assert "  left out: recency_7: too large; expected a whole number from 0 to 7" in second.err
    assert "row 4,001 holds 9. These rows are not used." in second.err
    assert "  kept: monetary_value_30: less money by the horizon" in second.err


def test_it_prints_the_leaderboard_and_what_became_of_it(second):
    assert second.code == 0
    assert second.out.startswith("Leaderboard (cv: 5-fold on the training rows; test: held out")
    for name in ("mean", "month = week", "boosting, Tweedie", "hurdle"):
        assert f"\n{name} " in second.out
    assert "\nChosen: " in second.out
    assert "\nVersion 2 is champion: version 1 was trained on generated passengers; " in second.out
    assert "model_results.csv" in second.out.split("\nWritten: ")[1]
    assert "report.html" in second.out.split("\nWritten: ")[1]


def test_it_prints_the_issues_among_the_checks_and_no_others(second):
    assert "\nCLV013 Customers resemble the training customers: " in second.out
    assert "give a longer history" in second.out
    assert "\nCLV011 " not in second.out


def test_a_challenger_is_said_to_be_one_and_how_it_could_still_serve(
    second, trained, clv_in, quickly
):
    with quickly():
        finished = clv_in("train", home=trained[0])
    assert finished.code == 0
    assert "\nVersion 3 is challenger: it was trained on generated passengers; " in finished.out
    assert finished.out.endswith("To promote it anyway: clv models promote 3\n")


def test_generated_passengers_count_as_generated_also_where_data_names_them(
    clv, home, quickly, tmp_path
):
    """A model of them must not stand in the way of one that learnt from real ones."""
    assert clv("sample-data", "--passengers", 1_000, "--format", "csv").code == 0
    (tmp_path / "link").symlink_to(home / "sample")
    with quickly():
        assert clv("train", "--data", tmp_path / "link" / "activity.csv").code == 0
    registry = open_registry(Settings(home=home))
    assert Predictor.load(registry.bundle("1")).manifest.data.generated is True


def test_a_table_elsewhere_is_not_taken_for_generated(registry):
    assert Predictor.load(registry.bundle("1")).manifest.data.generated is False


# ---------------------------------------------------------------- what cannot be trained on


def empty(table: pa.Table, folder: Path) -> str:
    pyarrow.csv.write_csv(table.slice(0, 0), folder / "data.csv")
    return str(folder / "data.csv")


def five_rows(table: pa.Table, folder: Path) -> str:
    pyarrow.parquet.write_table(table.slice(0, 5), folder / "data.parquet")
    return str(folder / "data.parquet")


def misnamed(table: pa.Table, folder: Path) -> str:
    renamed = table.rename_columns({"frequency_7": "freqency_7"})
    pyarrow.csv.write_csv(renamed, folder / "data.csv")
    return str(folder / "data.csv")


def all_equal(table: pa.Table, folder: Path) -> str:
    place = table.column_names.index("monetary_value_30")
    equal = table.set_column(place, "monetary_value_30", pa.array([12.5] * len(table)))
    pyarrow.parquet.write_table(equal, folder / "data.parquet")
    return str(folder / "data.parquet")


def no_bytes(_: pa.Table, folder: Path) -> str:
    (folder / "data.sqlite").touch()
    return str(folder / "data.sqlite")


def missing(_: pa.Table, folder: Path) -> str:
    return str(folder / "none.csv")


def a_folder(_: pa.Table, folder: Path) -> str:
    return str(folder)


def other_kind(_: pa.Table, folder: Path) -> str:
    (folder / "data.xlsx").write_text("id")
    return str(folder / "data.xlsx")


def not_its_kind(_: pa.Table, folder: Path) -> str:
    (folder / "data.parquet").write_text("id,recency_7\n" * 9)
    return str(folder / "data.parquet")


def other_table(_: pa.Table, folder: Path) -> str:
    connection = sqlite3.connect(folder / "data.sqlite")
    connection.execute("CREATE TABLE passenger_activity (id)")
    connection.close()
    return str(folder / "data.sqlite")


def garbled(_: pa.Table, __: Path) -> str:
    return "postgresql://ann:hush@host:port/db"


def unknown_database(_: pa.Table, __: Path) -> str:
    return "oracle9://ann:hush@host/db"


def away(_: pa.Table, __: Path) -> str:
    return "postgresql://ann:hush@127.0.0.1:1/db?password=hush"


FAILURES: dict[Callable[[pa.Table, Path], str], str] = {
    empty: "data.csv' holds no rows. Give a table with customers in it.",
    five_rows: "5 of 5 rows can be used",
    misnamed: "Did you mean 'freqency_7'? Rename the column or make a view that does.",
    all_equal: "monetary_value_30: every customer has the same outcome (4,000 rows).",
    no_bytes: "data.sqlite' is empty (0 bytes). Write the table again.",
    missing: "There is no file '",
    a_folder: "' is a folder without .parquet files. Give a .csv, .parquet, .xlsx, ",
    other_kind: "data.xlsx' cannot be read: it is not a readable Excel workbook",
    not_its_kind: "data.parquet' cannot be read: ",
    other_table: f"has no table '{DEFAULT_TABLE}'; tables there: passenger_activity. Did you mean",
    garbled: "The database URL cannot be read. Expected something like postgresql://",
    unknown_database: "No driver for 'oracle9' is installed",
    away: "Check host, port and that the server is up.",
}


def test_columns_that_nothing_is_learnt_from_are_mentioned(
    clv, activity_file, tmp_path, monkeypatch
):
    def stop(*_: object, **__: object) -> None:
        raise DataError("stopped before the training")

    monkeypatch.setattr("clv.training.train", stop)
    table = pyarrow.parquet.read_table(activity_file)
    for name in ("channel", "city"):
        table = table.append_column(name, pa.array(["ads"] * len(table)))
    pyarrow.parquet.write_table(table, tmp_path / "more.parquet")
    finished = clv("train", "--data", tmp_path / "more.parquet")
    assert "\nNot used: channel, city\n" in finished.err
    assert "Not used" not in clv("train", "--data", activity_file).err


@pytest.mark.parametrize("make", FAILURES, ids=lambda make: make.__name__)
def test_what_cannot_be_trained_on_is_told_in_a_line_and_leaves_nothing(
    make, clv, home, activity_file, tmp_path
):
    folder = tmp_path / "given"
    folder.mkdir()
    location = make(pyarrow.parquet.read_table(activity_file), folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refused = clv("train", "--data", location)
    assert refused.code == 1
    assert FAILURES[make] in refused.complaint
    assert "hush" not in refused.err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not home.exists()


def test_a_database_that_somebody_writes_to_is_told(clv, home, tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "_PATIENCE_S", 0.05)
    # The library that reads: locks of two SQLite libraries in one process do not see each other.
    writer = the_sqlite.connect(tmp_path / "data.sqlite", isolation_level=None)
    writer.execute(f"CREATE TABLE {DEFAULT_TABLE} (id)")
    writer.execute("BEGIN EXCLUSIVE")
    refused = clv("train", "--data", tmp_path / "data.sqlite")
    writer.close()
    assert refused.code == 1
    assert refused.complaint == (
        f"clv: '{tmp_path}/data.sqlite' cannot be read: database is locked. "
        "Another program is writing to it: let that finish, or copy the file."
    )
    assert not home.exists()


def test_a_window_that_ends_after_its_horizon_is_wrong_usage(clv):
    refused = clv("train", "--observation-days", "30", "--horizon-days", "30")
    assert refused.code == 2
    assert refused.complaint == (
        "clv: observation_days=30, horizon_days=30: expected 0 < observation_days < horizon_days."
    )


def test_a_window_that_the_table_has_not_is_told_with_the_column(clv, activity_file):
    refused = clv("train", "--data", activity_file, "--horizon-days", "60")
    assert refused.code == 1
    assert "Column 'monetary_value_60' (money spent in the first 60 days) is missing" in (
        refused.complaint
    )


def test_without_the_training_libraries_it_says_what_to_install(clv, home, monkeypatch):
    monkeypatch.setattr("clv.cli.training.find_spec", lambda _: None)
    refused = clv("train")
    assert refused.code == 2
    assert refused.complaint.startswith("clv: Training needs sklearn, lightgbm, ")
    assert refused.complaint.endswith("Install clv[train].")
    assert not home.exists()


def test_generated_passengers_have_one_window(clv, home):
    refused = clv("train", "--observation-days", 14)
    assert refused.code == 2
    assert "--data" in refused.complaint
    assert not home.exists()


def test_a_home_that_cannot_be_written_to_is_told_before_the_search(
    clv, activity_file, monkeypatch
):
    monkeypatch.setattr("clv.training.train", lambda *_, **__: pytest.fail("trained in vain"))
    with tempfile.TemporaryDirectory(prefix="clv-read-only-") as folder:
        shutil.copy(activity_file, folder)
        Path(folder).chmod(0o555)
        with without_rights():
            refused = clv("train", "--data", f"{folder}/{activity_file.name}", CLV_HOME=folder)
        Path(folder).chmod(0o755)
    assert refused.code == 1
    assert "ermission" in refused.complaint


def test_a_search_beyond_the_grid_is_asked_for_by_name_with_its_trials(clv, monkeypatch):
    asked = []

    def train(*_: Any, plan: SearchPlan, **__: Any) -> None:
        asked.append(plan)
        raise UsageError("enough")

    monkeypatch.setattr("clv.training.train", train)
    monkeypatch.setattr("clv.cli.data._PASSENGERS", 1_000)
    for options, plan in (
        ((), SearchPlan("grid", 40)),
        (("--search", "optuna"), SearchPlan("optuna", 40)),
        (("--search", "optuna", "--trials", "7"), SearchPlan("optuna", 7)),
    ):
        assert clv("train", *options).code == 2
        assert asked[-1] == plan


def test_trials_without_a_search_that_counts_them_are_refused(clv):
    refused = clv("train", "--trials", "7")
    assert refused.code == 2
    assert "--trials 7 without --search optuna" in refused.complaint
