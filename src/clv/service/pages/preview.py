"""The beginning of an uploaded list, before it is judged: its rows, and what is taken for what."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from clv.errors import DataError
from clv.schema import DEFAULT_TABLE
from clv.service.judging import from_query, suffix_of, unusable
from clv.service.pages.rendering import part
from clv.service.schemas import WINDOW
from clv.service.worker import worker_of

if TYPE_CHECKING:
    from clv.data.preview import Preview

__all__ = ["preview"]

_MEMORY = "256MB"
_MOST_COLUMNS = 30
_LONGEST = 60  # characters of a cell, and of a name that is one
# Words that columns are often named with; the names that are understood anyway come first.
_COLUMNS = ("id", *(column.name for column in WINDOW.features))
_WORDS = dict(
    zip(
        _COLUMNS,
        (
            r"id|customer|passenger",
            r"recen|last|day",
            r"freq|rides|trips|count",
            r"mone|spen|amount|revenue|value",
        ),
        strict=True,
    )
)
_MEANINGS = dict(
    zip(
        _COLUMNS,
        (
            "Passenger id",
            f"Day of the last ride (1 to {WINDOW.observation_days})",
            f"Rides in the first {WINDOW.observation_days} days",
            f"Money spent in the first {WINDOW.observation_days} days",
        ),
        strict=True,
    )
)


class _PreviewIn(BaseModel):
    name: str = Field(default="", max_length=255)
    sheet: str = Field(default="", max_length=255)
    decimal: Literal[".", ","] | None = None


@dataclass(frozen=True, slots=True)
class _Taken:
    """What is taken for a needed column: `known` by its name, else a guess or nothing."""

    name: str
    meaning: str
    known: str
    chosen: str


async def preview(request: Request) -> Response:
    """The first rows of the beginning of a list, as HTML to be put into the page."""
    asked = from_query(_PreviewIn, request.query_params.multi_items())
    uploads = worker_of(request).uploads
    async with uploads.kept(request, suffix_of(asked.name)) as path:

        def look() -> "Preview":
            # As in `judging`: these wait for the first list.
            from clv.data.numbers import NumberFormat  # noqa: PLC0415
            from clv.data.preview import preview as look_at  # noqa: PLC0415

            return look_at(
                path,
                asked.sheet or DEFAULT_TABLE,
                window=WINDOW,
                numbers=NumberFormat(asked.decimal),
                memory_limit=_MEMORY,
            )

        try:
            found = await uploads.run(look)
        except DataError as error:
            raise unusable(error, path) from None
    from clv.data.conform import btyd_problem  # noqa: PLC0415 - `look` imported it

    places = [k for k, name in enumerate(found.columns) if len(name) <= _LONGEST][:_MOST_COLUMNS]
    columns = [found.columns[place] for place in places]
    foreign = btyd_problem("This list", columns, WINDOW)
    taken = _taken(found.matched, [] if foreign else columns)
    text = part(
        "preview.html",
        found=found,
        columns=columns,
        rows=[[_shortened(row[place]) for place in places] for row in found.rows],
        taken=taken,
        meanings={one.chosen: one.meaning for one in taken if one.chosen},
        foreign=foreign,
        problem=_without_options(found.problem or ""),
        decimal=asked.decimal or "",
    )
    return HTMLResponse(text)


def _taken(matched: Mapping[str, str | None], columns: Sequence[str]) -> list[_Taken]:
    """What is known by its name, and a guess for the rest; each column at most once."""
    free = [column for column in columns if column not in matched.values()]
    taken = []
    for name, known in matched.items():
        words = re.compile(_WORDS[name], re.IGNORECASE)
        guess = next((column for column in free if words.search(column)), "")
        chosen = known or guess
        free = [column for column in free if column != chosen]
        taken.append(_Taken(name, _MEANINGS[name], known or "", chosen))
    return taken


def _without_options(problem: str) -> str:
    """A problem without the sentence about options of the command line: the page has a choice."""
    option = problem.find("--")
    return problem if option < 0 else problem[: problem.rfind(". ", 0, option) + 1]


def _shortened(cell: str) -> str:
    return cell if len(cell) <= _LONGEST else cell[:_LONGEST] + "…"
