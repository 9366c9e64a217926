"""A table reads the same from everywhere, reading leaves no trace, and failures are plain."""

import csv
import gzip
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from sqlalchemy import make_url

from clv.data.checks import History, read_history
from clv.data.sources import databases, open_source
from clv.errors import DataError
from clv.schema import DEFAULT_TABLE, Window
from clv.training.split import held_out
from support.rights import without_rights

HEADER = "id,recency_7,frequency_7,monetary_value_7,monetary_value_30"
ROWS = ("1,1,1,8.5,8.5", "2,7,3,20,31.25")


# ---------------------------------------------------------------- the same table in every form


def write_csv(table: pa.Table, path: Path) -> str:
    pyarrow.csv.write_csv(table, path)
    return str(path)


def write_csv_gz(table: pa.Table, path: Path) -> str:
    with gzip.open(path, "wb") as file:
        pyarrow.csv.write_csv(table, file)
    return str(path)


def write_parquet(table: pa.Table, path: Path) -> str:
    pyarrow.parquet.write_table(table, path, row_group_size=1_000)
    return str(path)


def write_duckdb(table: pa.Table, path: Path) -> str:
    with duckdb.connect(path) as connection:
        connection.register("arrow", table)
        connection.execute(f"CREATE TABLE {DEFAULT_TABLE} AS FROM arrow")
    return str(path)


def write_sqlite(table: pa.Table, path: Path) -> str:
    columns = [
        column.cast(pa.string()) if pa.types.is_timestamp(column.type) else column
        for column in table.columns
    ]
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {DEFAULT_TABLE} ({', '.join(table.column_names)})")
    marks = ", ".join("?" * table.num_columns)
    connection.executemany(f"INSERT INTO {DEFAULT_TABLE} VALUES ({marks})", rows)
    connection.commit()
    connection.close()
    return str(path)


def write_sqlite_url(table: pa.Table, path: Path) -> str:
    return f"sqlite:///{write_sqlite(table, path)}"


