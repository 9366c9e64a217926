"""What every source is, and what is said where it cannot be read."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from clv.data.findings import Finding
from clv.data.numbers import NumberFormat
from clv.errors import DataError, UsageError
from clv.sql import cause_of

__all__ = [
    "BATCH_ROWS",
    "Source",
    "listed",
    "nearest",
    "no_such_table",
    "repeated_names",
    "require_once",
    "unreadable",
]

BATCH_ROWS = 65_536


class Source(Protocol):
    """A table that can be read more than once, in the order in which it stands."""

    @property
    def name(self) -> str:
        """Where it is, without a password."""

    @property
    def file(self) -> Path | None:
        """The file that is read, or None where a server is asked."""

    @property
    def columns(self) -> list[str]:
        """The columns there are."""

    @property
    def numbers(self) -> NumberFormat:
        """How the user says that its numbers are written."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What was done to read it: another encoding, lines above the header, a sheet."""

    @property
    def repeated(self) -> Mapping[str, Sequence[int]]:
        """Names that several columns have, with their positions from 1."""

    def count(self) -> int:
        """Rows in the table."""

    def texts(self, columns: Sequence[str]) -> list[str]:
        """Those of the columns that may hold text; the others are numbers, dates or the like."""

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The given columns, at most `rows` rows at a time."""


def nearest(name: str, names: Sequence[str]) -> str:
    """A hint naming what was probably meant, or nothing."""
    lowered = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f" Did you mean '{lowered[close[0]]}'?" if close else ""


def listed(names: Sequence[str]) -> str:
    """Column names for a message: the first of many, the beginning of what is no name."""
    shown = [name if len(name) <= 40 else f"{name[:40]}..." for name in names[:20]]
    more = [f"and {len(names) - 20} more"] if len(names) > 20 else []
    return ", ".join([*(name.strip("\0") for name in shown), *more]) or "none"


def require_other_file(source: Source, output: Path) -> None:
    """Refuse to write over the very file that is read.

    Raises
    ------
    OSError
        Where the output cannot be looked at.
    UsageError
        Where both are one file.
    """
    if source.file is not None and output.exists() and output.samefile(source.file):
        raise UsageError(
            f"The output '{output}' is the input '{source.name}' itself; what is written would "
            "take the place of what it is made from. Give another name to write to."
        )


def repeated_names(header: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Names that stand in a header more than once, with their positions from 1."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(header, start=1):
        places.setdefault(name, []).append(place)
    return {name: tuple(found) for name, found in places.items() if name and len(found) > 1}


def require_once(
    name: str, repeated: Mapping[str, Sequence[int]], columns: Iterable[str | None]
) -> None:
    """Refuse columns whose name others have, too: nobody can tell which is meant.

    Parameters
    ----------
    name : str
        Of the source.
    repeated : mapping of str to sequence of int
        As `repeated_names` gives it.
    columns : iterable of str or None
        Those that are used.

    Raises
    ------
    DataError
        Names the column and its positions.
    """
    for column in columns:
        if column is not None and column in repeated:
            *first, last = map(str, repeated[column])
            times = "twice" if len(first) == 1 else f"{len(first) + 1} times"
            raise DataError(
                f"Column '{column}' is in '{name}' {times}, as columns {', '.join(first)} and "
                f"{last}. Remove or rename all but the one that is meant."
            )


def no_such_table(name: str, table: str, tables: Sequence[str]) -> DataError:
    """Names the tables that there are, and the nearest."""
    known = ", ".join(sorted(tables)[:10]) or "none"
    return DataError(
        f"'{name}' has no table '{table}'; tables there: {known}.{nearest(table, tables)} "
        "Name it with --table."
    )


def unreadable(name: str, fault: Exception | str) -> DataError:
    """Says the cause in one line, and what to look at."""
    cause = cause_of(fault)
    hint = "Check that it is what its name says and that it can be read."
    if "save " in cause or "export " in cause:
        hint = ""  # it says already what to do
    if " lock" in cause:
        hint = "Another program is writing to it: let that finish, or copy the file."
    elif "FATAL" in cause or "password" in cause:
        hint = "Check user, password and database."
    elif "connect" in cause.lower() or " host " in cause:
        hint = "Check host, port and that the server is up."
    return DataError(f"'{name}' cannot be read: {cause}. {hint}".rstrip())
