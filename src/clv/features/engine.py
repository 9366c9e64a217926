"""What an engine must be able to do, and what it says of a table that it opened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ibis

from clv.data.findings import Finding
from clv.data.numbers import NumberFormat

__all__ = ["Engine", "Opened", "told"]


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
    findings : sequence of Finding
        What was done to read it.
    """

    name: str
    view: str
    types: Mapping[str, str | None]
    findings: Sequence[Finding] = ()

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
        ids: Sequence[str],
        numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
    ) -> Opened:
        """Make a table readable; ids of text files are read as they are written."""

    def view(self, name: str, expression: ibis.Table) -> None:
        """Give an expression a name, without computing it."""

    def fetch(self, expression: ibis.Table) -> list[dict[str, Any]]:
        """Compute a few rows."""

    def keep(self, name: str, expression: ibis.Table) -> None:
        """Compute an expression, once, under a name: clv_ and, in words, what it is."""

    def write(self, expression: ibis.Table, output: str) -> None:
        """Compute an expression into an output, whole or not at all."""


def told(engine: Engine, say: Callable[[str], None]) -> Engine:
    """The same engine, which says what it is at before each step that may take long."""
    return _Told(engine, say)


class _Told:
    def __init__(self, engine: Engine, say: Callable[[str], None]) -> None:
        self._engine, self._say = engine, say
        self.view, self.fetch = engine.view, engine.fetch

    def open(
        self,
        location: str,
        table: str,
        *,
        ids: Sequence[str],
        numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
    ) -> Opened:
        self._say(f"Reading {location}")
        return self._engine.open(location, table, ids=ids, numbers=numbers)

    def keep(self, name: str, expression: ibis.Table) -> None:
        self._say(f"Computing {name.removeprefix('clv_').replace('_', ' ')}")
        self._engine.keep(name, expression)

    def write(self, expression: ibis.Table, output: str) -> None:
        self._say(f"Writing {output}")
        self._engine.write(expression, output)