FORMS: dict[str, Callable[[pa.Table, Path], str]] = {
    "table.csv": write_csv,
    "table.csv.gz": write_csv_gz,
    "table.parquet": write_parquet,
    "table.sqlite": write_sqlite,
    "table.db": write_sqlite,
    "table.duckdb": write_duckdb,
    "named-by-url": write_sqlite_url,
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def table(activity_file: Path) -> pa.Table:
    return pyarrow.parquet.read_table(activity_file)


def read(location: str | Path, table: str = DEFAULT_TABLE) -> History:
    with open_source(location, table) as source:
        return read_history(source, Window())


def rows_of(location: str | Path, table: str = DEFAULT_TABLE) -> list[dict[str, object]]:
    with open_source(location, table) as source:
        return [row for batch in source.batches(source.columns) for row in batch.to_pylist()]


def assert_same(one: History, other: History) -> None:
    assert one.ids.tolist() == other.ids.tolist()
    np.testing.assert_array_equal(one.activity.matrix(), other.activity.matrix())
    np.testing.assert_array_equal(one.outcome, other.outcome)
    assert one.fingerprint() == other.fingerprint()


def test_a_table_reads_the_same_from_every_kind_of_file(form, table, history, tmp_path):
    assert_same(read(FORMS[form](table, tmp_path / form)), history)


def test_the_order_of_the_columns_does_not_matter_nor_do_others(form, table, history, tmp_path):
    turned = table.select(table.column_names[::-1]).append_column(
        "note", pa.array(["x, y"] * len(table))
    )
    assert_same(read(FORMS[form](turned, tmp_path / form)), history)


def test_the_short_names_of_the_http_interface_are_understood(table, history, tmp_path):
    short = table.rename_columns(
        {"id": "passenger_id", "monetary_value_7": "monetary_7", "monetary_value_30": "monetary_30"}
    )
    assert_same(read(write_parquet(short, tmp_path / "short.parquet")), history)


def test_a_source_counts_its_rows_and_can_be_read_twice_in_parts(form, table, tmp_path):
    with open_source(FORMS[form](table, tmp_path / form)) as source:
        assert source.count() == len(table)
        for _ in range(2):
            parts = list(source.batches(["id"], rows=1_024))
            assert max(part.num_rows for part in parts) <= 2_048
            ids = [name for part in parts for name in part.column("id").to_pylist()]
            assert ids == table["id"].to_pylist()


@pytest.mark.parametrize("write", [write_sqlite, write_duckdb])
def test_a_view_is_as_good_as_a_table(write, table, history, tmp_path):
    suffix = "sqlite" if write is write_sqlite else "duckdb"
    location = write(table, tmp_path / f"with_view.{suffix}")
    connect = sqlite3.connect if write is write_sqlite else duckdb.connect
    connection = connect(location)
    connection.execute(f"CREATE VIEW active AS SELECT * FROM {DEFAULT_TABLE} WHERE id <= 1000")
    connection.commit()
    connection.close()
    viewed = read(location, "active")
    assert_same(viewed, history[np.arange(len(history)) < 1_000])


def test_a_duckdb_table_in_a_schema_is_named_with_it(table, history, tmp_path):
    location = write_duckdb(table, tmp_path / "x.duckdb")
    with duckdb.connect(location) as connection:
        connection.execute(f"CREATE SCHEMA crm; CREATE TABLE crm.seen AS FROM {DEFAULT_TABLE}")
    assert_same(read(location, "crm.seen"), history)
    assert_same(read(location, f"main.{DEFAULT_TABLE}"), history)
    with pytest.raises(DataError, match=r"no table 'seen'; tables there: crm\.seen, passenger_"):
        read(location, "seen")


# ---------------------------------------------------------------- PostgreSQL


@pytest.fixture(scope="module")
def postgres(postgres_url: str, activity_file: Path) -> Iterator[str]:
    """The activity table in a schema of its own, with money as NUMERIC; and views of it."""
    table = pyarrow.parquet.read_table(activity_file)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS shop CASCADE")
        connection.execute(
            "CREATE SCHEMA shop CREATE TABLE activity (frequency_30 int, id bigint, "
            "registered_at timestamptz, recency_7 bigint, frequency_7 numeric, "
            "monetary_value_7 numeric(12, 2), monetary_value_30 numeric(12, 2), note text)"
        )
        columns = ", ".join(table.column_names)
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY shop.activity ({columns}) FROM STDIN") as copy,
        ):
            for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                copy.write_row(row)
        connection.execute(
            "CREATE VIEW shop.viewed AS SELECT * FROM shop.activity;"
            "CREATE MATERIALIZED VIEW shop.kept AS SELECT * FROM shop.activity;"
            "CREATE TABLE shop.named AS SELECT 'no. ' || id AS id, id AS number, recency_7, "
            "frequency_7, monetary_value_7, monetary_value_30 FROM shop.activity"
        )
        yield postgres_url
        connection.execute("DROP SCHEMA shop CASCADE")


@pytest.mark.parametrize("name", ["shop.activity", "shop.viewed", "shop.kept"])
def test_postgresql_gives_the_same_table_from_tables_and_views(postgres, history, name):
    assert_same(read(postgres, name), history)


def test_ids_may_be_text(postgres, history):
    named = read(postgres, "shop.named")
    assert named.ids.tolist() == [f"no. {name}" for name in history.ids]
    assert named.fingerprint() == history.fingerprint()


def test_ids_may_be_uuids_or_numeric_and_keep_one_type_over_all_batches(postgres):
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE shop.odd AS SELECT gen_random_uuid() AS uuid, "
            "(10 ^ n)::numeric(30, 0) AS number, n FROM generate_series(0, 20) n ORDER BY n"
        )
        expected = connection.execute("SELECT uuid::text FROM shop.odd ORDER BY n").fetchall()
    with open_source(postgres, "shop.odd") as source:
        batches = list(source.batches(["uuid", "number"], rows=1))
    assert len({batch.schema for batch in batches}) == 1
    assert [(batch["uuid"][0].as_py(),) for batch in batches] == expected
    assert [batch["number"][0].as_py() for batch in batches] == [10**n for n in range(21)]


