"""What an engine must be able to do, and what it says of a table that it opened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import ibis

from clv.data.findings import Finding
from clv.data.numbers import NumberFormat

__all__ = ["Engine", "Opened", "with_progress"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A table that an engine can read.

    Attributes
    ----------
    name : str
        Where it is, without a password.
    view : str
        What it is called in the engine.
    types : mapping of str to str
        Its columns, each with its type in Ibis' words; None of a type that is of no use here.
    is_text : bool
        Whether it is a text file, where an id of digits is a number.
    findings : sequence of Finding
        What was done to read it.
    repeated : mapping of str to sequence of int
        Names that several columns have, with their positions.
    """

    name: str
    view: str
    types: Mapping[str, str | None]
    is_text: bool
    findings: Sequence[Finding] = ()
    repeated: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def table(self) -> ibis.Table:
        """The table, to build expressions from."""
        return ibis.table({name: kind or "string" for name, kind in self.types.items()}, self.view)


class Engine(Protocol):
    """Runs what is compiled from the definition; DuckDB here, Spark there."""

    def open(
        self,
        location: str,
        table: str,
        *,
        text: Sequence[str],
        numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
    ) -> Opened:
        """Make a table readable; columns of text files named in `text` as they are written."""

    def view(self, name: str, expression: ibis.Table) -> None:
        """Give an expression a name, without computing it; what had the name before loses it."""

    def fetch(self, expression: ibis.Table) -> list[dict[str, Any]]:
        """Compute a few rows."""

    def keep(self, name: str, expression: ibis.Table) -> None:
        """Compute an expression, once, under a name: clv_ and, in words, what it is."""

    def write(self, expression: ibis.Table, output: str) -> None:
        """Compute an expression into an output, whole or not at all."""


def with_progress(engine: Engine, on_progress: Callable[[str], None]) -> Engine:
    """The same engine, which names each step that may take long before it begins."""
    return _WithProgress(engine, on_progress)


class _WithProgress:
    def __init__(self, engine: Engine, on_progress: Callable[[str], None]) -> None:
        self._engine, self._on_progress = engine, on_progress
        self.view, self.fetch = engine.view, engine.fetch

    def open(
        self,
        location: str,
        table: str,
        *,
        text: Sequence[str],
        numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
    ) -> Opened:
        self._on_progress(f"Reading {location}")
        return self._engine.open(location, table, text=text, numbers=numbers)

    def keep(self, name: str, expression: ibis.Table) -> None:
        self._on_progress(f"Computing {name.removeprefix('clv_').replace('_', ' ')}")
        self._engine.keep(name, expression)

    def write(self, expression: ibis.Table, output: str) -> None:
        self._on_progress(f"Writing {output}")
        self._engine.write(expression, output)
