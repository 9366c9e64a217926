"""Tables as files: CSV or Parquet, whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from clv.data.formulas import escaped
from clv.errors import DataError, OutputError
from clv.files import is_stream, replacing

__all__ = ["csv_bytes", "is_csv", "write_table", "writing_tables", "writing_to"]


def is_csv(output: Path) -> bool:
    """Whether a table goes to `output` as CSV; otherwise it goes as Parquet.

    Raises
    ------
    OutputError
        If the name is of neither kind. A device or a pipe gets CSV unless its name says otherwise.
    """
    suffix = output.suffix.lower()
    if suffix in (".csv", ".parquet"):
        return suffix == ".csv"
    if is_stream(output):
        return True
    raise OutputError(
        f"Unsupported file type: '{output}'. Expected a name ending in .csv or .parquet."
    )


def write_table(table: pa.Table, output: Path, *, raw: bool = False) -> None:
    """Write a table to a `.csv` or `.parquet` file; `raw` as in `writing_tables`.

    Raises
    ------
    OutputError
        Where it cannot be written; what was there before stays.
    """
    with writing_tables(output, raw=raw) as write:
        write(table)


def csv_bytes(table: pa.Table, *, raw: bool = False) -> bytes:
    """A table as a CSV file; `raw` as in `writing_tables`."""
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table if raw else escaped(table), sink)
    return bytes(sink.getvalue())


@contextmanager
def writing_tables(output: Path, *, raw: bool = False) -> Iterator[Callable[[pa.Table], None]]:
    """Write tables to a temporary name beside `output`, renamed once all went well.

    In CSV, text that a spreadsheet would take for a formula begins with an apostrophe, unless
    `raw` (see `clv.data.formulas`).
    """
    as_csv = is_csv(output)
    sink: Any = None
    schema: Any = None

    def write(table: pa.Table) -> None:
        nonlocal sink, schema
        with writing_to(output):
            if sink is None:
                schema = table.schema
                sink = (
                    pyarrow.csv.CSVWriter(part, schema)
                    if as_csv
                    else pyarrow.parquet.ParquetWriter(part, schema)
                )
            # A CSV writer trusts its first table: text after numbers would not be quoted.
            alike = _alike(table, schema)
            sink.write_table(escaped(alike) if as_csv and not raw else alike)

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
            f"The ids have different types: {schema.field('id').type} first, "
            f"{table.schema.field('id').type} later. Make a view that converts all of them to "
            "text. Nothing was written."
        ) from error
