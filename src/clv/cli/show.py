"""How the command line speaks: tables and progress for people, JSON for machines."""

import dataclasses
import getpass
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from clv.clock import utc_now
from clv.errors import UsageError
from clv.files import is_stream
from clv.printable import printable

if TYPE_CHECKING:
    from clv.data.findings import Finding

__all__ = [
    "JsonOption",
    "Stages",
    "ask",
    "audited",
    "complain",
    "figure",
    "note",
    "print_json",
    "rows_done",
    "say",
    "show_findings",
    "summary_of",
    "table",
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead.")]


def _console(stream: Any) -> Console:
    # Without a terminal there is no width to fit into; rich would cut tables at 80 columns.
    return Console(file=stream, width=None if stream.isatty() else 200, highlight=False)


def say(text: str) -> None:
    """A line of the answer, on standard output."""
    _console(sys.stdout).print(printable(text, keep="\n"), markup=False, soft_wrap=True)


def note(text: str) -> None:
    """Something beside the answer, on standard error."""
    safe = printable(text, keep="\n")
    _console(sys.stderr).print(safe, markup=False, soft_wrap=True, style="dim")


def audited(action: str, result: str) -> None:
    """Who changed what and when, on standard error, for whoever collects it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid {os.getuid()}"
    note(f"audit: {utc_now():%Y-%m-%dT%H:%M:%SZ} {action} by {user}: {result}")


def complain(text: str) -> None:
    """An error, on one line, on standard error."""
    console = _console(sys.stderr)
    console.print("clv: ", end="", style="bold red")
    # Words by spaces and ends of lines: what else counts as white space is spelt out.
    console.print(printable(re.sub(r"[ \n]+", " ", text.strip())), markup=False, soft_wrap=True)


def summary_of(output: str | Path) -> Callable[[str], None]:
    """How to say what became of an output: beside it, if it goes to a device or a pipe itself."""
    return note if is_stream(Path(output)) else say


def ask(question: str) -> None:
    """Go on only where a person at a terminal says so.

    Raises
    ------
    UsageError
        Where there is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is no terminal to answer on; say so with --yes.")
    if not typer.confirm(printable(question), err=True):
        note("Nothing was changed.")
        raise typer.Exit(1)


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    mark: int = -1,
    text: Sequence[str] = (),
) -> None:
    """Print a table; the first column and those in `text` to the left, numbers to the right.

    On a narrow terminal the first column, which names the row, is always whole: text wraps, and
    columns that do not fit follow in a second table under the same names. Row `mark` stands out.
    """
    console = _console(sys.stdout)
    rows = [[printable(cell) for cell in row] for row in rows]
    blocks = _blocks(columns, rows, text, console.width)
    for number, block in enumerate(blocks):
        drawn = Table(
            title=title if number == 0 else None,
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
        )
        for position, least in block:
            left = position == 0 or columns[position] in text
            drawn.add_column(
                escape(columns[position]),
                justify="left" if left else "right",
                no_wrap=not left and least == _widest(columns, rows, position),
                min_width=least,
                overflow="fold",
            )
        for position, row in enumerate(rows):
            cells = [escape(row[column]) for column, _ in block]
            drawn.add_row(*cells, style="bold green" if position == mark else None)
        if number:
            console.print()
        console.print(drawn)


_GAP = 2  # between two columns
_LEAST_TEXT = 16  # text that wraps stays readable from this width


def _blocks(
    columns: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[str], width: int
) -> list[list[tuple[int, int]]]:
    """Columns that fit side by side, as positions with their least widths; each names its rows."""
    widths = [_widest(columns, rows, position) for position in range(len(columns))]
    names = min(widths[0], max(width // 2, _LEAST_TEXT))
    blocks: list[list[tuple[int, int]]] = [[(0, names)]]
    left = width - names
    for position in range(1, len(columns)):
        least = widths[position]
        if columns[position] in text:
            least = min(least, max(_LEAST_TEXT, cell_len(columns[position])))
        if left < least + _GAP and len(blocks[-1]) > 1:
            blocks.append([(0, names)])
            left = width - names
        least = min(least, max(left - _GAP, 1))  # a column wider than the terminal wraps
        blocks[-1].append((position, least))
        left -= least + _GAP
    return blocks


def _widest(columns: Sequence[str], rows: Sequence[Sequence[str]], position: int) -> int:
    return max(cell_len(columns[position]), *(cell_len(row[position]) for row in rows), 0)


def figure(value: float, form: str) -> str:
    """A number for a table; a dash where it could not be computed."""
    return format(value, form) if math.isfinite(value) else "–"


def show_findings(findings: "Iterable[Finding]") -> None:
    """What is odd about the data, beside the answer."""
    for finding in findings:
        note(f"  {finding.severity}: {finding}")


def print_json(value: Any) -> None:
    """The answer as JSON; what is not a number becomes null, as JSON has no NaN."""
    print(json.dumps(_plain(value), indent=2))  # noqa: T201 - rich would wrap it


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


class Stages:
    """Shows stages with a bar each on a terminal, and with a line each elsewhere."""

    def __init__(self) -> None:
        console = _console(sys.stderr)
        self._bar = (
            RichProgress(
                TextColumn("{task.description:<22}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
            )
            if console.is_terminal
            else None
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "Stages":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def start(self, stage: str, steps: int) -> None:
        """A stage begins."""
        if self._bar:
            self._task = self._bar.add_task(stage, total=steps)
        else:
            note(f"{stage}: {steps} steps")

    def step(self) -> None:
        """A step is done."""
        if self._bar and self._task is not None:
            self._bar.advance(self._task)


class _Rate(ProgressColumn):
    """Rows a second, once there are some."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


@contextmanager
def rows_done(what: str, total: int | None) -> Iterator[Any]:
    """A bar with rows, rate and time left, on a terminal; gives a function to tell of more rows."""
    console = _console(sys.stderr)
    with RichProgress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda rows: bar.advance(task, rows)


def shown(path: Path) -> str:
    """A path as the user would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
