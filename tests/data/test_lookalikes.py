"""What looks alike and is not: 0x10 is no number, two columns of one name, 007 and 7."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from clv.data.checks import History, read_history, require_separate
from clv.data.customers import read_customers
from clv.data.preview import preview
from clv.data.sources import open_source
from clv.errors import DataError
from clv.features import Reading, build, duckdb_engine
from clv.schema import Window
from features.logs import NOW, activity_of
from support.workbooks import write_xlsx

HEADER = "id,recency_7,frequency_7,monetary_value_7"
ODD = ["0x10", "0X1F", "0b11", "1_000"]


def written(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("cell", ODD)
@pytest.mark.parametrize("others", [("5", "6"), ("5.25", "6.5")])
def test_numbers_of_programs_are_no_numbers_of_a_table(
    cell: str, others: tuple[str, str], tmp_path: Path
) -> None:
    rows = [f"{number},1,1,{money}" for number, money in enumerate((*others, cell), start=1)]
    with open_source(written(tmp_path / "list.csv", *rows)) as source:
        found = read_customers(source, Window(), on_invalid="skip")
    assert found.activity.monetary.tolist() == [float(one) for one in others]
    (finding,) = (one for one in found.findings if one.severity == "left out")
    assert (finding.code, finding.column, finding.rows) == ("not-a-number", "monetary_value_7", 1)
    assert finding.examples == (f"row 3 holds '{cell}'",)


@pytest.mark.parametrize("cell", ODD)
def test_numbers_of_programs_are_no_amounts_of_a_log(cell: str, tmp_path: Path) -> None:
    log = written(
        tmp_path / "log.csv",
        "7,2026-03-02,5",
        f"7,2026-03-03,{cell}",
        "7,2026-10-01,6",
        header="id,date,amount",
    )
    output = tmp_path / "activity.parquet"
    with duckdb_engine(output) as engine:
        built = build(engine, str(log), str(output), window=Window(), now=NOW)
    (finding,) = built.findings
    assert (finding.code, finding.rows, finding.examples) == ("no-amount", 1, (f"'{cell}'",))
    assert activity_of(output)[0]["monetary_value_7"] == 5.0


def test_numbers_of_programs_are_no_numbers_of_a_workbook(tmp_path: Path) -> None:
    rows = [HEADER.split(","), [1, 1, 1, 5], [2, 1, 1, "0x10"]]
    with open_source(write_xlsx(tmp_path / "list.xlsx", {"list": rows})) as source:
        found = read_customers(source, Window(), on_invalid="skip")
    assert found.activity.monetary.tolist() == [5.0]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("repeated", ["id", "recency_7", "monetary_value_7"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_column_that_is_used_and_stands_twice_is_refused_by_its_positions(
    repeated: str, mark: str, tmp_path: Path
) -> None:
    header = [*HEADER.split(","), "note", repeated]
    rows = [[number, 1, 1, 5, "x", 6] for number in (1, 2)]
    text = [mark.join(map(str, row)) for row in rows]
    first = header.index(repeated) + 1
    path = written(tmp_path / "list.csv", *text, header=mark.join(header))
    workbook = write_xlsx(tmp_path / "list.xlsx", {"list": [header, *rows]})
    says = rf"Column '{repeated}' is in '.*list\..*' twice, as columns {first} and 6"
    for location in (path, workbook):
        with open_source(location) as source, pytest.raises(DataError, match=says):
            read_customers(source, Window())
        seen = preview(location)
        assert seen.problem is not None
        assert f"as columns {first} and 6" in seen.problem
        assert len(seen.rows) == 2


def test_a_column_that_is_not_used_may_stand_twice(tmp_path: Path) -> None:
    path = written(tmp_path / "list.csv", "1,1,1,5,a,b,c", header=f"{HEADER},note,note,")
    with open_source(path) as source:
        assert read_customers(source, Window()).ids.tolist() == ["1"]
    assert preview(path).problem is None


def log_with(path: Path, names: list[str]) -> str:
    columns = [pa.array([7, 7]), pa.array(["2026-03-02", "2026-10-01"])]
    columns += [pa.array([5.0, 6.0])] * (len(names) - 2)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.Table.from_arrays(columns, names=names), path)
    else:
        rows = zip(*(one.to_pylist() for one in columns), strict=True)
        written(path, *(",".join(map(str, row)) for row in rows), header=",".join(names))
    return str(path)


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_a_log_whose_amount_stands_three_times_is_refused(name: str, tmp_path: Path) -> None:
    log = log_with(tmp_path / name, ["id", "date", "amount", "amount", "tip", "amount"])
    output = tmp_path / "activity.parquet"
    with (
        duckdb_engine(output) as engine,
        pytest.raises(DataError, match="3 times, as columns 3, 4 and 6"),
    ):
        build(engine, log, str(output), window=Window(), now=NOW)
    with duckdb_engine(output) as engine:
        reading = Reading({"amount": "tip"})
        build(engine, log, str(output), window=Window(), now=NOW, reading=reading)
    assert activity_of(output)[0]["monetary_value_7"] == 5.0


# ---------------------------------------------------------------- ids of two groups


def group(path: Path, *ids: str) -> History:
    rows = [f"{name},1,1,5,{5 + place}" for place, name in enumerate(ids)]
    with open_source(written(path, *rows, header=f"{HEADER},monetary_value_30")) as source:
        return read_history(source, Window(), to_train=False)


def groups(folder: Path, treated: list[str], control: list[str]) -> tuple[History, History]:
    return group(folder / "treated.csv", *treated), group(folder / "control.csv", *control)


@pytest.mark.parametrize(
    ("treated", "control"),
    [(["7.0", "8"], ["7", "9"]), (["7.0", "a"], ["7", "9"]), (["7.00", "a"], [" 7.0", "b"])],
)
def test_a_whole_float_and_the_whole_number_are_one_customer(
    treated: list[str], control: list[str], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"1 customers are in both groups.*id 7\."):
        require_separate(*groups(tmp_path, treated, control))


def test_a_customer_who_is_twice_in_a_group_by_another_spelling_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"more than once\. For example 7 and 7\.0 are the same id"):
        require_separate(*groups(tmp_path, ["7.0", "7", "a"], ["8", "9"]))


def test_ids_that_differ_in_leading_zeros_are_other_customers_and_said(tmp_path: Path) -> None:
    (finding,) = require_separate(*groups(tmp_path, ["007", "8", "0"], ["7", "9", " 10"]))
    assert (finding.severity, finding.rows, finding.examples) == ("kept", 1, ("'007' and '7'",))
    assert "007 is not 7" in finding.action
    assert require_separate(*groups(tmp_path, ["007", "0a", "0"], ["70", "a", "b"])) == []
