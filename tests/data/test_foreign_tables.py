"""Tables as companies have them, and files that would do more than hold a table."""

import datetime as dt
import gzip
import zipfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from clv.data.customers import read_customers
from clv.data.preview import preview
from clv.data.sources import open_source
from clv.errors import DataError
from clv.schema import DEFAULT_TABLE, Window
from support.workbooks import write_ods, write_xlsx

NAMES = ["id", "recency_7", "frequency_7", "monetary_value_7"]
HEADER = ",".join(NAMES)
ROWS = [[1, 1, 1, 8.5], [2, 7, 3, 20.25]]
LINES = [",".join(map(str, row)) for row in ROWS]
TEXT = "\n".join((HEADER, *LINES, ""))


def read(location: Path, table: str = DEFAULT_TABLE, **renamed: str) -> list[list[float]]:
    """Ids and activity of each customer."""
    with open_source(location, table) as source:
        found = read_customers(source, Window(), renamed=renamed)
    return [
        [int(name), *row]
        for name, row in zip(found.ids, found.activity.matrix().tolist(), strict=True)
    ]


def refusal(location: Path, table: str = DEFAULT_TABLE, **renamed: str) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as refused:
        read(location, table, **renamed)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def said(location: Path) -> dict[str, str]:
    with open_source(location) as source:
        return {finding.code: finding.says for finding in source.findings}


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


# ---------------------------------------------------------------- spreadsheets


def test_a_sep_line_is_obeyed_and_said(tmp_path):
    path = text(tmp_path / "list.csv", "sep=;\r\n" + TEXT.replace(",", ";").replace(".", ","))
    assert read(path) == ROWS
    assert said(path) == {"separator": "separated by ';', as its first line says"}


@pytest.mark.parametrize(
    "above",
    ["Customers of November\n\n", "Customers of November,,,\n,,,\n", "Report,November\n"],
    ids=["alone", "padded", "two cells"],
)
def test_title_lines_above_the_header_are_skipped_and_said(above, tmp_path):
    path = text(tmp_path / "list.csv", above + TEXT)
    assert read(path) == ROWS
    assert "lines above the header were skipped" in said(path)["title-lines"]


def test_a_row_of_wrong_length_below_a_title_is_named_by_its_line_in_the_file(tmp_path):
    path = text(tmp_path / "list.csv", f"Customers\n\n{TEXT}3,1\n")
    assert "line 6 has 2 cells, the header 4" in refusal(path)


HALF_PAST_TEN = dt.datetime.fromisoformat("2026-01-02T10:30")
SHEETS = {
    "Notes": [["made by the shop"]],
    "List": [
        ["Customers of November"],
        [],
        [*NAMES, "registered_at"],
        [1.0, 1, 1, 8.5, dt.date(2026, 1, 1)],
        [2.0, 7, 3, 20.25, HALF_PAST_TEN],
    ],
}


@pytest.mark.parametrize("name", ["list.xlsx", "list.XLSX", "list.xlsm", "list.csv"])
def test_a_workbook_is_read_by_the_sheet_that_has_ids(name, tmp_path):
    path = write_xlsx(tmp_path / name, SHEETS)
    assert read(path) == ROWS
    assert set(said(path)) == {"sheet", "title-lines"}
    with open_source(path) as source:
        (batch,) = source.batches(["id", "registered_at"])
        assert pa.types.is_integer(batch.column("id").type)
        assert batch.column("registered_at").to_pylist() == ["2026-01-01", "2026-01-02T10:30:00"]
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_numbers_of_a_workbook_are_numbers_whatever_its_text_says(tmp_path):
    rows = [NAMES, [1, 1, 1, 1.234], [2, 2, 2, 2.5]]
    assert read(write_xlsx(tmp_path / "a.xlsx", {"A": rows})) == [[1, 1, 1, 1.234], [2, 2, 2, 2.5]]
    rows[2][3] = "1.234,50"
    assert read(write_xlsx(tmp_path / "b.xlsx", {"A": rows}))[1] == [2, 2, 2, 1234.5]


def test_a_sheet_can_be_chosen_and_one_that_is_not_there_is_told(tmp_path):
    path = write_xlsx(tmp_path / "a.xlsx", {"One": [NAMES, ROWS[0]], "Two": [NAMES, ROWS[1]]})
    assert read(path) == ROWS[:1]
    assert read(path, "Two") == ROWS[1:]
    assert "tables there: One, Two. Did you mean 'Two'? Name it with --table." in refusal(
        path, "To"
    )


def test_an_opendocument_sheet_is_read_too(tmp_path):
    assert read(write_ods(tmp_path / "list.ods", "List", [NAMES, *ROWS])) == ROWS


BOMBS = {
    "a cell in the last row": '<row r="1"><c r="A1"><v>1</v></c></row>'
    '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
}


