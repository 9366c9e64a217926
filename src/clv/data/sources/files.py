"""Text, Parquet and DuckDB files, through DuckDB."""

import csv
import glob
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import duckdb
import pyarrow as pa

from clv.data.formulas import unescaped_sql
from clv.data.sources.source import (
    BATCH_ROWS,
    KINDS,
    TEXT_FILES,
    Source,
    no_such_table,
    unreadable,
)
from clv.errors import DataError

__all__ = ["DuckDBSource", "file_source", "reading"]

# sample_size=-1: types are settled by the whole file, so that a stray word in the last row is
# reported with its row and does not end the read in the middle. skip and comment: DuckDB would
# leave out rows until the others are of one length, silently.
_CSV = "sample_size=-1, header=true, skip=0, comment=''"
_DECIMAL_COMMA = ", decimal_separator=','"
_DELIMITERS = ",;\t|"
# What DuckDB needs to find out how a table is written grows with the square of its columns.
_MOST_COLUMNS = 1_000
_MOST_HEADER_BYTES = 2**20
# How other files begin that were given the name of a text table.
_NO_TEXT = {
    b"PK": "it is an Excel workbook or another archive; save the sheet as 'CSV UTF-8'",
    b"\xd0\xcf": "it is an old Excel workbook; save the sheet as 'CSV UTF-8'",
    b"\xff\xfe": "it is text in UTF-16; save it as 'CSV UTF-8'",
    b"\xfe\xff": "it is text in UTF-16; save it as 'CSV UTF-8'",
    b"%PDF": "it is a PDF; export the table as 'CSV UTF-8'",
}


