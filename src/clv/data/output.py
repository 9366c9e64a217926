"""Tables as files: CSV or Parquet, whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from clv.errors import DataError, OutputError
from clv.files import replacing

__all__ = ["write_table", "writing_tables", "writing_to"]


def write_table(table: pa.Table, output: Path) -> None:
    """Write a table to a `.csv` or `.parquet` file.

    Raises
    ------
    OutputError
        Where it cannot be written; what was there before stays.
    """
    with writing_tables(output) as write:
        write(table)


@contextmanager
def writing_tables(output: Path) -> Iterator[Callable[[pa.Table], None]]:
    """Write tables to a temporary name beside `output`, renamed once all went well."""
    suffix = output.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise OutputError(
            f"'{output}' is of no known kind. Expected a name ending in .csv or .parquet."
        )
    sink: Any = None
    schema: Any = None

    def write(table: pa.Table) -> None:
        nonlocal sink, schema
        with writing_to(output):
            if sink is None:
                output.parent.mkdir(parents=True, exist_ok=True)
                schema = table.schema
                sink = (
                    pyarrow.csv.CSVWriter(part, schema)
                    if suffix == ".csv"
                    else pyarrow.parquet.ParquetWriter(part, schema)
                )
            # A CSV writer trusts its first table: text after numbers would not be quoted.
            sink.write_table(_alike(table, schema))

    with ExitStack() as stack:
        part = stack.enter_context(replacing(output))
        yield write
        with writing_to(output):
            if sink is not None:
                sink.close()
            stack.close()


@contextmanager
def writing_to(output: Path) -> Iterator[None]:
    """Around what touches the output and nothing else: reading fails with the same exceptions."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"'{output}' cannot be written: {error}. Nothing was changed.") from error


def _alike(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give the table the types of the first one; only ids can differ, in SQLite."""
    try:
        return table.cast(schema)
    except pa.ArrowException as error:
        raise DataError(
            f"Not all ids are of one kind: {schema.field('id').type} first, "
            f"{table.schema.field('id').type} later. Make a view that writes them all as text. "
            "Nothing was written."
        ) from error