def test_a_workbook_that_asks_for_terabytes_is_refused(tmp_path):
    for name, rows in BOMBS.items():
        path = write_xlsx(tmp_path / "bomb.xlsx", {}, {"Sheet": rows})
        assert "too much memory or time" in refusal(path), name
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/media/image.xml", "w") as member,
    ):
        for _ in range(1_025):
            member.write(bytes(2**20))
    assert "it unpacks to 1,025 MB, of at most 1,024" in refusal(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(500), TEXT.encode()])
def test_what_is_no_workbook_is_told(content, tmp_path):
    path = tmp_path / "list.xlsx"
    path.write_bytes(content)
    says = refusal(path)
    assert "cannot be read: it is not a readable Excel workbook" in says
    assert says.endswith("save the sheet as 'CSV UTF-8'.")


def test_a_preview_shows_rows_sheets_columns_and_notations(tmp_path):
    rows = [["kunde", *NAMES[1:]], [1, 1, 1, "1.234,50"], [2, 2, 2, "7"]]
    path = write_xlsx(tmp_path / "a.xlsx", {"Notes": [["x"]], "List": rows})
    shown = preview(path, renamed={"id": "kunde"}, rows=1)
    assert shown.columns == ("kunde", *NAMES[1:])
    assert shown.rows == (("1", "1", "1", "1.234,50"),)
    assert (shown.sheets, shown.sheet, shown.problem) == (("Notes", "List"), "List", None)
    assert shown.matched == {"id": "kunde", **{name: name for name in NAMES[1:]}}
    assert shown.notations["monetary_value_7"].startswith("1.234,50")
    missing = preview(text(tmp_path / "a.csv", 'who,monetary_7\n1,"1,234"\n'))
    assert missing.matched["id"] is None
    assert "two ways" in str(missing.problem)


# ---------------------------------------------------------------- damaged and hostile files


def packed(tmp_path: Path, content: bytes, name: str = "list.csv.gz") -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


@pytest.mark.parametrize("name", ["list.csv.gz", "list.csv"])
def test_a_packed_table_is_read_and_a_damaged_one_refused(name, tmp_path):
    whole = gzip.compress(TEXT.encode() * 1 + b"3,1,1,8.5\n" * 2_000)
    assert read(packed(tmp_path, gzip.compress(TEXT.encode()), name)) == ROWS
    flipped = bytearray(gzip.compress(TEXT.encode(), 0))
    flipped[flipped.index(b"8.5")] = ord("9")
    for damaged in (bytes(flipped), whole[:-4], whole[:40] + b"\xff\xff" + whole[42:], whole[:60]):
        says = refusal(packed(tmp_path, damaged, name))
        assert f"{name}' cannot be read: it is damaged (" in says


@pytest.mark.parametrize(
    "view",
    [
        "SELECT content AS id FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT file AS id FROM glob('{folder}/*')",
        "SELECT name AS id FROM duckdb_settings()",
        "SELECT id FROM rows UNION ALL SELECT content FROM read_text('{secret}')",
        "SELECT (SELECT max(content) FROM read_text('{secret}')) AS id FROM rows",
        "FROM hidden()",
        "FROM nested",
    ],
)
def test_a_view_over_anything_but_tables_of_its_file_is_refused(view, tmp_path):
    secret = text(tmp_path / "secret.txt", "hush\n")
    path = tmp_path / "views.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE rows AS SELECT '1' AS id")
        connection.execute(
            f"CREATE MACRO hidden() AS TABLE SELECT content AS id FROM read_text('{secret}')"
        )
        connection.execute("CREATE VIEW nested AS FROM hidden()")
        view = view.format(secret=secret, folder=tmp_path)
        connection.execute(f"CREATE VIEW {DEFAULT_TABLE} AS {view}")
    says = refusal(path)
    assert "is a view that reads more than tables of this file" in says
    assert "hush" not in says
    assert "CREATE TABLE" in says


def test_a_view_over_tables_of_its_file_is_read(tmp_path):
    path = tmp_path / "views.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register(
            "arrow", pa.table([list(one) for one in zip(*ROWS, strict=True)], NAMES)
        )
        connection.execute("CREATE TABLE activity AS FROM arrow")
        connection.execute("CREATE VIEW one AS SELECT * FROM activity WHERE frequency_7 > 0")
        connection.execute(
            f"CREATE VIEW {DEFAULT_TABLE} AS WITH best AS (SELECT max(id) AS id FROM activity) "
            "SELECT * FROM one WHERE id <= (SELECT id FROM best) ORDER BY id"
        )
    assert read(path) == ROWS


