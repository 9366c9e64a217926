"""One reader for every SOURCE: a file, or a table behind a SQLAlchemy URL, as Arrow batches.

    with open_source("passengers.sqlite") as source:
        for batch in source.batches(["id", "recency_7"]):
            ...

CSV, Parquet and DuckDB files go through DuckDB; SQLite and everything else that is a database goes
through SQLAlchemy. Sources are opened read-only and never changed.
"""

import csv
import difflib
import glob
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from clv.errors import DataError
from clv.schema import DEFAULT_TABLE, ID_NAMES
from clv.sql import database_url
from clv.sql import shown as shown_url

__all__ = ["BATCH_ROWS", "Source", "nearest", "open_source"]

BATCH_ROWS = 65_536

_TEXT_FILES = (".csv", ".csv.gz", ".tsv")
# sample_size=-1: types are settled by the whole file, so that a stray word in the last row is
# reported with its row and does not end the read in the middle. skip and comment: DuckDB would
# leave out rows until the others are of one length, silently.
_CSV = "sample_size=-1, header=true, skip=0, comment=''"
_SQLITE_FILES = (".sqlite", ".sqlite3", ".db")
_DELIMITERS = ",;\t|"
# Seconds that a lock or a server is waited for.
_PATIENCE_S = 5
_KINDS = ".csv, .parquet, .sqlite or .duckdb file, or a database URL such as postgresql://..."


