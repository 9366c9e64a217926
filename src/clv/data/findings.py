"""What is odd about a table: counted, with examples, and with what is done about it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

from clv.schema import Floats, Mask

if TYPE_CHECKING:
    from clv.data.conform import Problem

__all__ = [
    "EXAMPLES",
    "THREE_DECIMALS",
    "Finding",
    "Severity",
    "Tally",
    "as_number_cell",
    "by_severity",
    "shown_value",
    "three_decimals",
    "without_duplicates",
]

#: How many rows are shown of each.
EXAMPLES = 3
#: What is said of money that may be a thousand times as much.
THREE_DECIMALS = "amounts with three decimals, which may be thousands"

_NUMBER_CELL = re.compile(r"-?\d{1,17}e-\d{1,3}")

Severity = Literal["fatal", "left out", "kept"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is odd about the data, how often, where, and what is done about it."""

    severity: Severity
    code: str
    column: str
    rows: int
    says: str
    action: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" For example {'; '.join(self.examples)}." if self.examples else ""
        rows = f" ({self.rows:,} {'row' if self.rows == 1 else 'rows'})" if self.rows else ""
        return f"{self.column}: {self.says}{rows}.{shown} {self.action}".rstrip()


@dataclass
class Tally:
    """Counts and first examples of each problem over all batches of a source.

    `known` are findings of the source itself, as that of a notation.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    says: dict[tuple[str, str], str] = field(default_factory=dict)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    known: list[Finding] = field(default_factory=list)

    def add(self, problem: "Problem", first_row: int) -> None:
        """Count a problem of a batch that begins at this row, from 0."""
        key = (problem.code, problem.column)
        self.counts[key] += int(problem.rows.sum())
        self.says[key] = problem.says
        shown = self.examples.setdefault(key, [])
        for row in np.flatnonzero(problem.rows)[: EXAMPLES - len(shown)]:
            shown.append(f"row {first_row + row + 1:,} holds {problem.shown(row)}")

    def findings(self) -> Iterator[Finding]:
        """What is known of the source, and one for each problem: its rows are left out."""
        yield from self.known
        for (code, column), count in self.counts.items():
            key = (code, column)
            yield Finding(
                "left out",
                code,
                column,
                count,
                self.says[key],
                "These rows are not used.",
                tuple(self.examples[key]),
            )


def as_number_cell(text: str) -> str:
    """A number cell of a workbook, kept as 85e-1, as people write it; other text as it is."""
    return f"{float(text):.15g}" if _NUMBER_CELL.fullmatch(text) else text


def shown_value(value: object) -> str:
    """A value for a message: text in quotes, everything else as people write it."""
    if isinstance(value, str):  # control characters are shown, not sent to a terminal
        text = as_number_cell(value)
        return f"'{text}'" if text.isprintable() else repr(text)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else str(value)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first."""
    order = {"fatal": 0, "left out": 1, "kept": 2}
    return tuple(sorted(findings, key=lambda finding: order[finding.severity]))


def three_decimals(column: str, money: Floats) -> list[Finding]:
    """Money with three decimals and no more: thousands may have been taken for decimals."""
    thousandths = money * 1_000
    odd = np.abs(thousandths - 10 * np.rint(thousandths / 10)) > 1e-4
    if not odd.any() or (np.abs(thousandths - np.rint(thousandths)) > 1e-4).any():
        return []
    examples = tuple(f"{value:.3f}" for value in money[odd][:EXAMPLES])
    action = "They are read as decimals. If that is wrong, correct the table or give --decimal."
    count = int(odd.sum())
    return [Finding("kept", "three-decimals", column, count, THREE_DECIMALS, action, examples)]


def without_duplicates(ids: np.ndarray, rows: Floats, column: str) -> tuple[Mask, list[Finding]]:
    """Keep the first of identical rows; where rows of one id differ, none can be believed.

    Parameters
    ----------
    ids : array of shape (n,), str
    rows : array of shape (n, m)
        What is said of each.
    column : str
        Name of the ids, for findings.
    """
    _, first, group, counts = np.unique(
        ids.astype(str), return_index=True, return_inverse=True, return_counts=True
    )
    repeated = counts[group] > 1
    differs = (rows != rows[first[group]]).any(axis=1)
    conflicting = np.isin(group, group[differs])
    is_first = np.zeros(len(rows), dtype=bool)
    is_first[first] = True
    copies = repeated & ~conflicting & ~is_first
    findings = []
    for code, mask, says, action in (
        (
            "duplicate",
            copies,
            "the same row again",
            "The first of each is used, the copies are not.",
        ),
        (
            "conflicting-duplicate",
            conflicting,
            "rows of one id that say different things",
            "None of them is used; keep one row an id.",
        ),
    ):
        if mask.any():
            examples = tuple(f"id {name}" for name in dict.fromkeys(ids[mask][:50]))
            findings.append(
                Finding(
                    "left out", code, column, int(mask.sum()), says, action, examples[:EXAMPLES]
                )
            )
    return ~(copies | conflicting), findings