def test_a_table_that_postgresql_has_not_is_told_with_those_it_has(postgres):
    with pytest.raises(DataError, match=r"no table 'shop\.activty'; tables there: activity, "):
        read(postgres, "shop.activty")
    with pytest.raises(DataError, match=rf"no table '{DEFAULT_TABLE}'; .*Name it with --table\.$"):
        read(postgres)


@pytest.fixture
def guarded(postgres, postgres_server) -> Iterator[str]:
    """The server asks one user for a password; the URL names that user, without one."""
    rules = Path(postgres_server.pgdata) / "pg_hba.conf"
    before = rules.read_text()

    def load(text: str) -> None:
        loaded_at = "SELECT pg_conf_load_time()"
        with psycopg.connect(postgres, autocommit=True) as connection:
            known = connection.execute(loaded_at).fetchone()
            rules.write_text(text)
            connection.execute("SELECT pg_reload_conf()")
        while True:  # the server reloads in its own time; new connections tell when it has
            with psycopg.connect(postgres) as connection:
                if connection.execute(loaded_at).fetchone() != known:
                    return

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS analyst")
        connection.execute("CREATE ROLE analyst LOGIN PASSWORD 'right'")
    load(f"local all analyst scram-sha-256\n{before}")
    yield make_url(postgres).set(username="analyst", password=None).render_as_string()
    load(before)


@pytest.mark.parametrize("where", ["in its place", "as an option"])
def test_a_wrong_password_is_told_without_repeating_it(guarded, where):
    url, wrong = make_url(guarded), {"password": "wrong-secret"}
    url = url.set(**wrong) if where == "in its place" else url.update_query_dict(wrong)
    with pytest.raises(DataError) as refused:
        read(url.render_as_string(hide_password=False), "shop.activity")
    says = str(refused.value)
    assert 'password authentication failed for user "analyst"' in says
    assert says.endswith("Check user, password and database.")
    assert "wrong-secret" not in says


def test_a_table_that_the_user_may_not_read_is_told(guarded):
    url = make_url(guarded).update_query_dict({"password": "right"})
    with pytest.raises(DataError, match="permission denied for"):
        read(url.render_as_string(hide_password=False), "shop.activity")


# ---------------------------------------------------------------- reading leaves no trace


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_reading_changes_and_creates_no_file(form, table, tmp_path):
    location = FORMS[form](table, tmp_path / form)
    before = snapshot(tmp_path)
    read(location)
    assert snapshot(tmp_path) == before


def write_ahead(location: str) -> sqlite3.Connection:
    connection = sqlite3.connect(location)
    connection.execute("PRAGMA journal_mode = WAL")
    return connection


def test_a_sqlite_file_with_a_write_ahead_log_is_not_touched_either(table, history, tmp_path):
    location = write_sqlite(table, tmp_path / "wal.sqlite")
    write_ahead(location).close()
    before = snapshot(tmp_path)
    assert list(before) == ["wal.sqlite"]
    assert_same(read(location), history)
    assert snapshot(tmp_path) == before


def test_what_only_the_write_ahead_log_holds_is_read_too(table, tmp_path):
    location = write_sqlite(table, tmp_path / "wal.sqlite")
    writer = write_ahead(location)
    writer.execute(f"DELETE FROM {DEFAULT_TABLE} WHERE id > 3000")
    writer.commit()
    assert (tmp_path / "wal.sqlite-wal").exists()
    assert len(read(location)) == 3_000
    writer.close()


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that anybody may read; `chmod` it. Not in pytest's, which only its owner enters."""
    with tempfile.TemporaryDirectory(prefix="clv-read-only-") as folder:
        path = Path(folder)
        yield path
        path.chmod(0o755)


def test_a_folder_without_write_permission_is_enough(form, table, history, locked_folder):
    location = FORMS[form](table, locked_folder / form)
    locked_folder.chmod(0o555)
    with without_rights():
        with pytest.raises(PermissionError):
            (locked_folder / "new").touch()
        assert_same(read(location), history)


def test_so_it_is_for_a_sqlite_file_with_a_write_ahead_log(table, history, locked_folder):
    location = write_sqlite(table, locked_folder / "wal.sqlite")
    write_ahead(location).close()
    locked_folder.chmod(0o555)
    with without_rights():
        assert_same(read(location), history)


