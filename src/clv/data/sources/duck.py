"""DuckDB as a reader of foreign files: data only, with everything else locked."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from clv.data.findings import Finding
from clv.data.numbers import NumberFormat
from clv.data.sources.source import BATCH_ROWS, no_such_table, unreadable
from clv.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "NO_INSTALLS",
    "DuckDBSource",
    "attach",
    "attach_table",
    "connect",
    "literal",
    "lock",
    "quote",
]

#: Extensions come from the network and run as code: none is installed or loaded by itself.
NO_INSTALLS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_ALIAS = "source_file"
# Where the rows of a view may come from: the file's own tables, and constants.
_OWN = {"SEQ_SCAN", "INDEX_SCAN", "COLUMN_DATA_SCAN", "DUMMY_SCAN", "EMPTY_RESULT",
        "EXPRESSION_SCAN", "CTE_SCAN", "REC_CTE_SCAN", "RECURSIVE_CTE_SCAN", "DELIM_SCAN",
        "CHUNK_SCAN"}  # fmt: skip


@dataclass(frozen=True)
class DuckDBSource:
    """A file that DuckDB reads: other queries of its connection may read `relation`, too."""

    name: str
    file: Path
    types: "Mapping[str, str]"  # of each column, in DuckDB's words
    connection: duckdb.DuckDBPyConnection
    relation: str  # SQL after FROM
    numbers: NumberFormat
    findings: Sequence[Finding] = ()
    #: Of a workbook: its sheets, and the one that is read.
    sheets: Sequence[str] = field(default=(), kw_only=True)
    sheet: str | None = field(default=None, kw_only=True)
    #: Whether the relation reads a copy that is gone once the source is closed.
    temporary: bool = field(default=False, kw_only=True)
    #: Names that several columns have, with their positions from 1; the first has the name here.
    repeated: "Mapping[str, Sequence[int]]" = field(default_factory=dict, kw_only=True)

    @property
    def columns(self) -> list[str]:
        """The columns there are."""
        return list(self.types)

    def count(self) -> int:
        """Rows in the table."""
        try:
            return int(self._query("count(*)").fetchall()[0][0])
        except duckdb.Error as error:
            raise unreadable(self.name, error) from error

    def texts(self, columns: Sequence[str]) -> list[str]:
        """Those of the columns that hold text."""
        return [column for column in columns if self.types[column] == "VARCHAR"]

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> "Iterator[pa.RecordBatch]":
        """The given columns, at most `rows` rows at a time."""
        try:
            found = self._query(", ".join(map(quote, columns)))
            yield from found.to_arrow_reader(rows)
        except (duckdb.Error, pa.ArrowException) as error:
            raise unreadable(self.name, error) from error

    def _query(self, selected: str) -> duckdb.DuckDBPyRelation:
        try:
            query = f"SELECT {selected} FROM {self.relation}"  # noqa: S608 - quoted names only
            return self.connection.sql(query)
        except duckdb.Error as error:
            raise unreadable(self.name, error) from error


def connect(stack: ExitStack, memory_limit: str | None) -> duckdb.DuckDBPyConnection:
    """A connection that is closed with the stack, and downloads nothing."""
    connection = stack.enter_context(duckdb.connect(":memory:", config=NO_INSTALLS))
    if memory_limit:
        connection.execute(f"SET memory_limit = {literal(memory_limit)}")
    return connection


def lock(connection: duckdb.DuckDBPyConnection, *paths: Path, folders: Sequence[Path] = ()) -> None:
    """Allow these files and nothing else, for good: no other file, no setting, no extension."""
    files = ", ".join(literal(str(path)) for path in paths)
    below = ", ".join(literal(f"{folder}/") for folder in folders)
    connection.execute(f"SET allowed_paths = [{files}]; SET allowed_directories = [{below}]")
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")


def attach(connection: duckdb.DuckDBPyConnection, path: Path, table: str) -> tuple[str, bool]:
    """Attach a DuckDB file read-only and lock the connection.

    Returns
    -------
    relation : str
        The table in SQL.
    is_view : bool

    Raises
    ------
    DataError
        If there is no such table, or it is a view of anything but tables of the file.
    """
    try:
        connection.execute(f"ATTACH {literal(str(path))} AS {_ALIAS} (READ_ONLY)")
        lock(connection)
        found = connection.execute(
            "SELECT schema_name, table_name, false FROM duckdb_tables() WHERE database_name = $1 "
            "UNION ALL SELECT schema_name, view_name, true FROM duckdb_views() "
            "WHERE database_name = $1 AND NOT internal",
            [_ALIAS],
        ).fetchall()
    except duckdb.Error as error:
        raise unreadable(str(path), error) from error
    tables = {
        name if schema == "main" else f"{schema}.{name}": (f"{quote(schema)}.{quote(name)}", view)
        for schema, name, view in found
    }
    wanted = table.removeprefix("main.")
    if wanted not in tables:
        raise no_such_table(str(path), table, list(tables))
    name, is_view = tables[wanted]
    relation = f"{_ALIAS}.{name}"
    if is_view:
        _require_own(connection, path, table, relation)
    return relation, bool(is_view)


def attach_table(connection: duckdb.DuckDBPyConnection, path: Path, relation: str) -> str:
    """Attach the file of a relation to one more connection, and say what it is called there."""
    try:
        alias = f"source_{len(connection.execute('SHOW DATABASES').fetchall())}"
        connection.execute(f"ATTACH {literal(str(path))} AS {alias} (READ_ONLY)")
    except duckdb.Error as error:
        raise unreadable(str(path), error) from error
    return alias + relation.removeprefix(_ALIAS)


def _require_own(
    connection: duckdb.DuckDBPyConnection, path: Path, table: str, relation: str
) -> None:
    """Refuse a view that reads more than tables of its file: its plan shows where rows come from.

    Macros and views of views are resolved in the plan.
    """
    try:
        query = f"EXPLAIN (FORMAT json) FROM {relation}"
        plan = json.loads(connection.execute(query).fetchall()[0][1])
    except duckdb.PermissionException:
        others = ["files"]
    except duckdb.Error as error:
        raise unreadable(str(path), error) from error
    else:
        others = [name.lower() for name in _leaves(plan) if name not in _OWN]
    if others:
        raise DataError(
            f"'{table}' of '{path}' is a view that reads more than tables of this file "
            f"({', '.join(dict.fromkeys(others))}). A source is data: write its rows to a table, "
            f"as in CREATE TABLE rows AS FROM {table}, and name that with --table."
        )


def _leaves(nodes: list[dict[str, object]]) -> "Iterator[str]":
    for node in nodes:
        below = node["children"]
        if isinstance(below, list) and below:
            yield from _leaves(below)
        else:
            yield str(node["name"]).strip()


def quote(identifier: str) -> str:
    """A name in SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
