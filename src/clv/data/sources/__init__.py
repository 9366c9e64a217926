"""One reader for every SOURCE: a file, or a table behind a SQLAlchemy URL, as Arrow batches.

    with open_source("passengers.sqlite") as source:
        for batch in source.batches(["id", "recency_7"]):
            ...

Text, Parquet and DuckDB files and workbooks go through DuckDB; SQLite and everything else that is
a database goes through SQLAlchemy. Sources are opened read-only and never changed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from clv.data.dates import DATED_NAMES
from clv.data.kinds import KINDS
from clv.data.numbers import NumberFormat
from clv.data.sources.databases import database_source, read_only
from clv.data.sources.duck import NO_INSTALLS, DuckDBSource
from clv.data.sources.files import file_source
from clv.data.sources.source import (
    BATCH_ROWS,
    Source,
    listed,
    nearest,
    require_once,
    require_other_file,
    unreadable,
)
from clv.errors import DataError
from clv.schema import DEFAULT_TABLE, ID_NAMES
from clv.sql import database_url, shown

__all__ = [
    "BATCH_ROWS",
    "NO_INSTALLS",
    "DuckDBSource",
    "Source",
    "listed",
    "nearest",
    "open_source",
    "require_once",
    "require_other_file",
]

_SQLITE_FILES = (".sqlite", ".sqlite3", ".db")


@contextmanager
def open_source(
    location: str | Path,
    table: str = DEFAULT_TABLE,
    *,
    ids: Sequence[str] = ID_NAMES,
    text: Sequence[str] = DATED_NAMES,
    memory_limit: str | None = None,
    connection: duckdb.DuckDBPyConnection | None = None,
    numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
) -> Iterator[Source]:
    """Open a SOURCE for reading.

    Parameters
    ----------
    location : str or Path
        A `.csv`, `.parquet`, `.xlsx`, `.ods`, `.sqlite` or `.duckdb` file, or a SQLAlchemy URL.
    table : str
        The table to read, or the sheet of a workbook; `schema.table` is understood.
    ids : sequence of str
        What a column of ids may be called: the first that is there is read as it is written.
    text : sequence of str
        Columns of text files that are read as they are written, whatever DuckDB takes them for.
    memory_limit : str, optional
        What DuckDB may use to read a file, as in '1GB'; by default most of what there is.
    connection : DuckDBPyConnection, optional
        Reads text and Parquet files, with that connection's own limits; by default each file has
        one of its own.
    numbers : NumberFormat, optional
        How the numbers of the table are written; by default each column decides.

    Raises
    ------
    DataError
        Where there is no such file, table or server, or it cannot be read.
    """
    address = str(location)
    url = database_url(address) if "://" in address else None
    if url is not None and url.get_backend_name() != "sqlite":
        with database_source(url, table, shown(url), None, numbers) as source:
            yield source
        return
    path = Path(address if url is None else url.database or ":memory:")
    name = address if url is None else shown(url)
    _require_file(path, name)
    if url is not None or path.name.lower().endswith(_SQLITE_FILES):
        with database_source(read_only(path, name), table, name, path, numbers) as source:
            yield source
    else:
        with file_source(
            path,
            table,
            ids,
            text=text,
            memory_limit=memory_limit,
            connection=connection,
            numbers=numbers,
        ) as source:
            yield source


def _require_file(path: Path, name: str) -> None:
    try:
        if path.is_dir():
            if not any(path.glob("*.parquet")):
                raise DataError(f"'{name}' is a folder without .parquet files. Give a {KINDS}")
            return
        if not path.is_file():
            raise DataError(f"There is no file '{name}'. Give a {KINDS}")
        if path.stat().st_size == 0:
            raise DataError(f"'{name}' is empty (0 bytes). Write the table again.")
    except OSError as error:
        raise unreadable(name, error) from error
