"""Lists of customers as analysts have them: from every spreadsheet, with every slip."""

from pathlib import Path

import pytest

from clv.data.customers import Customers, OnInvalid, read_customers
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
    assert (found.rows_read, found.findings) == (2, ())


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
    with pytest.raises(DataError, match="no column 'recency' to be called otherwise"):
        read(tmp_path / "german.csv", content, renamed={"recency": "tag"})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(range(256)) * 20, "Excel workbook"),
        (f"{HEADER}1,3,2,41.5\n".encode("utf-16"), "UTF-16"),
        (bytes(range(256)) * 100, "not text in UTF-8"),
        (b"\0" * 5_000, "Column 'id' (identifies the customer) is missing"),
        (b"1,3,2,41.5\n", "columns there: 1, 3, 2, 41.5."),
        (HEADER.encode(), "holds no rows"),
        (f"{HEADER}1,3,2,41.5\n2,7,1\n".encode(), "line 3 has 3 cells, the header 4"),
        (b"", "is empty (0 bytes)"),
    ],
    ids=["xlsx", "utf-16", "binary", "zeros", "no header", "no rows", "ragged", "empty"],
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
    assert "of 7 rows 1 can" in said


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
    with pytest.raises(DataError, match="of 1 rows 0 can"):
        read(tmp_path / "slips.csv", f"{HEADER}1,9,2,41.5\n", "skip")


def test_the_same_row_again_is_no_reason_to_stop(tmp_path: Path) -> None:
    found = read(tmp_path / "twice.csv", f"{HEADER}1,3,2,41.5\n2,7,1,8\n1,3,2,41.5\n")
    assert list(found.ids) == ["1", "2"]
    (finding,) = found.findings
    assert (finding.code, finding.rows) == ("duplicate", 1)
