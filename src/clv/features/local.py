"""Features on this machine, by DuckDB: beyond the memory that it may use, it spills to disk."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa

from clv.data.formulas import escaped_sql
from clv.data.kinds import TEXT_FILES, WORKBOOKS
from clv.data.numbers import NumberFormat
from clv.data.output import is_csv
from clv.data.sources import (
    NO_INSTALLS,
    DuckDBSource,
    open_source,
    require_other_file,
)
from clv.data.sources.duck import quote
from clv.errors import DataError, OutputError, UsageError
from clv.features.engine import Engine, Opened
from clv.files import is_stream, replacing, target_of

__all__ = ["duckdb_engine"]

# Into the file that is there: DuckDB would write another one beside it, of a name of its own.
_PARQUET = "FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false"
_CSV = "FORMAT csv, HEADER, USE_TMP_FILE false"
_KINDS = {
    "BIGINT": "int64", "INTEGER": "int64", "SMALLINT": "int64", "TINYINT": "int64",
    "UINTEGER": "int64", "USMALLINT": "int64", "UTINYINT": "int64", "VARCHAR": "string",
    "DOUBLE": "float64", "FLOAT": "float64", "DATE": "date",
    "TIMESTAMP": "timestamp", "TIMESTAMP_S": "timestamp", "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp", "TIMESTAMP WITH TIME ZONE": "timestamp('UTC')",
    "TIMESTAMPTZ": "timestamp('UTC')",
}  # fmt: skip
# What is read as another type: beyond 64 bits as text, words and truth values, too.
_READ_AS = {
    "UBIGINT": "VARCHAR", "HUGEINT": "VARCHAR", "UHUGEINT": "VARCHAR", "UUID": "VARCHAR",
    "BOOLEAN": "VARCHAR", "ENUM": "VARCHAR", '"NULL"': "VARCHAR", "TIMESTAMPTZ_NS": "TIMESTAMPTZ",
}  # fmt: skip


@contextmanager
def duckdb_engine(
    output: Path, memory_limit: str | None = None, *, raw: bool = False
) -> Iterator[Engine]:
    """An engine that leaves nothing behind.

    Parameters
    ----------
    output : Path
        What is to be written: what does not fit into memory goes to a folder beside it meanwhile,
        or to the folder for temporary files beside a device or a pipe.
    memory_limit : str, optional
        What DuckDB may use, as in '500MB'; by default most of what there is.
    raw : bool
        Whether text in a CSV file stays as it is; otherwise what a spreadsheet would take for a
        formula begins with an apostrophe.

    Raises
    ------
    UsageError
        Where the limit is none, or nothing can be written beside `output`.
    """
    beside = None if is_stream(output) else target_of(output).parent
    try:
        scratch = tempfile.TemporaryDirectory(
            prefix=".clv-", dir=beside, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise OutputError(
            f"'{output.parent}' cannot be written to: {error.strerror}. Give another --output."
        ) from error
    with scratch as folder, duckdb.connect(":memory:", config=NO_INSTALLS) as connection:
        # Two sessions in one process must not see each other's settings, so none is global.
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute("CREATE MACRO unix_micros(instant) AS epoch_us(instant)")
        connection.execute("CREATE MACRO timestamp_micros(micros) AS make_timestamptz(micros)")
        connection.execute("SET temp_directory = $folder", {"folder": folder})
        if memory_limit:
            try:
                connection.execute("SET memory_limit = $limit", {"limit": memory_limit})
            except duckdb.Error as error:
                raise UsageError(
                    f"--memory-limit {memory_limit!r}: expected a size such as 500MB or 4GB."
                ) from error
        connection.execute("SET lock_configuration = true")
        yield _DuckDB(connection, output, raw=raw)


class _DuckDB:
    def __init__(self, connection: duckdb.DuckDBPyConnection, output: Path, *, raw: bool) -> None:
        self._connection = connection
        self._output = output
        self._raw = raw
        self._opened = 0

    def open(
        self,
        location: str,
        table: str,
        *,
        text: Sequence[str],
        numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
    ) -> Opened:
        self._opened += 1
        view = f"clv_opened_{self._opened}"
        with open_source(
            location, table, ids=(), text=text, connection=self._connection, numbers=numbers
        ) as source:
            require_other_file(source, self._output)
            if isinstance(source, DuckDBSource) and source.connection is self._connection:
                kind = "TEMP TABLE" if source.temporary else "VIEW"
                self._run(f"CREATE {kind} {view} AS FROM {source.relation}")
            else:
                self._copy(view, source.batches(source.columns))
        view, types = self._simplified(view)
        is_text = source.file is not None and source.file.name.lower().endswith(
            (*TEXT_FILES, *WORKBOOKS)
        )
        return Opened(source.name, view, types, is_text, source.findings, source.repeated)

    def view(self, name: str, expression: ibis.Table) -> None:
        self._run(f'CREATE OR REPLACE VIEW "{name}" AS {_sql(expression)}')

    def fetch(self, expression: ibis.Table) -> list[dict[str, Any]]:
        try:
            return list(self._connection.sql(_sql(expression)).to_arrow_table().to_pylist())
        except duckdb.Error as error:
            raise _failed(error) from error

    def keep(self, name: str, expression: ibis.Table) -> None:
        self._run(f'CREATE TEMP TABLE "{name}" AS {_sql(expression)}')

    def write(self, expression: ibis.Table, output: str) -> None:
        path = Path(output)
        sql, options = _sql(expression), _PARQUET
        if is_csv(path):
            sql, options = sql if self._raw else _escaped(expression), _CSV
        with replacing(path) as part:
            target = str(part).replace("'", "''")
            try:
                self._run(f"COPY ({sql}) TO '{target}' ({options})")
            except DataError as error:
                raise OutputError(f"'{path}' cannot be written: {error}") from error

    def _simplified(self, view: str) -> tuple[str, dict[str, str | None]]:
        """A view of types that Ibis knows, and those of its columns."""
        described = {str(row[0]): str(row[1]) for row in self._run(f"DESCRIBE {view}").fetchall()}
        read_as = {name: _READ_AS.get(kind.partition("(")[0]) for name, kind in described.items()}
        casts = ", ".join(
            f"{quote(name)}::{kind} AS {quote(name)}" for name, kind in read_as.items() if kind
        )
        if casts:
            self._run(f"CREATE VIEW {view}_read AS FROM {view} SELECT * REPLACE ({casts})")
            view = f"{view}_read"
        return view, {name: _kind(read_as[name] or kind) for name, kind in described.items()}

    def _copy(self, name: str, batches: Iterator[pa.RecordBatch]) -> None:
        """Keep the rows of a database: they are looked at more than once."""
        first = next(batches, None)
        if first is None:
            raise DataError("There are no rows.")
        self._connection.register("clv_batch", pa.Table.from_batches([first]))
        self._run(f"CREATE TEMP TABLE {name} AS FROM clv_batch")
        for batch in batches:
            self._connection.register("clv_batch", pa.Table.from_batches([batch]))
            self._run(f"INSERT INTO {name} FROM clv_batch")
        self._connection.unregister("clv_batch")

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql)
        except duckdb.Error as error:
            raise _failed(error) from error


def _failed(error: duckdb.Error) -> DataError:
    return DataError(f"DuckDB: {str(error).splitlines()[0]}")


def _sql(expression: ibis.Table) -> str:
    return str(ibis.to_sql(expression, dialect="duckdb"))


def _escaped(expression: ibis.Table) -> str:
    """The rows as they are safe in a CSV file, in the order of their ids."""
    texts = [name for name, kind in expression.schema().items() if kind.is_string()]
    if not texts:
        return _sql(expression)
    quoted = ['"' + name.replace('"', '""') + '"' for name in texts]
    safe = ", ".join(f"{escaped_sql(f'written.{name}')} AS {name}" for name in quoted)
    return (
        f"SELECT * REPLACE ({safe}) FROM ({_sql(expression)}) AS written "  # noqa: S608 - quoted
        "ORDER BY written.id"
    )


def _kind(name: str) -> str | None:
    if name.startswith("DECIMAL"):
        return name.lower()
    return _KINDS.get(name)
