"""Text, Parquet and DuckDB files and workbooks, through DuckDB."""

import csv
import glob
import io
import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from clv.data.findings import Finding
from clv.data.formulas import unescaped_sql
from clv.data.kinds import KINDS, TEXT_FILES, WORKBOOKS
from clv.data.numbers import AMBIGUOUS, NumberFormat
from clv.data.sources.duck import DuckDBSource, attach, attach_table, connect, literal, lock, quote
from clv.data.sources.opened import (
    DELIMITERS,
    TextTable,
    as_utf8,
    begins,
    is_gzip,
    opened,
    prepared,
    require_sound_gzip,
)
from clv.data.sources.source import repeated_names, unreadable
from clv.data.sources.workbooks import sheet_to_csv
from clv.errors import DataError
from clv.schema import NOBODY

__all__ = ["file_source"]

# sample_size=-1: types are settled by the whole file, so that a stray word in the last row is
# reported with its row and does not end the read in the middle. skip and comment: DuckDB would
# leave out rows until the others are of one length, silently. decimal_separator: it would take
# 1,234 for 1.234 just so; clv.data.numbers decides.
_CSV = "sample_size=-1, header=true, skip=0, comment='', decimal_separator='.'"
# What DuckDB needs to find out how a table is written grows with the square of its columns.
_MOST_COLUMNS = 1_000
_MOST_HEADER_BYTES = 2**20
# How .xlsx and .ods begin, and .xls: also under the name of a text table.
_WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# What DuckDB takes a column of numbers for.
_NUMBERS = ("BIGINT", "DOUBLE", "HUGEINT")
_NOT_UTF8 = "it is not text in UTF-8; save it as 'CSV UTF-8'"


@contextmanager
def file_source(
    path: Path,
    table: str,
    ids: Sequence[str],
    *,
    text: Sequence[str] = (),
    memory_limit: str | None = None,
    connection: duckdb.DuckDBPyConnection | None = None,
    numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
) -> Iterator[DuckDBSource]:
    """Open a file; its suffix says what it is, and `table` is for those that hold several.

    A connection that is given is used for what is read where it is; its owner locks it.

    Raises
    ------
    DataError
        If the file cannot be read, or its type is not supported.
    """
    name = path.name.lower()
    with ExitStack() as stack:
        if name.endswith(".duckdb"):
            own = connect(stack, memory_limit)
            relation, is_view = attach(own, path, table)
            if connection is not None and not is_view:  # a table is data; views stay locked in
                own, relation = connection, attach_table(connection, path, relation)
            yield _typed(own, path, relation, ids, numbers)
        elif name.endswith(".parquet") or path.is_dir():
            own = connection or _locked(stack, memory_limit, path)
            source = _typed(own, path, f"read_parquet({_escaped(path)})", ids, numbers)
            yield replace(source, repeated=_repeated_in_parquet(path))
        elif name.endswith((*TEXT_FILES, *WORKBOOKS)):
            table_text = _text_of(path, table, ids, stack)
            reader = _TextReader(path, table_text, ids, text, numbers)
            try:
                source = reader.source(connection or _locked(stack, memory_limit, table_text.path))
            except _NotUTF8Error:
                reader.text = as_utf8(path, _folder(stack))
                source = reader.source(connection or _locked(stack, memory_limit, reader.text.path))
            yield source
        else:
            raise DataError(f"Unsupported file type: '{path}'. Expected a {KINDS}")


class _NotUTF8Error(Exception):
    pass


def _locked(stack: ExitStack, memory_limit: str | None, path: Path) -> duckdb.DuckDBPyConnection:
    connection = connect(stack, memory_limit)
    if path.is_dir():
        lock(connection, folders=[path])
    elif glob.escape(str(path)) != str(path):  # read by a pattern, which takes its folder
        lock(connection, folders=[path.resolve().parent, path.parent])
    else:
        lock(connection, path)
    return connection


def _folder(stack: ExitStack) -> Path:
    """A folder for a copy, of the owner alone and gone with the source."""
    folder = mkdtemp(prefix="clv-table-")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _text_of(path: Path, table: str, ids: Sequence[str], stack: ExitStack) -> TextTable:
    if path.name.lower().endswith(WORKBOOKS) or begins(path, *_WORKBOOK_MARKS):
        folder = _folder(stack)
        sheets, sheet, findings = sheet_to_csv(path, table, ids, folder / "sheet.csv")
        text = prepared(folder / "sheet.csv", str(path), lambda: folder)
        found = (*findings, *text.findings)
        return TextTable(text.path, ",", text.lines_above, found, tuple(sheets), sheet)
    if is_gzip(path):
        require_sound_gzip(path, str(path))
    text = prepared(path, str(path), lambda: _folder(stack))
    _require_header(text.path, str(path))
    return text


