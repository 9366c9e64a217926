"""Text that a spreadsheet would run is escaped in CSV files, and read back as it was."""

import csv
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.data.formulas import escaped, escaped_sql, unescaped_sql
from clv.data.output import csv_bytes, write_table
from clv.data.sources import open_source

RUN = [
    "=HYPERLINK(\"http://evil\";\"x\")",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "+1",
    "-1+2",
    "-5e3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    "'=1",
    "''+1",
]  # fmt: skip
KEPT = ["a=b", "1+1", "ann@example.com", "-5", "-5.25", "-", "'", "'a", "'-5", "", "Ünal", "7"]


def ids_of(path: Path) -> list[object]:
    with open_source(path, ids=("id",)) as source:
        return [one for batch in source.batches(["id"]) for one in batch.column(0).to_pylist()]


def in_python(text: str) -> str:
    return escaped(pa.table({"id": [text]})).column(0)[0].as_py()


def in_sql(expression: str, text: str) -> str:
    return duckdb.execute(f"SELECT {expression} FROM (SELECT $1::VARCHAR AS x)", [text]).fetchall()[
        0
    ][0]


@pytest.mark.parametrize("text", RUN)
def test_what_would_run_gets_an_apostrophe(text: str) -> None:
    assert in_python(text) == in_sql(escaped_sql("x"), text) == f"'{text}"


@pytest.mark.parametrize("text", KEPT)
def test_what_would_not_run_stays(text: str) -> None:
    assert in_python(text) == in_sql(escaped_sql("x"), text) == text


@given(st.text(st.sampled_from("'=+-@\t\r\n＝－1.9ax"), max_size=6))
def test_what_was_escaped_is_read_back(text: str) -> None:
    safe = in_python(text)
    assert safe == in_sql(escaped_sql("x"), text)
    assert in_sql(unescaped_sql("x"), safe) == text
    assert not safe.startswith(tuple("=+@\t\r\n＝＋－＠"))


def test_numbers_and_nothing_stay_as_they_are() -> None:
    table = pa.table({"id": [-1, None], "x": [-1.5, 2.0], "text": pa.array([None, "=1"])})
    assert csv_bytes(table) == b'"id","x","text"\n-1,-1.5,\n,2,"\'=1"\n'
    assert csv_bytes(table, raw=True) == b'"id","x","text"\n-1,-1.5,\n,2,"=1"\n'


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_file_that_goes_in_again_has_the_same_ids(tmp_path: Path, kind: pa.DataType) -> None:
    ids = [one for one in RUN + KEPT if one]  # an empty cell is a missing one
    write_table(pa.table({"id": pa.array(ids, kind)}), tmp_path / "out.csv")
    assert ids_of(tmp_path / "out.csv") == ids
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = [row[0] for row in csv.reader(file)][1:]
    assert not [cell for cell in cells if cell.startswith(tuple("=+@\t\r\n＝＋－＠"))]


def test_parquet_is_never_escaped(tmp_path: Path) -> None:
    write_table(pa.table({"id": RUN}), tmp_path / "out.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").column("id").to_pylist() == RUN
    assert ids_of(tmp_path / "out.parquet") == RUN


def test_ids_that_are_whole_numbers_stay_whole_numbers(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,recency_7\n-5,1\n7,2\n")
    assert ids_of(tmp_path / "in.csv") == [-5, 7]
