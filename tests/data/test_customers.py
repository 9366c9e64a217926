"""Lists of customers as analysts have them: from every spreadsheet, with every slip."""

import gzip
from pathlib import Path

import pytest

from clv.data.customers import Customers, OnInvalid, id_names, read_customers
from clv.data.sources import open_source
from clv.errors import DataError
from clv.schema import Window

HEADER = "id,recency_7,frequency_7,monetary_value_7\n"
ROWS = [[3.0, 2.0, 41.5], [7.0, 1.0, 8.0]]


def read(
    path: Path,
    content: bytes | str,
    on_invalid: OnInvalid = "stop",
    renamed: dict[str, str] | None = None,
) -> Customers:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with open_source(path) as source:
        return read_customers(source, Window(), on_invalid=on_invalid, renamed=renamed)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", f"{HEADER}1,3,2,41.5\n2,7,1,8\n"),
        ("semicolons and commas.csv", f"{HEADER}1,3,2,41!5\n2,7,1,8\n".replace(",", ";")),
        ("quoted commas.csv", f'{HEADER}1,3,2,"41!5"\n2,7,1,"8!00"\n'),
        ("tabs.tsv", f"{HEADER}1,3,2,41.5\n2,7,1,8\n".replace(",", "\t")),
        ("bars.csv", f"{HEADER}1,3,2,41.5\n2,7,1,8\n".replace(",", "|")),
        ("mark.csv", b"\xef\xbb\xbf" + f"{HEADER}1,3,2,41.5\n2,7,1,8\n".encode()),
        ("windows.csv", f"{HEADER}1,3,2,41.5\n2,7,1,8\n".replace("\n", "\r\n")),
        ("more.csv", f"name,{HEADER}Ann,1,3,2,41.5\nBob,2,7,1,8\n"),
    ],
)
def test_however_a_spreadsheet_writes_it_the_numbers_are_the_same(
    tmp_path: Path, name: str, content: bytes | str
) -> None:
    if isinstance(content, str):
        content = content.replace("!", ",")
    found = read(tmp_path / name, content)
    assert found.activity.matrix().tolist() == ROWS
    assert list(found.ids) == ["1", "2"]
    assert found.rows_read == 2
    assert [one.code for one in found.findings] == (["notation"] if "commas" in name else [])


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    content = "kunde,tag,fahrten,umsatz\n1,3,2,41.5\n2,7,1,8\n"
    names = {
        "id": "kunde",
        "recency_7": "tag",
        "frequency_7": "fahrten",
        "monetary_7": "umsatz",
    }
    found = read(tmp_path / "german.csv", content, renamed=names)
    assert found.activity.matrix().tolist() == ROWS
    with pytest.raises(DataError, match=r"Column 'tage' .* is missing .* Did you mean 'tag'"):
        read(tmp_path / "german.csv", content, renamed=names | {"recency_7": "tage"})
    with pytest.raises(DataError, match="Unknown name 'recency' in the column mapping"):
        read(tmp_path / "german.csv", content, renamed={"recency": "tag"})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(range(256)) * 20, "Excel workbook"),
        (bytes(range(256)) * 100, "not text in UTF-8"),
        (b"\0" * 5_000, "not text in UTF-8"),
        (b"1,3,2,41.5\n", "columns there: 1, 3, 2, 41.5."),
        (HEADER.encode(), "holds no rows"),
        (f"{HEADER}1,3,2,41.5\n2,7,1\n".encode(), "line 3 has 3 cells, the header 4"),
        (b"", "is empty (0 bytes)"),
    ],
    ids=["xlsx", "binary", "zeros", "no header", "no rows", "ragged", "empty"],
)
def test_what_is_no_such_table_is_told_in_words(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError) as refused:
        read(tmp_path / "list.csv", content)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 1_000


SLIPS = f"{HEADER}1,3,2,41.5\n2,8,2,41.5\n3,x,2,41.5\n4,,1,3\n5,0,1,2\n6,1,1,3\n6,2,1,3\n"


def test_rows_that_cannot_be_used_stop_it_and_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        read(tmp_path / "slips.csv", SLIPS)
    said = str(refused.value)
    for part in ("row 2 holds '8'", "row 3 holds 'x'", "row 4 holds nothing", "day 1", "id 6"):
        assert part in said
    assert "1 of 7 rows can be used" in said