@pytest.mark.parametrize("name", ["file.csv", "file.sqlite", "file.duckdb", "file.parquet"])
def test_a_file_that_may_not_be_read_is_told(name, table, locked_folder):
    location = FORMS[f"table.{name.rpartition('.')[2]}"](table, locked_folder / name)
    Path(location).chmod(0)
    locked_folder.chmod(0o555)
    with without_rights(), pytest.raises(DataError, match=rf"{name}' cannot be read: .*ermission"):
        read(location)


def test_so_is_one_in_a_folder_that_may_not_be_entered(table, locked_folder):
    location = write_csv(table, locked_folder / "file.csv")
    locked_folder.chmod(0)
    with without_rights(), pytest.raises(DataError, match=r"cannot be read: .*Permission denied"):
        read(location)


@pytest.mark.parametrize("location", ["{}/none.sqlite", "sqlite:///{}/none.sqlite", "{}/none.csv"])
def test_a_file_that_is_not_there_is_told_and_not_created(location, tmp_path):
    location = location.format(tmp_path)
    with pytest.raises(DataError, match=rf"^There is no file '{location}'\. Give a \.csv, "):
        read(location)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- odd files that are fine


def write_text(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


EXPECTED = [
    dict(zip(HEADER.split(","), values, strict=True))
    for values in ((1, 1, 1, 8.5, 8.5), (2, 7, 3, 20, 31.25))
]
LINES = "\n".join((HEADER, *ROWS, ""))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeff" + LINES, id="byte order mark"),
        pytest.param(LINES.replace(",", ";"), id="semicolons"),
        pytest.param(LINES.replace(",", "\t"), id="tabs"),
        pytest.param(LINES.replace("\n", "\r\n"), id="lines of Windows"),
        pytest.param(LINES.rstrip(), id="no end of the last line"),
        pytest.param(LINES.replace(HEADER, HEADER.replace(",", '","').join('""')), id="quotes"),
        pytest.param(f"{LINES}\n\n", id="empty lines at the end"),
    ],
)
def test_a_csv_file_may_come_from_any_program(text, tmp_path):
    assert rows_of(write_text(tmp_path / "any.csv", text)) == EXPECTED


@pytest.mark.parametrize("name", ["a[1].csv", "a*.csv", "a?.csv", "a{1}.csv", "it's 50%25.csv"])
def test_a_file_name_is_a_name_and_no_pattern(name, tmp_path):
    write_text(tmp_path / "a1.csv", f"{HEADER}\n9,9,9,9,9\n")
    write_text(tmp_path / "ab.csv", f"{HEADER}\n9,9,9,9,9\n")
    assert rows_of(write_text(tmp_path / name, LINES)) == EXPECTED


@pytest.mark.parametrize("name", ["50%25.sqlite", "what?.sqlite", "no#1.db", "it's.sqlite3"])
def test_so_is_that_of_a_sqlite_file(name, tmp_path):
    table = pyarrow.csv.read_csv(write_text(tmp_path / "t.csv", LINES))
    assert rows_of(write_sqlite(table, tmp_path / name)) == EXPECTED


def test_ids_with_leading_zeros_or_more_digits_than_a_number_holds_stay_what_they_are(tmp_path):
    lines = "\n".join(("id,note", "007,a", "7,b"))
    assert [row["id"] for row in rows_of(write_text(tmp_path / "z.csv", lines))] == ["007", "7"]
    long = ("123456789012345678901", "123456789012345678902")
    lines = f"id,note\n{long[0]},a\n{long[1]},b\n"
    assert [row["id"] for row in rows_of(write_text(tmp_path / "l.csv", lines))] == list(long)


def test_a_sqlite_column_of_mixed_kinds_becomes_text(tmp_path):
    connection = sqlite3.connect(tmp_path / "mixed.sqlite")
    connection.execute(f"CREATE TABLE {DEFAULT_TABLE} (id, monetary_value_7)")
    mixed = [(1, 2), ("two", 2.5), (None, "3"), (2**62, None), (5, b"x")]
    connection.executemany(f"INSERT INTO {DEFAULT_TABLE} VALUES (?, ?)", mixed)
    connection.commit()
    connection.close()
    rows = rows_of(tmp_path / "mixed.sqlite")
    assert [row["id"] for row in rows] == ["1", "two", None, str(2**62), "5"]
    assert [row["monetary_value_7"] for row in rows] == ["2", "2.5", "3", None, "b'x'"]


