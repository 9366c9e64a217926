"""Tables of databases, through SQLAlchemy."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from clv.data.findings import Finding
from clv.data.numbers import NumberFormat
from clv.data.sources.source import BATCH_ROWS, Source, no_such_table, unreadable
from clv.errors import DataError

__all__ = ["database_source", "read_only", "to_batch"]

# Seconds that a lock or a server is waited for.
_PATIENCE_S = 5


@dataclass(frozen=True)
class _SQLSource:
    name: str
    file: Path | None
    columns: list[str]
    engine: sa.Engine
    table: sa.TableClause
    numbers: NumberFormat
    findings: Sequence[Finding] = ()
    #: A database has each name once in a table.
    repeated: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def count(self) -> int:
        try:
            with self.engine.connect() as connection:
                query = sa.select(sa.func.count()).select_from(self.table)
                return int(connection.execute(query).scalar_one())
        except SQLAlchemyError as error:
            raise unreadable(self.name, error) from error

    def texts(self, columns: Sequence[str]) -> list[str]:
        """By the type that each column is declared to have; in SQLite, by what it holds."""
        if self.engine.dialect.name != "sqlite":
            is_text = sa.types.String
            declared = sa.inspect(self.engine).get_columns(self.table.name, self.table.schema)
            return [
                str(one["name"])
                for one in declared
                if one["name"] in columns and isinstance(one["type"], is_text)
            ]
        holds = (
            sa.select(sa.literal(1))
            .select_from(self.table)
            .where(sa.func.typeof(self.table.c[column]) == "text")
            .exists()
            for column in columns
        )
        try:
            with self.engine.connect() as connection:
                found = connection.execute(sa.select(*holds)).one()
        except SQLAlchemyError as error:
            raise unreadable(self.name, error) from error
        return [column for column, is_text in zip(columns, found, strict=True) if is_text]

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        query = sa.select(*(self.table.c[column] for column in columns))
        try:
            with (
                self.engine.connect().execution_options(stream_results=True) as connection,
                connection.execute(query) as result,
            ):
                for part in result.partitions(rows):
                    yield to_batch(columns, part)
        except (SQLAlchemyError, pa.ArrowException) as error:
            raise unreadable(self.name, error) from error


def read_only(path: Path, name: str) -> sa.URL:
    """A SQLite file, opened so that no file is created and the folder need not be writable."""
    options = {"mode": "ro", "uri": "true"}
    try:
        with path.open("rb") as file:
            write_ahead = file.read(20)[18:] == b"\x02\x02"
    except OSError as error:
        raise unreadable(name, error) from error
    if write_ahead and not path.with_name(f"{path.name}-wal").exists():
        # Even a reader would create the -wal and -shm files that nobody has open now.
        options["immutable"] = "1"
    return sa.URL.create("sqlite", database=f"file:{quote(str(path.resolve()))}", query=options)


@contextmanager
def database_source(
    url: sa.URL, table: str, name: str, file: Path | None, numbers: NumberFormat
) -> Iterator[Source]:
    """Open a table; `file` is the database's, where it is one."""
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
            raise unreadable(name, error) from error
        clause = sa.table(bare, *(sa.column(column) for column in columns), schema=schema or None)
        yield _SQLSource(name, file, columns, engine, clause, numbers)
    finally:
        engine.dispose()


def _columns(
    inspector: sa.Inspector, name: str, table: str, bare: str, schema: str | None
) -> list[str]:
    # has_table knows materialised views and foreign tables, which no list of tables holds.
    if not inspector.has_table(bare, schema):
        tables = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        raise no_such_table(name, table, tables)
    return [str(column["name"]) for column in inspector.get_columns(bare, schema)]


def to_batch(columns: Sequence[str], rows: Sequence[Any]) -> pa.RecordBatch:
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