def _repeated_in_parquet(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        first = next(path.glob("*.parquet")) if path.is_dir() else path
        return repeated_names(pq.read_schema(first).names)
    except (OSError, pa.ArrowException):  # DuckDB says what is wrong
        return {}


def _typed(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    relation: str,
    ids: Sequence[str],
    numbers: NumberFormat,
) -> DuckDBSource:
    """A table whose columns have types; ids that are whole floats are whole numbers."""
    try:
        types = _types(connection, relation)
        name = next((one for one in ids if one in types), None)
        if name is not None and types[name].startswith(("DOUBLE", "FLOAT", "DECIMAL")):
            column = quote(name)
            whole = f"{column}::DOUBLE = floor({column}::DOUBLE) AND abs({column}) < 2.0 ** 53"
            query = f"FROM {relation} SELECT bool_and({whole} OR isnan({column}::DOUBLE))"
            all_whole = connection.execute(query).fetchall()[0][0]
            types[name] = "BIGINT" if all_whole else "VARCHAR"
            known = f"CASE WHEN NOT isnan({column}::DOUBLE) THEN {column}::{types[name]} END"
            relation = f"(SELECT * REPLACE ({known} AS {column}) FROM {relation})"  # noqa: S608
    except duckdb.Error as error:
        raise unreadable(str(path), error) from error
    return DuckDBSource(str(path), path, types, connection, relation, numbers)


def _types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    described = connection.execute(f"DESCRIBE FROM {relation}").fetchall()
    return {str(row[0]): str(row[1]) for row in described}


class _TextReader:
    """Finds out how the columns of a text table are to be read."""

    def __init__(
        self,
        path: Path,
        text: TextTable,
        ids: Sequence[str],
        as_written: Sequence[str],
        numbers: NumberFormat,
    ) -> None:
        self.path, self.text, self.ids, self.numbers = path, text, ids, numbers
        self.as_written = as_written

    def source(self, connection: duckdb.DuckDBPyConnection) -> DuckDBSource:
        """The table, its ids as they are written, and numbers as text unless they are plain."""
        try:
            types = _types(connection, self._csv())
        except duckdb.Error as error:
            fault = self._fault()
            raise unreadable(str(self.path), fault or error) from error
        if len(types) == 1 and any(mark in next(iter(types)) for mark in DELIMITERS):
            # DuckDB reads a table with rows of unequal length as one column of whole lines.
            raise unreadable(str(self.path), self._fault() or "it has only one column")
        try:
            name = next((one for one in self.ids if one in types), None)
            texts = [
                column
                for column, kind in types.items()
                if kind == "DOUBLE" and column != name and not self._is_plain(connection, column)
            ]
            texts += [one for one in types if one in self.as_written and one not in texts]
            numbers = [
                column
                for column, kind in types.items()
                if kind in _NUMBERS and column != name and column not in texts
            ]
            relation, findings = self._as_written(connection, name, texts, numbers)
            types = _types(connection, relation)
            relation = _unescaped(relation, [one for one in types if types[one] == "VARCHAR"])
        except duckdb.Error as error:
            raise unreadable(str(self.path), error) from error
        return DuckDBSource(
            str(self.path),
            self.path,
            types,
            connection,
            relation,
            self.numbers,
            (*self.text.findings, *findings),
            sheets=self.text.sheets,
            sheet=self.text.sheet,
            temporary=self.text.path != self.path,
            repeated=self._repeated(len(types)),
        )

    def _repeated(self, columns: int) -> dict[str, tuple[int, ...]]:
        """Names that the header has more than once: DuckDB renames all but the first."""
        for mark in self.text.delimiter or DELIMITERS:
            try:
                with (
                    opened(self.text.path) as file,
                    io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
                ):
                    header = next(csv.reader(text, delimiter=mark), [])
            except (OSError, EOFError, ValueError, csv.Error):
                continue
            if len(header) == columns:
                return repeated_names(header)
        return {}

    def _csv(self, texts: Sequence[str] = (), options: str = _CSV) -> str:
        options += f", compression={'gzip' if is_gzip(self.text.path) else 'none'}"
        if self.text.delimiter:
            options += f", delim={literal(self.text.delimiter)}"
        if texts:
            kinds = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in texts)
            options += f", types={{{kinds}}}"
        return f"read_csv({_escaped(self.text.path)}, {options})"

    def _is_plain(self, connection: duckdb.DuckDBPyConnection, column: str) -> bool:
        """Whether points are decimal marks for sure: 8.5 tells, 1.234 does not.

        The first value that tells ends the search, so that it costs next to nothing.
        """
        if self.numbers.given:
            return False  # what the user says is compared with what is written
        name = quote(column)
        written = f"FROM {self._csv([column])} SELECT 1 WHERE contains({name}, '.') AND"
        tells = f"NOT regexp_matches(trim({name}), {literal(AMBIGUOUS)})"
        if connection.execute(f"{written} {tells} LIMIT 1").fetchall():
            return True
        return not connection.execute(f"{written} true LIMIT 1").fetchall()

    def _as_written(
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str | None,
        texts: list[str],
        numbers: list[str],
    ) -> tuple[str, list[Finding]]:
        """Read as text what DuckDB would take for other numbers than people do.

        Of `numbers` the columns with 0x10 or 0b11, which it reads as 16 and 3. Ids, unless all are
        whole numbers: 1.10 is not 1.1, and 007 is not 7.
        """
        scanned = self._csv(list(dict.fromkeys([*texts, *numbers, *([name] if name else [])])))
        odd_numbers = [
            f"bool_or(regexp_matches({quote(column)}, '0[xXbBoO]|_'))" for column in numbers
        ]
        if name is None:
            if numbers:
                query = f"FROM {scanned} SELECT {', '.join(odd_numbers)}"
                texts = [
                    *texts,
                    *itertools.compress(numbers, connection.execute(query).fetchall()[0]),
                ]
            return self._csv(texts), []
        column = quote(name)
        # There is one plain way to write an integer of 64 bits; what reads back differently is
        # text. Programs that know no missing whole numbers write 70001.0.
        digits = rf"regexp_replace({column}, '\.0+$', '')"
        number = f"TRY_CAST({digits} AS BIGINT)"
        nobody = f"lower(trim({column})) IN ({', '.join(map(literal, sorted(NOBODY)))})"
        counts = (
            f"count_if({number}::VARCHAR IS DISTINCT FROM {digits} AND NOT {nobody})",
            f"count_if({digits} <> {column})",
            f"count_if({nobody})",
        )
        query = f"FROM {scanned} SELECT {', '.join([*counts, *odd_numbers])}"
        odd, pointed, words, *found = connection.execute(query).fetchall()[0]
        texts = [*texts, *itertools.compress(numbers, found)]
        as_text = self._csv(list(dict.fromkeys([*texts, name])))
        if odd:
            return as_text, []
        if not pointed and not words:
            return self._csv(texts), []
        findings = []
        if pointed:
            says = "whole numbers written with a decimal point, such as 70001.0"
            action = "They are read as whole numbers: 70001."
            findings.append(Finding("kept", "whole-ids", name, int(pointed), says, action))
        return f"(SELECT * REPLACE ({number} AS {column}) FROM {as_text})", findings  # noqa: S608

    def _fault(self) -> str:
        """Where a text table stops being one, which DuckDB does not say; '' if nowhere."""
        try:
            with (
                opened(self.text.path) as file,
                io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
            ):
                header = text.readline()
                text.seek(0)
                lines = csv.reader(text, delimiter=max(DELIMITERS, key=header.count))
                expected = len(next(lines))
                for cells in lines:
                    if cells and len(cells) != expected:
                        line = lines.line_num + self.text.lines_above
                        return f"line {line:,} has {len(cells)} cells, the header {expected}"
        except UnicodeDecodeError as error:
            if self.text.path == self.path:
                raise _NotUTF8Error from error
            return _NOT_UTF8
        except (OSError, EOFError, csv.Error, StopIteration):
            return ""
        return ""


