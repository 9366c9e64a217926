"""Features on this machine, by DuckDB: beyond the memory that it may use, it spills to disk."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa

from clv.data.numbers import NumberFormat
from clv.data.sources import NO_INSTALLS, DuckDBSource, open_source, require_other_file
from clv.errors import DataError, OutputError, UsageError
from clv.features.engine import Engine, Opened
from clv.files import replacing

__all__ = ["duckdb_engine"]

_FORMATS = {".parquet": "FORMAT parquet, COMPRESSION zstd", ".csv": "FORMAT csv, HEADER"}
_KINDS = {
    "BIGINT": "int64", "INTEGER": "int64", "SMALLINT": "int64", "TINYINT": "int64",
    "UBIGINT": "string", "UINTEGER": "int64", "USMALLINT": "int64", "UTINYINT": "int64",
    "HUGEINT": "string", "UHUGEINT": "string", "UUID": "string", "VARCHAR": "string",
    "DOUBLE": "float64", "FLOAT": "float64", "DATE": "date",
    "TIMESTAMP": "timestamp", "TIMESTAMP_S": "timestamp", "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp", "TIMESTAMP WITH TIME ZONE": "timestamp('UTC')",
}  # fmt: skip


@contextmanager
def duckdb_engine(output: Path, memory_limit: str | None = None) -> Iterator[Engine]:
    """An engine that leaves nothing behind.

    Parameters
    ----------
    output : Path
        What is to be written: what does not fit into memory goes to a folder beside it meanwhile.
    memory_limit : str, optional
        What DuckDB may use, as in '500MB'; by default most of what there is.

    Raises
    ------
    UsageError
        Where the limit is none, or nothing can be written beside `output`.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(
            prefix=".clv-", dir=output.parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise OutputError(
            f"'{output.parent}' cannot be written to: {error.strerror}. Give another --output."
        ) from error
    with scratch as folder, duckdb.connect(":memory:", config=NO_INSTALLS) as connection:
        # Two sessions in one process must not see each other's settings, so none is global.
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute("CREATE MACRO unix_micros(instant) AS epoch_us(instant)")
        connection.execute("SET temp_directory = $folder", {"folder": folder})
        if memory_limit:
            try:
                connection.execute("SET memory_limit = $limit", {"limit": memory_limit})
            except duckdb.Error as error:
                raise UsageError(
                    f"--memory-limit {memory_limit!r}: expected a size such as 500MB or 4GB."
                ) from error
        connection.execute("SET lock_configuration = true")
        yield _DuckDB(connection, output)


class _DuckDB:
    def __init__(self, connection: duckdb.DuckDBPyConnection, output: Path) -> None:
        self._connection = connection
        self._output = output
        self._opened = 0

    def open(
        self,
        location: str,
        table: str,
        *,
        ids: Sequence[str],
        numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
    ) -> Opened:
        self._opened += 1
        view = f"clv_opened_{self._opened}"
        with open_source(
            location, table, ids=ids, connection=self._connection, numbers=numbers
        ) as source:
            require_other_file(source, self._output)
            if isinstance(source, DuckDBSource) and source.connection is self._connection:
                kind = "TEMP TABLE" if source.temporary else "VIEW"
                self._run(f"CREATE {kind} {view} AS FROM {source.relation}")
            else:
                self._copy(view, source.batches(source.columns))
        described = self._run(f"DESCRIBE {view}").fetchall()
        types = {str(row[0]): _kind(str(row[1])) for row in described}
        return Opened(source.name, view, types, source.findings)

    def view(self, name: str, expression: ibis.Table) -> None:
        self._run(f'CREATE VIEW "{name}" AS {_sql(expression)}')

    def fetch(self, expression: ibis.Table) -> list[dict[str, Any]]:
        try:
            return list(self._connection.sql(_sql(expression)).to_arrow_table().to_pylist())
        except duckdb.Error as error:
            raise _failed(error) from error

    def keep(self, name: str, expression: ibis.Table) -> None:
        self._run(f'CREATE TEMP TABLE "{name}" AS {_sql(expression)}')

    def write(self, expression: ibis.Table, output: str) -> None:
        path = Path(output)
        if path.suffix.lower() not in _FORMATS:
            raise OutputError(
                f"'{path}' is of no known kind. Expected a name ending in .csv or .parquet."
            )
        with replacing(path) as part:
            target = str(part).replace("'", "''")
            options = _FORMATS[path.suffix.lower()]
            try:
                self._run(f"COPY ({_sql(expression)}) TO '{target}' ({options})")
            except DataError as error:
                raise OutputError(f"'{path}' cannot be written: {error}") from error

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


def _kind(name: str) -> str | None:
    if name.startswith("DECIMAL"):
        return name.lower()
    return _KINDS.get(name)