# ---------------------------------------------------------------- what cannot be read


def fails(location: str | Path, table: str = DEFAULT_TABLE) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as refused:
        read(location, table)
    says = str(refused.value)
    assert "\n" not in says
    return says


def test_a_folder_is_no_file(tmp_path):
    folder = tmp_path / "export.parquet"
    folder.mkdir()
    assert fails(folder).startswith(f"'{folder}' is a folder without .parquet files. Give a .csv, ")


@pytest.mark.parametrize("name", ["export.parquet", "export"])
def test_a_folder_of_parquet_files_is_one_table_in_the_order_of_their_names(name, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    for part in (2, 1, 3):
        pyarrow.parquet.write_table(pa.table({"id": [part]}), folder / f"part-{part}.parquet")
    (folder / "_SUCCESS").touch()
    with open_source(folder) as source:
        assert source.count() == 3
        found = [value for batch in source.batches(["id"]) for value in batch["id"].to_pylist()]
    assert found == [1, 2, 3]


@pytest.mark.parametrize("name", ["table.json", "table", "table.parquet.zip"])
def test_a_file_of_no_known_kind_is_told_what_is_known(name, tmp_path):
    says = fails(write_text(tmp_path / name, LINES))
    assert says.startswith(
        f"Unsupported file type: '{tmp_path / name}'. Expected a .csv, .parquet, "
    )


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet", "x.sqlite", "x.duckdb"])
def test_a_file_of_no_bytes_is_told(name, tmp_path):
    (tmp_path / name).touch()
    assert fails(tmp_path / name) == (
        f"'{tmp_path / name}' is empty (0 bytes). Write the table again."
    )


@pytest.mark.parametrize("name", ["x.parquet", "x.sqlite", "x.duckdb"])
def test_a_file_that_is_not_what_its_suffix_says_is_told(name, tmp_path):
    says = fails(write_text(tmp_path / name, LINES * 100))
    assert says.startswith(f"'{tmp_path / name}' cannot be read: ")
    assert says.endswith("Check that it is what its name says and that it can be read.")


def test_so_is_a_parquet_file_that_was_cut_off(activity_file, tmp_path):
    (tmp_path / "cut.parquet").write_bytes(activity_file.read_bytes()[:-500])
    assert "cut.parquet' cannot be read: " in fails(tmp_path / "cut.parquet")


@pytest.mark.parametrize(
    ("line", "cells"), [("3,1", 2), ("3,1,1,2,3,4", 6), ("end of report", 1)], ids=str
)
@pytest.mark.parametrize("rows", [3, 3_000])
def test_a_csv_line_that_is_too_short_or_too_long_is_named(line, cells, rows, tmp_path):
    lines = [HEADER, *(f"{name},1,1,8.5,9.5" for name in range(rows)), line]
    says = fails(write_text(tmp_path / "cut.csv", "\n".join(lines)))
    assert f"cannot be read: line {rows + 2:,} has {cells} cells, the header 5." in says


@pytest.mark.parametrize("rows", [3, 100, 3_000])
def test_a_second_table_below_the_first_never_hides_it(rows, tmp_path):
    first = [HEADER, *(f"{name},1,1,8.5,9.5" for name in range(rows))]
    second = [f"{HEADER},note", *(f"{name},1,1,8.5,9.5,x" for name in range(100))]
    says = fails(write_text(tmp_path / "two.csv", "\n".join(first + second)))
    assert f"line {rows + 2:,} has 6 cells, the header 5." in says


def test_rows_whose_id_begins_like_a_comment_are_rows(tmp_path):
    names = [f"#{number}" if number % 2 else f"a{number}" for number in range(100)]
    lines = [HEADER, *(f"{name},1,1,8.5,9.5" for name in names)]
    path = write_text(tmp_path / "hash.csv", "\n".join(lines))
    assert [row["id"] for row in rows_of(path)] == names
    path = write_text(tmp_path / "cut.csv", "\n".join([*lines, "#100,1"]))
    assert "line 102 has 2 cells, the header 5." in fails(path)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("latin-1", "read as Windows-1252"),
        ("cp1252", "read as Windows-1252"),
        ("utf-16", "read as UTF-16"),
        ("utf-16-be", "read as UTF-16"),
    ],
)
@pytest.mark.parametrize("rows", [1, 40_000])
def test_a_csv_file_in_another_encoding_is_read_and_said(encoding, said, rows, tmp_path):
    lines = [f"{HEADER},name", *(f"{name},1,1,8.5,9.5,Ann" for name in range(rows))]
    text = "\n".join([*lines, "0815,7,3,20,31.25,Jürgen", ""])
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path = write_text(tmp_path / "old.csv", mark + text, encoding)
    with open_source(path) as source:
        read_rows = [row for part in source.batches(source.columns) for row in part.to_pylist()]
        (finding,) = source.findings
        assert source.name == str(path)
    assert len(read_rows) == rows + 1
    assert read_rows[-1]["id"], read_rows[-1]["name"] == ("0815", "Jürgen")
    assert (finding.code, finding.says) == ("encoding", said)
    assert [one.name for one in tmp_path.iterdir()] == ["old.csv"]