class Source(Protocol):
    """A table that can be read more than once, in the order in which it stands."""

    @property
    def name(self) -> str:
        """Where it is, without a password."""

    @property
    def file(self) -> Path | None:
        """The file that is read, or None where a server is asked."""

    @property
    def columns(self) -> list[str]:
        """The columns there are."""

    def count(self) -> int:
        """Rows in the table."""

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The given columns, at most `rows` rows at a time."""


def nearest(name: str, names: Sequence[str]) -> str:
    """A hint naming what was probably meant, or nothing."""
    lowered = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f" Did you mean '{lowered[close[0]]}'?" if close else ""


@contextmanager
def open_source(location: str | Path, table: str = DEFAULT_TABLE) -> Iterator[Source]:
    """Open a SOURCE for reading.

    Parameters
    ----------
    location : str or Path
        A `.csv`, `.parquet`, `.sqlite` or `.duckdb` file, or a SQLAlchemy URL.
    table : str
        The table to read, where the source holds tables; `schema.table` is understood.

    Raises
    ------
    DataError
        Where there is no such file, table or server, or it cannot be read.
    """
    text = str(location)
    url = database_url(text) if "://" in text else None
    if url is not None and url.get_backend_name() != "sqlite":
        with _sql_source(url, table, shown_url(url), None) as source:
            yield source
        return
    path = Path(text if url is None else url.database or ":memory:")
    name = text if url is None else shown_url(url)
    _require_file(path, name)
    if url is not None or path.name.lower().endswith(_SQLITE_FILES):
        with _sql_source(_read_only(path, name), table, name, path) as source:
            yield source
    else:
        with _duckdb_source(path, table) as source:
            yield source


def _require_file(path: Path, name: str) -> None:
    try:
        if path.is_dir():
            raise DataError(f"'{name}' is a folder. Give a {_KINDS}")
        if not path.is_file():
            raise DataError(f"There is no file '{name}'. Give a {_KINDS}")
        if path.stat().st_size == 0:
            raise DataError(f"'{name}' is empty (0 bytes). Write the table again.")
    except OSError as error:
        raise _unreadable(name, error) from error


# ---------------------------------------------------------------- files through DuckDB


@dataclass(frozen=True)
class _DuckDBSource:
    name: str
    file: Path
    columns: list[str]
    connection: duckdb.DuckDBPyConnection
    relation: str  # SQL after FROM; `?` stands for the path where the source is a file
    parameters: list[str]

    def count(self) -> int:
        try:
            return int(self._query("count(*)").fetchall()[0][0])
        except duckdb.Error as error:
            raise _unreadable(self.name, error) from error

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        try:
            found = self._query(", ".join(map(_quote, columns)))
            yield from found.to_arrow_reader(rows)
        except (duckdb.Error, pa.ArrowException) as error:
            raise _unreadable(self.name, error) from error

    def _query(self, selected: str) -> duckdb.DuckDBPyRelation:
        try:
            query = f"SELECT {selected} FROM {self.relation}"  # noqa: S608 - quoted names only
            return self.connection.sql(query, params=self.parameters)
        except duckdb.Error as error:
            raise _unreadable(self.name, error) from error


@contextmanager
def _duckdb_source(path: Path, table: str) -> Iterator[Source]:
    suffix = path.name.lower()
    with duckdb.connect(":memory:") as connection:
        # Escaped, because DuckDB would take 'a[1].csv' for a pattern, and read a1.csv.
        parameters = [glob.escape(str(path))]
        if suffix.endswith(_TEXT_FILES):
            relation = f"read_csv(?, {_CSV})"
        elif suffix.endswith(".parquet"):
            relation = "read_parquet(?)"
        elif suffix.endswith(".duckdb"):
            relation, parameters = _attach(connection, path, table), []
        else:
            raise DataError(f"'{path}' is of no known kind. Expected a {_KINDS}")
        try:
            described = connection.execute(f"DESCRIBE FROM {relation}", parameters).fetchall()
        except duckdb.Error as error:
            fault = _fault_of_text(path) if suffix.endswith(_TEXT_FILES) else ""
            raise _unreadable(str(path), fault or error) from error
        columns = [str(row[0]) for row in described]
        if len(columns) == 1 and any(delimiter in columns[0] for delimiter in _DELIMITERS):
            # DuckDB reads a table with rows of unequal length as one column of whole lines.
            raise _unreadable(str(path), _fault_of_text(path) or "it has one column only")
        if suffix.endswith(_TEXT_FILES):
            relation = _with_ids_as_written(connection, path, columns, relation)
        yield _DuckDBSource(str(path), path, columns, connection, relation, parameters)


def _with_ids_as_written(
    connection: duckdb.DuckDBPyConnection, path: Path, columns: list[str], relation: str
) -> str:
    """Read ids as text, unless all are plain integers: 1.10 is not 1.1, and 007 is not 7."""
    name = next((name for name in ID_NAMES if name in columns), None)
    if name is None:
        return relation
    as_text = f"read_csv(?, {_CSV}, types={{{_literal(name)}: 'VARCHAR'}})"
    # There is one plain way to write an integer of 64 bits; what reads back differently is text.
    read_back = f"TRY_CAST({_quote(name)} AS BIGINT)::VARCHAR"
    query = (
        f"SELECT count(*) FROM {as_text} WHERE {_quote(name)} IS NOT NULL "  # noqa: S608 - quoted
        f"AND {read_back} IS DISTINCT FROM {_quote(name)}"
    )
    try:
        odd = connection.execute(query, [glob.escape(str(path))]).fetchall()[0][0]
    except duckdb.Error as error:
        raise _unreadable(str(path), error) from error
    return as_text if odd else relation


def _fault_of_text(path: Path) -> str:
    """Where a text table stops being one, which DuckDB does not say; '' where none is found."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            lines = csv.reader(file, delimiter=max(_DELIMITERS, key=header.count))
            expected = len(next(lines))
            for cells in lines:
                if cells and len(cells) != expected:
                    return f"line {lines.line_num:,} has {len(cells)} cells, the header {expected}"
    except UnicodeDecodeError:
        return "it is not text in UTF-8"
    except (OSError, EOFError, csv.Error, StopIteration):
        return ""
    return ""


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, table: str) -> str:
    """Attach a DuckDB file read-only and say how its table is called in SQL."""
    try:
        connection.execute(f"ATTACH {_literal(str(path))} AS source (READ_ONLY)")
        found = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'source' "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
            "WHERE database_name = 'source' AND NOT internal"
        ).fetchall()
    except duckdb.Error as error:
        raise _unreadable(str(path), error) from error
    tables = {
        name if schema == "main" else f"{schema}.{name}": f"{_quote(schema)}.{_quote(name)}"
        for schema, name in found
    }
    wanted = table.removeprefix("main.")
    if wanted not in tables:
        raise _no_such_table(str(path), table, list(tables))
    return f"source.{tables[wanted]}"


# ---------------------------------------------------------------- databases through SQLAlchemy