def test_or_they_are_left_out_and_counted(tmp_path: Path) -> None:
    found = read(tmp_path / "slips.csv", SLIPS, "skip")
    assert list(found.ids) == ["1"]
    assert found.rows_read == 7
    assert {finding.code: finding.rows for finding in found.findings} == {
        "too-large": 1,
        "not-a-number": 1,
        "null": 1,
        "rides-without-recency": 1,
        "conflicting-duplicate": 2,
    }
    with pytest.raises(DataError, match="0 of 1 row can be used"):
        read(tmp_path / "slips.csv", f"{HEADER}1,9,2,41.5\n", "skip")


def test_the_same_row_again_is_no_reason_to_stop(tmp_path: Path) -> None:
    found = read(tmp_path / "twice.csv", f"{HEADER}1,3,2,41.5\n2,7,1,8\n1,3,2,41.5\n")
    assert list(found.ids) == ["1", "2"]
    (finding,) = found.findings
    assert (finding.code, finding.rows) == ("duplicate", 1)


ODD = [
    *("inf", "-inf", "infinity", "-infinity", "nan", "1e400", "1e999999999", "9" * 400, "∞", "½"),
    *("1_000", "0x10", "true", "False", "99999-01-01", "2026-11-23", "2026-11-23 10:00+25:99"),
    *(
        "12:30",
        "1 day",
        "NULL",
        "\\N",
        "#REF!",
        "=1+1",
        "🚕",
        "1\x002",
        "1,5",
        "1.5.2",
        "١٢",
        "--1",
    ),
    *("5877642-06-25 (BC) 00:00:00", "290309-12-22 (BC)", "{}", "[1]", "a" * 5000, "null", "+3"),
]


@pytest.mark.parametrize("value", ODD, ids=[value[:20] for value in ODD])
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("others", [0, 28])
def test_whatever_stands_in_a_cell_is_read_or_told_with_its_row(
    tmp_path: Path, value: str, column: int, others: int
) -> None:
    """Alone in its column a value also decides what DuckDB takes the column for."""
    rows = [f"{number},3,2,41.5" for number in range(2, 2 + others)]
    cells = ["1", "3", "2", "41.5"]
    cells[column] = f'"{value}"'
    content = HEADER + "\n".join([*rows, ",".join(cells)]) + "\n"
    told = ""
    try:
        rows_read = read(tmp_path / "list.csv", content).rows_read
    except DataError as error:
        rows_read, told = 0, str(error)
    # It is about that column, or about the text of the whole file.
    about = (HEADER.strip().split(",")[column], "cannot be read")
    assert rows_read == others + 1 or any(part in told for part in about)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("," * 200_000, "its first line has 200,001 cells; at most 1,000 are read"),
        (";" * 1_000, "its first line has 1,001 cells"),
        ("x" * 3_000_000, "its first line is longer than 1,048,576 bytes"),
    ],
    ids=["columns", "semicolons", "line"],
)
@pytest.mark.parametrize("name", ["list.csv", "list.csv.gz"])
def test_a_first_line_that_is_no_header_costs_nothing(
    tmp_path: Path, header: str, says: str, name: str
) -> None:
    content = f"{header}\n1,3,2,41.5\n".encode()
    with pytest.raises(DataError, match=says):
        read(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)


def test_a_thousand_columns_are_read(tmp_path: Path) -> None:
    more = 996
    header = HEADER.strip() + "".join(f",c{k}" for k in range(more))
    found = read(tmp_path / "wide.csv", f"{header}\n" + f"1,3,2,41.5{',0' * more}\n" * 3)
    assert found.rows_read == 3


def test_ids_of_a_column_with_another_name_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("ticket,recency_7,frequency_7,monetary_7\n1.10,3,2,41.5\n1.1,7,1,8\n")
    renamed = {"id": "ticket"}
    with open_source(path, ids=id_names(renamed)) as source:
        assert list(read_customers(source, Window(), renamed=renamed).ids) == ["1.10", "1.1"]


def test_a_file_that_needs_more_memory_than_it_may_have_is_told(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(HEADER + "".join(f"{k},3,2,41.5\n" for k in range(200_000)))
    with pytest.raises(DataError, match=r"[Mm]emory"), open_source(path, memory_limit="1MB") as one:
        read_customers(one, Window())