def test_a_stray_word_in_the_last_row_is_told_with_its_row(tmp_path):
    good = [f"{name},1,1,8.5,{name}" for name in range(2_999)]
    path = write_text(tmp_path / "stray.csv", "\n".join((HEADER, *good, "3000,1,1,8.5,unknown")))
    (finding,) = (one for one in read(path).findings if one.severity == "left out")
    assert (finding.code, finding.column, finding.rows) == ("not-a-number", "monetary_value_30", 1)
    assert finding.examples == ("row 3,000 holds 'unknown'",)


@pytest.mark.parametrize("write", [write_sqlite, write_duckdb])
def test_a_missing_table_is_told_with_those_there_and_the_nearest(write, table, tmp_path):
    location = write(table, tmp_path / ("x.sqlite" if write is write_sqlite else "x.duckdb"))
    assert fails(location, "passenger_activity") == (
        f"'{location}' has no table 'passenger_activity'; tables there: {DEFAULT_TABLE}. "
        f"Did you mean '{DEFAULT_TABLE}'? Name it with --table."
    )


def test_a_sqlite_file_that_somebody_writes_to_is_told(table, tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "_PATIENCE_S", 0.05)
    location = write_sqlite(table, tmp_path / "busy.sqlite")
    # Another process: locks of two SQLite libraries in one do not see each other.
    hold = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN EXCLUSIVE'); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, location], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        assert fails(location) == (
            f"'{location}' cannot be read: database is locked. "
            "Another program is writing to it: let that finish, or copy the file."
        )
        writer.communicate(b"\n")
    assert len(read(location)) == len(table)


