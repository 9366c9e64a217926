"""Writes simulated passengers to a folder: a ride log, and the activity table that it leads to.

`clv.data.simulate` says how they are simulated.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from clv.data.simulate import SampleChunk, SampleModel, simulate
from clv.errors import UsageError
from clv.files import replacing

__all__ = ["FileFormat", "SampleChunk", "SampleFiles", "SampleModel", "simulate", "write_sample"]

FileFormat = Literal["parquet", "csv"]


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """What was written: the two files, and the rows in each."""

    activity: Path
    rides: Path
    activity_rows: int
    ride_rows: int


def _ignore(passengers: int) -> None:
    """Take no notice of progress."""


def write_sample(
    folder: Path,
    *,
    passengers: int = 20_000,
    seed: int = 7,
    file_format: FileFormat = "parquet",
    on_chunk: Callable[[int], None] = _ignore,
) -> SampleFiles:
    """Simulate passengers and write `activity` and `rides` to `folder`, which is made if missing.

    Both files are written under other names first and take their place at the end, together: a
    failure before leaves no file behind, and earlier files as they were. Memory does not grow with
    `passengers`. The same arguments give the same bytes.

    Parameters
    ----------
    folder : Path
    passengers : int
        From 1 to 100 million.
    seed : int
        0 or more.
    file_format : {"parquet", "csv"}
        Also the suffix of the files. In CSV, instants are ISO 8601 in UTC, ending in Z.
    on_chunk : callable
        Called after each chunk with how many passengers it held.

    Raises
    ------
    UsageError
        Where an argument is out of its range, or the files cannot stand where they should.
    """
    if file_format not in get_args(FileFormat):
        raise UsageError(f"file_format={file_format!r}: expected 'parquet' or 'csv'.")
    chunks = simulate(passengers, seed=seed)
    names = (f"activity.{file_format}", f"rides.{file_format}")
    _prepare(folder, names)
    with replacing(folder / names[0]) as activity, replacing(folder / names[1]) as rides:
        rows = _write_parts(chunks, activity, rides, file_format, on_chunk)
    return SampleFiles(folder / names[0], folder / names[1], *rows)


def _write_parts(
    chunks: Iterator[SampleChunk],
    activity_path: Path,
    rides_path: Path,
    file_format: FileFormat,
    on_chunk: Callable[[int], None],
) -> tuple[int, int]:
    """Write all chunks; return the rows of activity and of rides."""
    activity_rows = ride_rows = 0
    first = next(chunks)
    with (
        _writer(activity_path, first.activity, file_format) as activity,
        _writer(rides_path, first.rides, file_format) as rides,
    ):
        for chunk in chain([first], chunks):
            activity.write_table(_writable(chunk.activity, file_format))
            rides.write_table(_writable(chunk.rides, file_format))
            activity_rows += chunk.activity.num_rows
            ride_rows += chunk.rides.num_rows
            on_chunk(chunk.activity.num_rows)
    return activity_rows, ride_rows


def _prepare(folder: Path, names: tuple[str, ...]) -> None:
    """Make the folder; refuse now what would fail between the two renames."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"Folder '{folder}' cannot be made ({error.strerror}); "
            "expected a folder, or a path where one can be made."
        ) from error
    for name in names:
        if (folder / name).is_dir():
            raise UsageError(f"'{folder / name}' is a folder; expected a file or nothing there.")


def _writer(path: Path, table: pa.Table, file_format: FileFormat) -> AbstractContextManager[Any]:
    schema = _writable(table, file_format).schema
    if file_format == "csv":
        return cast(AbstractContextManager[Any], pa_csv.CSVWriter(path, schema))
    return cast(AbstractContextManager[Any], pq.ParquetWriter(path, schema, compression="zstd"))


def _writable(table: pa.Table, file_format: FileFormat) -> pa.Table:
    """Turn instants into text for CSV, where Arrow would write them without the T."""
    if file_format == "csv":
        for index, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                # NumPy, because Arrow's strftime needs a time zone database; slim images lack one.
                instants = table.column(index).to_numpy()
                text = np.datetime_as_string(instants, unit="us", timezone="UTC")
                table = table.set_column(index, field.name, pa.array(text))
    return table