@dataclass(frozen=True)
class _SQLSource:
    name: str
    file: Path | None
    columns: list[str]
    engine: sa.Engine
    table: sa.TableClause

    def count(self) -> int:
        try:
            with self.engine.connect() as connection:
                query = sa.select(sa.func.count()).select_from(self.table)
                return int(connection.execute(query).scalar_one())
        except SQLAlchemyError as error:
            raise _unreadable(self.name, error) from error

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        query = sa.select(*(self.table.c[column] for column in columns))
        try:
            with (
                self.engine.connect().execution_options(stream_results=True) as connection,
                connection.execute(query) as result,
            ):
                for part in result.partitions(rows):
                    yield _to_batch(columns, part)
        except (SQLAlchemyError, pa.ArrowException) as error:
            raise _unreadable(self.name, error) from error


def _read_only(path: Path, name: str) -> sa.URL:
    """A SQLite file, opened so that no file is created and the folder need not be writable."""
    options = {"mode": "ro", "uri": "true"}
    try:
        with path.open("rb") as file:
            write_ahead = file.read(20)[18:] == b"\x02\x02"
    except OSError as error:
        raise _unreadable(name, error) from error
    if write_ahead and not path.with_name(f"{path.name}-wal").exists():
        # Even a reader would create the -wal and -shm files that nobody has open now.
        options["immutable"] = "1"
    return sa.URL.create("sqlite", database=f"file:{quote(str(path.resolve()))}", query=options)


@contextmanager
def _sql_source(url: sa.URL, table: str, name: str, file: Path | None) -> Iterator[Source]:
    patience = {"sqlite": {"timeout": _PATIENCE_S}, "postgresql": {"connect_timeout": _PATIENCE_S}}
    try:
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            connect_args=patience.get(url.get_backend_name(), {}),
        )
    except (NoSuchModuleError, ImportError) as error:
        raise DataError(
            f"No driver for '{url.drivername}' is installed ({error}). "
            "For PostgreSQL install clv[postgres]."
        ) from error
    try:
        schema, _, bare = table.rpartition(".")
        try:
            columns = _columns(sa.inspect(engine), name, table, bare, schema or None)
        # Drivers raise ValueError and TypeError for hosts and options that they do not take.
        except (SQLAlchemyError, ValueError, TypeError) as error:
            raise _unreadable(name, error) from error
        clause = sa.table(bare, *(sa.column(column) for column in columns), schema=schema or None)
        yield _SQLSource(name, file, columns, engine, clause)
    finally:
        engine.dispose()


def _columns(
    inspector: sa.Inspector, name: str, table: str, bare: str, schema: str | None
) -> list[str]:
    # has_table knows materialised views and foreign tables, which no list of tables holds.
    if not inspector.has_table(bare, schema):
        tables = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        raise _no_such_table(name, table, tables)
    return [str(column["name"]) for column in inspector.get_columns(bare, schema)]


def _to_batch(columns: Sequence[str], rows: Sequence[Any]) -> pa.RecordBatch:
    """Rows of Python values as Arrow, one column after the other."""
    arrays = [_to_array(values) for values in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _to_array(values: Sequence[Any]) -> pa.Array:
    """Values as Arrow; those of mixed kinds (SQLite allows it) and UUIDs become text."""
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, TypeError, OverflowError):
        array = None
    if array is None or isinstance(array.type, pa.BaseExtensionType):
        return pa.array([None if value is None else str(value) for value in values])
    if pa.types.is_decimal128(array.type):
        # Arrow gives each batch the precision of its longest number; batches must be of one type.
        return array.cast(pa.decimal128(38, array.type.scale))
    return array


# ---------------------------------------------------------------- what people read


def _quote(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _no_such_table(name: str, table: str, tables: Sequence[str]) -> DataError:
    known = ", ".join(sorted(tables)[:10]) or "none"
    return DataError(
        f"'{name}' has no table '{table}'; tables there: {known}.{nearest(table, tables)} "
        "Name it with --table."
    )


def _unreadable(name: str, fault: Exception | str) -> DataError:
    lines = str(getattr(fault, "orig", None) or fault).strip().splitlines()
    cause = lines[0].rstrip(".!") if lines else type(fault).__name__
    hint = "Check that it is what its name says and that it can be read."
    if " lock" in cause:
        hint = "Another program is writing to it: let that finish, or copy the file."
    elif "FATAL" in cause or "password" in cause:
        hint = "Check user, password and database."
    elif "connect" in cause.lower() or " host " in cause:
        hint = "Check host, port and that the server is up."
    return DataError(f"'{name}' cannot be read: {cause}. {hint}")