def _escaped(path: Path) -> str:
    """The path as a literal, escaped: DuckDB would take 'a[1].csv' for a pattern, and read a1.csv.

    A folder is read as all the Parquet files in it, as Spark writes them.
    """
    escaped = glob.escape(str(path))
    return literal(f"{escaped}/*.parquet" if path.is_dir() else escaped)


def _require_header(path: Path, name: str) -> None:
    """Refuse a first line that no table begins with, before it costs anything to read."""
    try:
        with opened(path) as file:
            header = file.readline(_MOST_HEADER_BYTES)
    except (OSError, EOFError):  # DuckDB says what is wrong
        return
    cells = 1 + max(header.count(delimiter.encode()) for delimiter in DELIMITERS)
    if cells > _MOST_COLUMNS:
        raise unreadable(
            name, f"its first line has {cells:,} cells; at most {_MOST_COLUMNS:,} are read"
        )
    if len(header) == _MOST_HEADER_BYTES and not header.endswith(b"\n"):
        raise unreadable(
            name, f"its first line is longer than {_MOST_HEADER_BYTES:,} bytes: no header"
        )


def _unescaped(relation: str, texts: Sequence[str]) -> str:
    """Read text as it was before `clv.data.formulas` made it safe for spreadsheets."""
    if not texts:
        return relation
    read = ", ".join(f"{unescaped_sql(name)} AS {name}" for name in map(quote, texts))
    return f"(SELECT * REPLACE ({read}) FROM {relation})"  # noqa: S608 - quoted names only
