"""The first rows of a table as text, and what would be read: to look at before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clv.data.conform import notations_of
from clv.data.customers import id_names
from clv.data.findings import Finding, as_number_cell
from clv.data.numbers import Notation, NumberFormat
from clv.data.sources import open_source, require_once
from clv.errors import DataError
from clv.schema import DEFAULT_TABLE, ID_NAMES, Window

__all__ = ["Preview", "preview"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a table looks like.

    Attributes
    ----------
    columns : tuple of str
    rows : tuple of tuple of str
        The first rows, each cell as text.
    sheets : tuple of str
        Of a workbook.
    sheet : str or None
        The one that was read.
    matched : mapping of str to str or None
        For each column that is needed, the one that has it; None if there is none.
    notations : mapping of str to str
        How the numbers of a column are written, in words; only of those that are not plain.
    findings : tuple of Finding
        What was done to read the table.
    problem : str or None
        Why its numbers cannot be read as they are.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sheets: tuple[str, ...]
    sheet: str | None
    matched: Mapping[str, str | None]
    notations: Mapping[str, str]
    findings: tuple[Finding, ...]
    problem: str | None


def preview(
    location: str | Path,
    table: str = DEFAULT_TABLE,
    *,
    window: Window = Window(),  # noqa: B008 - frozen
    renamed: Mapping[str, str] | None = None,
    numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
    rows: int = 5,
    memory_limit: str | None = None,
) -> Preview:
    """Look at a list of customers without judging it.

    Parameters
    ----------
    location : str or Path
        A SOURCE.
    table : str
        The table, or the sheet of a workbook.
    window : Window
        Its days name the columns that are needed.
    renamed : mapping of str to str, optional
        What columns are called there, by the names that they have here.
    numbers : NumberFormat, optional
    rows : int
        How many rows to show.
    memory_limit : str, optional

    Raises
    ------
    DataError
        If the table cannot be read at all.
    """
    renamed = renamed or {}
    with open_source(
        location, table, ids=id_names(renamed), memory_limit=memory_limit, numbers=numbers
    ) as source:
        batch = next(iter(source.batches(source.columns, rows)), None)
        cells = batch.slice(0, rows).to_pylist() if batch is not None else []
        matched = {
            names[0]: _column(names, source.columns, renamed)
            for names in (ID_NAMES, *(column.names for column in window.features))
        }
        notations: Mapping[str, Notation] = {}
        findings, problem = list(source.findings), None
        try:
            require_once(source.name, source.repeated, matched.values())
            wanted = [column for name, column in matched.items() if column and name != ID_NAMES[0]]
            notations, findings = notations_of(source, list(dict.fromkeys(wanted)))
        except DataError as error:
            problem = str(error)
        return Preview(
            tuple(source.columns),
            tuple(tuple(_text(row[name]) for name in source.columns) for row in cells),
            tuple(getattr(source, "sheets", ())),
            getattr(source, "sheet", None),
            matched,
            {name: str(notation) for name, notation in notations.items()},
            tuple(findings),
            problem,
        )


def _column(names: tuple[str, ...], available: list[str], renamed: Mapping[str, str]) -> str | None:
    given = next((renamed[name] for name in names if name in renamed), None)
    return next((name for name in ([given] if given else names) if name in available), None)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.15g}" if isinstance(value, float) else as_number_cell(str(value))