@dataclass(frozen=True)
class DuckDBSource:
    """A file that DuckDB reads: other queries of its connection may read `relation`, too."""

    name: str
    file: Path
    columns: list[str]
    connection: duckdb.DuckDBPyConnection
    relation: str  # SQL after FROM

    def count(self) -> int:
        """Rows in the table."""
        try:
            return int(self._query("count(*)").fetchall()[0][0])
        except duckdb.Error as error:
            raise unreadable(self.name, error) from error

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The given columns, at most `rows` rows at a time."""
        try:
            found = self._query(", ".join(map(_quote, columns)))
            yield from found.to_arrow_reader(rows)
        except (duckdb.Error, pa.ArrowException) as error:
            raise unreadable(self.name, error) from error

    def _query(self, selected: str) -> duckdb.DuckDBPyRelation:
        try:
            query = f"SELECT {selected} FROM {self.relation}"  # noqa: S608 - quoted names only
            return self.connection.sql(query)
        except duckdb.Error as error:
            raise unreadable(self.name, error) from error


@contextmanager
def file_source(
    path: Path, table: str, ids: Sequence[str], memory_limit: str | None
) -> Iterator[Source]:
    """Open a file; its suffix says what it is, and `table` is for those that hold several."""
    with duckdb.connect(":memory:") as connection:
        if memory_limit:
            connection.execute(f"SET memory_limit = {_literal(memory_limit)}")
        yield reading(connection, path, table, ids)


def reading(
    connection: duckdb.DuckDBPyConnection, path: Path, table: str, ids: Sequence[str]
) -> DuckDBSource:
    """A file, read through a connection that stays open as long as it is read.

    Raises
    ------
    DataError
        Where the file cannot be read, or is of no known kind.
    """
    suffix = path.name.lower()
    is_text = suffix.endswith(TEXT_FILES)
    if is_text:
        _require_header(path)
        relation = _csv(path, _CSV)
    elif suffix.endswith(".parquet") or path.is_dir():
        relation = f"read_parquet({_escaped(path)})"
    elif suffix.endswith(".duckdb"):
        relation = _attach(connection, path, table)
    else:
        raise DataError(f"'{path}' is of no known kind. Expected a {KINDS}")
    try:
        described = connection.execute(f"DESCRIBE FROM {relation}").fetchall()
    except duckdb.Error as error:
        fault = _fault_of_text(path) if is_text else ""
        raise unreadable(str(path), fault or error) from error
    columns = [str(row[0]) for row in described]
    if len(columns) == 1 and any(delimiter in columns[0] for delimiter in _DELIMITERS):
        # DuckDB reads a table with rows of unequal length as one column of whole lines.
        raise unreadable(str(path), _fault_of_text(path) or "it has one column only")
    if is_text:
        options = _CSV
        id_name = next((name for name in ids if name in columns), None)
        if _has_decimal_commas(connection, path, described, id_name):
            options += _DECIMAL_COMMA
        relation = _with_ids_as_written(connection, path, id_name, options)
        if options != _CSV:  # columns that were taken for text are numbers now
            described = connection.execute(f"DESCRIBE FROM {relation}").fetchall()
        relation = _unescaped(relation, [row[0] for row in described if row[1] == "VARCHAR"])
    return DuckDBSource(str(path), path, columns, connection, relation)


def _csv(path: Path, options: str) -> str:
    return f"read_csv({_escaped(path)}, {options})"


def _escaped(path: Path) -> str:
    """The path as a literal, escaped: DuckDB would take 'a[1].csv' for a pattern, and read a1.csv.

    A folder is read as all the Parquet files in it, as Spark writes them.
    """
    escaped = glob.escape(str(path))
    return _literal(f"{escaped}/*.parquet" if path.is_dir() else escaped)


def _require_header(path: Path) -> None:
    """Refuse what no table of customers begins with, before it costs anything to read."""
    try:
        with _opened(path) as file:
            header = file.readline(_MOST_HEADER_BYTES)
    except (OSError, EOFError):  # DuckDB says what is wrong
        return
    for begins, fault in _NO_TEXT.items():
        if header.startswith(begins):
            raise unreadable(str(path), fault)
    if b"\0" in header:
        raise unreadable(str(path), "it is not text in UTF-8; save it as 'CSV UTF-8'")
    cells = 1 + max(header.count(delimiter.encode()) for delimiter in _DELIMITERS)
    if cells > _MOST_COLUMNS:
        raise unreadable(
            str(path), f"its first line has {cells:,} cells; at most {_MOST_COLUMNS:,} are read"
        )
    if len(header) == _MOST_HEADER_BYTES and not header.endswith(b"\n"):
        raise unreadable(
            str(path), f"its first line is longer than {_MOST_HEADER_BYTES:,} bytes: no header"
        )


def _opened(path: Path) -> BinaryIO:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    return cast("BinaryIO", opened(path, "rb"))


def _has_decimal_commas(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    described: Sequence[tuple[str, ...]],
    id_name: str | None,
) -> bool:
    """Whether a column that was taken for text holds numbers as 8,50, and nothing else."""
    texts = [row[0] for row in described if row[1] == "VARCHAR" and row[0] != id_name]
    if not texts:
        return False
    numbers = " OR ".join(
        f"(bool_and(regexp_full_match({column}, '-?[0-9]+(,[0-9]+)?')) "
        f"AND bool_or(contains({column}, ',')))"
        for column in map(_quote, texts)
    )
    query = f"SELECT {numbers} FROM {_csv(path, _CSV)}"  # noqa: S608 - quoted names only
    try:
        found = connection.execute(query).fetchall()
    except duckdb.Error as error:
        raise unreadable(str(path), error) from error
    return bool(found[0][0])


def _with_ids_as_written(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str | None, options: str
) -> str:
    """Read ids as text, unless all are plain integers: 1.10 is not 1.1, and 007 is not 7."""
    relation = _csv(path, options)
    if name is None:
        return relation
    as_text = _csv(path, f"{options}, types={{{_literal(name)}: 'VARCHAR'}}")
    # There is one plain way to write an integer of 64 bits; what reads back differently is text.
    read_back = f"TRY_CAST({_quote(name)} AS BIGINT)::VARCHAR"
    query = (
        f"SELECT count(*) FROM {as_text} WHERE {_quote(name)} IS NOT NULL "  # noqa: S608 - quoted
        f"AND {read_back} IS DISTINCT FROM {_quote(name)}"
    )
    try:
        odd = connection.execute(query).fetchall()[0][0]
    except duckdb.Error as error:
        raise unreadable(str(path), error) from error
    return as_text if odd else relation


def _unescaped(relation: str, texts: Sequence[str]) -> str:
    """Read text as it was before `clv.data.formulas` made it safe for spreadsheets."""
    if not texts:
        return relation
    read = ", ".join(f"{unescaped_sql(name)} AS {name}" for name in map(_quote, texts))
    return f"(SELECT * REPLACE ({read}) FROM {relation})"  # noqa: S608 - quoted names only


def _fault_of_text(path: Path) -> str:
    """Where a text table stops being one, which DuckDB does not say; '' where none is found."""
    try:
        with (
            _opened(path) as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
        ):
            header = text.readline()
            text.seek(0)
            lines = csv.reader(text, delimiter=max(_DELIMITERS, key=header.count))
            expected = len(next(lines))
            for cells in lines:
                if cells and len(cells) != expected:
                    return f"line {lines.line_num:,} has {len(cells)} cells, the header {expected}"
    except UnicodeDecodeError:
        return "it is not text in UTF-8; save it as 'CSV UTF-8'"
    except (OSError, EOFError, csv.Error, StopIteration):
        return ""
    return ""


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, table: str) -> str:
    """Attach a DuckDB file read-only and say how its table is called in SQL."""
    try:
        alias = f"source_{len(connection.execute('SHOW DATABASES').fetchall())}"
        connection.execute(f"ATTACH {_literal(str(path))} AS {alias} (READ_ONLY)")
        found = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1 "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
            "WHERE database_name = $1 AND NOT internal",
            [alias],
        ).fetchall()
    except duckdb.Error as error:
        raise unreadable(str(path), error) from error
    tables = {
        name if schema == "main" else f"{schema}.{name}": f"{_quote(schema)}.{_quote(name)}"
        for schema, name in found
    }
    wanted = table.removeprefix("main.")
    if wanted not in tables:
        raise no_such_table(str(path), table, list(tables))
    return f"{alias}.{tables[wanted]}"


def _quote(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
