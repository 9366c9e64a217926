"""One reader for every SOURCE: a file, or a table behind a SQLAlchemy URL, as Arrow batches.

    with open_source("passengers.sqlite") as source:
        for batch in source.batches(["id", "recency_7"]):
            ...

CSV, Parquet and DuckDB files go through DuckDB; SQLite and everything else that is a database goes
through SQLAlchemy. Sources are opened read-only and never changed.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from clv.errors import DataError
from clv.schema import DEFAULT_TABLE
from clv.sql import database_url
from clv.sql import shown as shown_url

__all__ = ["BATCH_ROWS", "Source", "nearest", "open_source"]

BATCH_ROWS = 65_536

_TEXT_FILES = (".csv", ".csv.gz", ".tsv")
_SQLITE_FILES = (".sqlite", ".sqlite3", ".db")
_KINDS = ".csv, .parquet, .sqlite or .duckdb file, or a database URL such as postgresql://..."


class Source(Protocol):
    """A table that can be read more than once, in the order in which it stands."""

    @property
    def name(self) -> str:
        """Where it is, without a password."""

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
    if "://" in text:
        with _sql_source(database_url(text), table) as source:
            yield source
        return
    path = Path(text)
    if not path.is_file():
        raise DataError(f"There is no file '{text}'. Give a {_KINDS}")
    if path.stat().st_size == 0:
        raise DataError(f"'{text}' is empty (0 bytes). Write the table again.")
    if path.name.lower().endswith(_SQLITE_FILES):
        # uri=true&mode=ro: reading must neither create a file nor need a writable folder.
        url = sa.URL.create(
            "sqlite",
            database=f"file:{path.resolve().as_posix()}",
            query={"mode": "ro", "uri": "true"},
        )
        with _sql_source(url, table, shown=text) as source:
            yield source
    else:
        with _duckdb_source(path, table) as source:
            yield source


# ---------------------------------------------------------------- files through DuckDB


@dataclass(frozen=True)
class _DuckDBSource:
    name: str
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
        parameters = [str(path)]
        if suffix.endswith(_TEXT_FILES):
            # sample_size=-1: types are settled by the whole file, so that a stray word in the last
            # row is reported with its row and does not end the read in the middle.
            relation = "read_csv(?, sample_size=-1, header=true)"
        elif suffix.endswith(".parquet"):
            relation = "read_parquet(?)"
        elif suffix.endswith(".duckdb"):
            relation, parameters = _attach(connection, path, table), []
        else:
            raise DataError(f"'{path}' is of no known kind. Expected a {_KINDS}")
        try:
            described = connection.execute(f"DESCRIBE FROM {relation}", parameters).fetchall()
        except duckdb.Error as error:
            raise _unreadable(str(path), error) from error
        columns = [str(row[0]) for row in described]
        yield _DuckDBSource(str(path), columns, connection, relation, parameters)


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, table: str) -> str:
    """Attach a DuckDB file read-only and say how its table is called in SQL."""
    try:
        connection.execute(f"ATTACH {_literal(str(path))} AS source (READ_ONLY)")
        tables = [
            str(row[0])
            for row in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'source' "
                "UNION ALL SELECT view_name FROM duckdb_views() "
                "WHERE database_name = 'source' AND NOT internal"
            ).fetchall()
        ]
    except duckdb.Error as error:
        raise _unreadable(str(path), error) from error
    if table not in tables:
        raise _no_such_table(str(path), table, tables)
    return f"source.{_quote(table)}"


# ---------------------------------------------------------------- databases through SQLAlchemy


@dataclass(frozen=True)
class _SQLSource:
    name: str
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
            with self.engine.connect().execution_options(stream_results=True) as connection:
                for part in connection.execute(query).partitions(rows):
                    yield _to_batch(columns, part)
        except SQLAlchemyError as error:
            raise _unreadable(self.name, error) from error


@contextmanager
def _sql_source(url: sa.URL, table: str, shown: str = "") -> Iterator[Source]:
    name = shown or shown_url(url)
    timeout = {"sqlite": {"timeout": 5}, "postgresql": {"connect_timeout": 5}}
    try:
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            connect_args=timeout.get(url.get_backend_name(), {}),
        )
    except (NoSuchModuleError, ImportError) as error:
        raise DataError(
            f"No driver for '{url.drivername}' is installed ({error}). "
            "For PostgreSQL install clv[postgres]."
        ) from error
    try:
        schema, _, bare = table.rpartition(".")
        try:
            inspector = sa.inspect(engine)
            tables = [
                *inspector.get_table_names(schema=schema or None),
                *inspector.get_view_names(schema=schema or None),
            ]
            if bare not in tables:
                raise _no_such_table(name, table, tables)
            columns = [
                str(column["name"]) for column in inspector.get_columns(bare, schema or None)
            ]
        except SQLAlchemyError as error:
            raise _unreadable(name, error) from error
        clause = sa.table(bare, *(sa.column(column) for column in columns), schema=schema or None)
        yield _SQLSource(name, columns, engine, clause)
    finally:
        engine.dispose()


def _to_batch(columns: Sequence[str], rows: Sequence[Any]) -> pa.RecordBatch:
    """Rows of Python values as Arrow; a column of mixed kinds (SQLite allows it) becomes text."""
    arrays = []
    for values in zip(*rows, strict=True):
        try:
            arrays.append(pa.array(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            arrays.append(pa.array([None if value is None else str(value) for value in values]))
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


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


def _unreadable(name: str, error: Exception) -> DataError:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    hint = "Check that it is what its name says and that it can be read."
    if "locked" in cause:
        hint = "Another program is writing to it: let that finish, or copy the file."
    elif "connect" in cause.lower() or "translate host" in cause:
        hint = "Check host, port and that the server is up."
    return DataError(f"'{name}' cannot be read: {cause}. {hint}")
