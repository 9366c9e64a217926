"""The beginning of an uploaded list, before it is judged: its rows, and what is taken for what."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from clv.data.sources import open_source
from clv.errors import DataError
from clv.schema import ID_NAMES
from clv.service.judging import suffix_of, unusable
from clv.service.pages.rendering import part
from clv.service.schemas import WINDOW
from clv.service.worker import worker_of

__all__ = ["meanings", "preview"]

_ROWS = 5
_LONGEST = 60  # characters of a cell
_MOST_COLUMNS = 30
# Words that a column is often named with, by feature; the names that are understood come first.
_WORDS = {
    "id": r"id|customer|passenger",
    "recency": r"recen|last|day",
    "frequency": r"freq|rides|trips|count",
    "monetary": r"mone|spen|amount|revenue|value",
}


@dataclass(frozen=True, slots=True)
class Needed:
    """A column that a list needs: its name, its meaning in words, and the names it may have."""

    name: str
    meaning: str
    names: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What is taken for a needed column: `known` by its name, else a guess or nothing."""

    needed: Needed
    known: str
    chosen: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The columns of a list, its first rows as text, and what is taken for what."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    taken: Sequence[Taken]

    def meaning_of(self, column: str) -> str:
        """What a column is taken for, in words; empty if for nothing."""
        return next((one.needed.meaning for one in self.taken if one.chosen == column), "")


def meanings() -> tuple[Needed, ...]:
    """The columns that a list needs, in words."""
    days = WINDOW.observation_days
    words = (
        f"Day of the last ride (1 to {days})",
        f"Rides in the first {days} days",
        f"Money spent in the first {days} days",
    )
    return (
        Needed("id", "Passenger id", ID_NAMES, _WORDS["id"]),
        *(
            Needed(column.name, meaning, column.names, _WORDS[feature])
            for column, meaning, feature in zip(
                WINDOW.features, words, ("recency", "frequency", "monetary"), strict=True
            )
        ),
    )


async def preview(request: Request) -> Response:
    """The first rows of the beginning of a list, as HTML to be put into the page."""
    suffix = suffix_of(request.query_params.get("name", ""))
    uploads = worker_of(request).uploads
    async with uploads.kept(request, suffix) as path:
        try:
            found = await uploads.run(_read, path)
        except DataError as error:
            raise unusable(error, path) from None
    return HTMLResponse(part("preview.html", preview=found))


def _read(path: Path) -> Preview:
    with open_source(path, memory_limit="256MB") as source:
        columns = list(source.columns)[:_MOST_COLUMNS]
        first = next(iter(source.batches(columns, rows=_ROWS)), None)
    rows = [] if first is None else first.slice(0, _ROWS).to_pylist()
    cells = [[_text(row[column]) for column in columns] for row in rows]
    return Preview(columns, cells, taken_from(columns))


def taken_from(columns: Sequence[str]) -> tuple[Taken, ...]:
    """Match the needed columns with those there are, each at most once."""
    needed = meanings()
    known = [next((name for name in one.names if name in columns), "") for one in needed]
    free = [column for column in columns if column not in known]
    taken = []
    for one, name in zip(needed, known, strict=True):
        likely = (column for column in free if re.search(one.words, column, re.IGNORECASE))
        chosen = name or next(likely, "")
        free = [column for column in free if column != chosen]
        taken.append(Taken(one, name, chosen))
    return tuple(taken)


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return "".join(itertools.islice(text, _LONGEST)) + ("…" if len(text) > _LONGEST else "")