@pytest.mark.parametrize("kind", ["csv", "parquet", "duckdb"])
def test_a_connection_that_reads_a_file_is_locked(kind, tmp_path):
    table = pa.table([list(one) for one in zip(*ROWS, strict=True)], NAMES)
    path, other = tmp_path / f"list.{kind}", text(tmp_path / "other.csv", TEXT)
    if kind == "csv":
        text(path, TEXT)
    elif kind == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        with duckdb.connect(str(path)) as connection:
            connection.register("arrow", table)
            connection.execute(f"CREATE TABLE {DEFAULT_TABLE} AS FROM arrow")
    with open_source(path) as source:
        for forbidden in (
            f"FROM read_csv('{other}')",
            f"ATTACH '{other}' AS elsewhere",
            f"COPY (SELECT 1) TO '{tmp_path}/new.csv'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(duckdb.Error):
                source.connection.execute(forbidden)  # type: ignore[attr-defined]
        assert source.count() == 2
    assert not (tmp_path / "new.csv").exists()


# ---------------------------------------------------------------- columns and ids


def test_a_table_of_another_tool_is_refused_and_the_other_meaning_named(tmp_path):
    path = text(
        tmp_path / "rfm.csv", "customer_id,frequency,recency,T,monetary_value\n1,2,30,38,22\n"
    )
    says = refusal(path)
    assert "is a table of another tool" in says
    assert "age at the last purchase" in says
    assert "Did you mean" not in says


@pytest.mark.parametrize(
    ("renamed", "both"),
    [
        ({"recency_7": "id", "frequency_7": "id"}, "id and recency_7"),
        ({"recency_7": "frequency_7"}, "recency_7 and frequency_7"),
        ({"id": "monetary_value_7"}, "id and monetary_value_7"),
    ],
)
def test_one_column_for_two_is_refused(renamed, both, tmp_path):
    says = refusal(text(tmp_path / "list.csv", TEXT), **renamed)
    assert f"is given for both {both}. Give each its own column." in says


WHOLE = [[70001, 1, 1, 8.5], [70002, 7, 3, 20.25]]


@pytest.mark.parametrize("nobody", ["", "nan", "None", "null", "NA", "guest"])
def test_whole_floats_are_whole_numbers_and_ids_of_nobody_are_counted(nobody, tmp_path):
    lines = [HEADER, "70001.0,1,1,8.5", f"{nobody},1,1,8.5", "70002.0,7,3,20.25", ""]
    path = text(tmp_path / "list.csv", "\n".join(lines))
    with open_source(path) as source:
        found = read_customers(source, Window(), on_invalid="skip")
        (batch,) = source.batches(["id"])
    assert found.ids.tolist() == ["70001", "70002"]
    assert batch["id"].to_pylist() == [70001, None, 70002]
    codes = {finding.code: (finding.severity, finding.rows) for finding in found.findings}
    assert codes == {"whole-ids": ("kept", 2), "null": ("left out", 1)}


def test_so_it_is_in_parquet_and_ids_that_are_not_whole_stay(tmp_path):
    def table(*ids: float | None) -> Path:
        columns = {"id": list(ids), **{name: [1.0] * len(ids) for name in NAMES[1:]}}
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "list.parquet")
        return tmp_path / "list.parquet"

    for path, ids in ((table(70001.0, None, float("nan")), [70001, None, None]),):
        with open_source(path) as source:
            assert next(iter(source.batches(["id"])))["id"].to_pylist() == ids
            found = read_customers(source, Window(), on_invalid="skip")
        assert found.ids.tolist() == ["70001"]
    with open_source(table(1.0, 1.5)) as source:
        assert read_customers(source, Window()).ids.tolist() == ["1.0", "1.5"]


@pytest.mark.parametrize("nobody", ["nan", "NULL", " None ", "guest"])
def test_text_ids_of_nobody_are_left_out(nobody, tmp_path):
    path = text(tmp_path / "list.csv", f"{HEADER}\nu-1,1,1,8.5\n{nobody},1,1,8.5\n")
    with open_source(path) as source:
        found = read_customers(source, Window(), on_invalid="skip")
    assert found.ids.tolist() == ["u-1"]
    (finding,) = found.findings
    assert (finding.code, finding.rows) == ("null", 1)
    assert str(finding).startswith("id: missing id (1 row).")


def test_values_are_shown_as_people_write_them(tmp_path):
    path = tmp_path / "dates.parquet"
    columns = {"id": ["u-1"], "recency_7": [dt.date(2025, 1, 2)], "frequency_7": [True]}
    pyarrow.parquet.write_table(pa.table(columns | {"monetary_value_7": ["\x1b[2J"]}), path)
    says = refusal(path)
    for shown in ("row 1 holds 2025-01-02", "row 1 holds true", r"row 1 holds '\x1b[2J'"):
        assert shown in says
    assert "datetime" not in says
