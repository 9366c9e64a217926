"""Predictions into a table of a database: one row a customer, all in one transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from clv.errors import DataError, OutputError, UsageError
from clv.schema import DEFAULT_PREDICTIONS
from clv.sql import cause_of, database_url, shown

__all__ = ["DatabaseTable", "upserting"]

_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_ROWS_AT_A_TIME = 10_000
_TYPES: dict[Any, Any] = {
    pa.float64(): sa.Double(),
    pa.int16(): sa.SmallInteger(),
    pa.bool_(): sa.Boolean(),
    pa.string(): sa.Text(),
}


@dataclass(frozen=True, slots=True)
class DatabaseTable:
    """A table, which is made where it is missing; `schema.table` is understood."""

    url: str
    table: str = DEFAULT_PREDICTIONS


@contextmanager
def upserting(target: DatabaseTable) -> Iterator[Callable[[pa.Table], None]]:
    """Insert rows, or replace those of the same id; all of them or, where anything fails, none.

    Raises
    ------
    OutputError
        Where the database is away or refuses; nothing was changed then.
    UsageError
        Where the database is neither PostgreSQL nor SQLite.
    """
    url = database_url(target.url)
    name = f"{shown(url)}, table {target.table}"
    if url.get_backend_name() not in _INSERTS:
        raise UsageError(
            f"Predictions are written to PostgreSQL and SQLite, not to {url.get_backend_name()}. "
            "Write a file, and load that."
        )
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
    except (NoSuchModuleError, ImportError) as error:
        raise UsageError(
            f"No driver for '{url.drivername}' is installed ({error}). Install clv[postgres]."
        ) from error
    with _refusals_told(name), engine.begin() as connection:
        writer = _Writer(connection, target.table, name)

        def write(rows: pa.Table) -> None:
            with _refusals_told(name):
                writer(rows)

        yield write


@contextmanager
def _refusals_told(name: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OverflowError) as error:
        raise OutputError(
            f"{name} cannot be written: {cause_of(error)}. Nothing was changed."
        ) from error


class _Writer:
    def __init__(self, connection: sa.Connection, table: str, name: str) -> None:
        self._connection = connection
        self._name = name
        self._schema, _, self._bare = table.rpartition(".")
        self._upsert: sa.Executable | None = None

    def __call__(self, rows: pa.Table) -> None:
        if rows["id"].null_count:
            raise DataError(
                "A row has no id, so it has no place in a table. Correct it, or write a file. "
                "Nothing was written."
            )
        if self._upsert is None:
            self._upsert = self._prepared(rows.schema)
        for batch in rows.to_batches(max_chunksize=_ROWS_AT_A_TIME):
            # One statement a row, so that a customer who is there twice has the last row's.
            self._connection.execute(self._upsert, batch.to_pylist())

    def _prepared(self, schema: pa.Schema) -> sa.Executable:
        columns = [
            sa.Column(
                field.name,
                sa.BigInteger() if pa.types.is_integer(field.type) and field.name == "id"
                else _TYPES.get(field.type, sa.Text()),
                primary_key=field.name == "id",
                autoincrement=False,
            )
            for field in schema
        ]  # fmt: skip
        table = sa.Table(self._bare, sa.MetaData(), *columns, schema=self._schema or None)
        inspector = sa.inspect(self._connection)
        if inspector.has_table(self._bare, self._schema or None):
            there = {one["name"] for one in inspector.get_columns(self._bare, table.schema)}
            if missing := [field.name for field in schema if field.name not in there]:
                raise OutputError(
                    f"{self._name} has no column '{missing[0]}'. Give another --output-table, or "
                    "let it be made anew. Nothing was changed."
                )
        else:
            table.create(self._connection)
        insert = _INSERTS[self._connection.dialect.name](table)
        others = {one.name: insert.excluded[one.name] for one in columns if one.name != "id"}
        upsert: sa.Executable = insert.on_conflict_do_update(index_elements=["id"], set_=others)
        return upsert