def test_so_is_a_duckdb_file(table, tmp_path):
    location = write_duckdb(table, tmp_path / "busy.duckdb")
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, location], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        assert "Another program is writing to it: let that finish" in fails(location)
        writer.communicate(b"\n")


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql//u:hush@h/db://", "The database URL cannot be read. Expected something like"),
        ("://u:hush@h/db", "The database URL cannot be read. Expected something like"),
        ("postgresql://u:hush@h:port/db", "The database URL cannot be read. Expected something"),
        ("postgresql://u:one@hush@h/db", "special characters in the password percent-encoded"),
        ("oracle9://u:hush@h/db", "No driver for 'oracle9' is installed"),
        ("mysql://u:hush@h/db", "No driver for 'mysql' is installed"),
        ("s3://u:hush@bucket/table.parquet", "No driver for 's3' is installed"),
        ("postgresql://u:hush@127.0.0.1:{}/db", "Check host, port and that the server is up."),
        ("postgres://127.0.0.1:{}/db?password=hush", "Check host, port and that the server is up."),
        ("postgresql://127.0.0.1:{}/db?passwd=hush", 'invalid connection option "passwd"'),
        ("postgresql://u:hush@two..dots/db", "'postgresql+psycopg://u:***@two..dots/db' cannot"),
        ("sqlite://", "There is no file 'sqlite://'"),
        ("sqlite:////", "is a folder"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_in_a_line_without_its_password(url, says):
    line = fails(url.format(closed_port()))
    assert says in line
    assert "hush" not in line


def test_a_host_that_nobody_knows_is_told(monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    says = fails("postgresql://u:hush@db.example/crm")
    assert "'db.example'" in says
    assert says.endswith("Check host, port and that the server is up.")
    assert "hush" not in says


# ---------------------------------------------------------------- ids in text files


@pytest.mark.parametrize(
    "ids",
    [
        ["1.10", "1.1", "1.2"],
        ["007", "7", "8"],
        ["123456789012345678901234567890123456789012", "2", "3"],
        ["+5", "5", "6"],
        ["2026-01-01", "2026-01-02", "2026-01-03"],
        ["1e3", "1000", "x"],
        ["a, b", 'c "d"', ""],
    ],
)
@pytest.mark.parametrize("column", ["id", "customer_id"])
def test_an_id_is_read_as_it_is_written(tmp_path, column, ids):
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[column, "recency_7"], *([one, 1] for one in ids)])
    with open_source(path) as source:
        (batch,) = source.batches([column, "recency_7"])
    assert batch.column(column).to_pylist() == [one or None for one in ids]
    assert pa.types.is_integer(batch.column("recency_7").type)


def test_ids_that_are_plain_integers_stay_integers(tmp_path):
    path = tmp_path / "table.csv"
    ids = [0, -12, 20260101, 2**63 - 1, -(2**63)]
    path.write_text("id,recency_7\n" + "".join(f"{one},1\n" for one in ids))
    with open_source(path) as source:
        (batch,) = source.batches(["id"])
    assert batch.column("id").type == pa.int64()
    assert batch.column("id").to_pylist() == ids


def test_a_customer_is_held_out_alike_whether_the_id_is_a_number_or_text(table, history, tmp_path):
    as_numbers = read(write_sqlite(table, tmp_path / "numbers.sqlite"))
    lines = Path(write_csv(table, tmp_path / "text.csv")).read_text().splitlines()
    odd = lines[1].split(",")
    odd[table.column_names.index("id")] = "007"  # so that all are text
    path = write_text(tmp_path / "text.csv", "\n".join([*lines, ",".join(odd)]))
    with open_source(path) as source:
        assert next(source.batches(["id"])).column("id").type == pa.string()
    as_text = read(path)
    assert as_text.ids.tolist() == [*as_numbers.ids, "007"]
    for seed in (1, 42):
        held = held_out(as_text.ids, seed=seed, share=0.2)[:-1]
        assert held.tolist() == held_out(as_numbers.ids, seed=seed, share=0.2).tolist()


def test_whole_decimals_of_a_database_are_ids_without_a_point(table, history, postgres, tmp_path):
    numeric = table.set_column(0, "id", table["id"].cast(pa.decimal128(19, 0)))
    assert table.column_names[0] == "id"
    assert_same(read(write_duckdb(numeric, tmp_path / "numeric.duckdb")), history)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE shop.numeric AS SELECT id::numeric(19, 0) AS id, recency_7, frequency_7, "
            "monetary_value_7, monetary_value_30, frequency_30 FROM shop.activity ORDER BY id"
        )
    assert_same(read(postgres, "shop.numeric"), history)


def test_a_span_of_time_is_no_id(table, postgres, tmp_path):
    spans = table.set_column(0, "id", table["id"].cast(pa.duration("s")))
    says = "Column 'id' holds .*; expected whole numbers or text. Make a view that writes the ids"
    with pytest.raises(DataError, match=says):
        read(write_duckdb(spans, tmp_path / "spans.duckdb"))
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE shop.spans AS SELECT id * interval '1 day' AS id, recency_7, "
            "frequency_7, monetary_value_7, monetary_value_30 FROM shop.activity"
        )
    with pytest.raises(DataError, match=says):
        read(postgres, "shop.spans")
