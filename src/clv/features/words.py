"""Words in a log: states of a ride and kinds of a row."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Group", "Words", "gives_back", "kinds_of", "states_of"]

# Beginnings of words, with _ for whatever stands between them.
_NOT_TAKEN = re.compile(
    r"(^|_)(cancel|fail|reject|expire|declin|den(y|ied)|abort|void|abandon|error|refund|revers|"
    r"charge_?back|no_?show|time(d)?_?out|not_|un(finished|fulfilled|paid|successful)|incomplete|pending|"
    r"request|schedul|accept|assign|search|in_progress|ongoing|started|booked|waiting|draft|new($|_))"
)
_COMPLETED = re.compile(
    r"^(trip_|ride_|order_)?(complete|finish|done|success|succeed|deliver|fulfil|paid|settled|"
    r"closed|captured|ended|dropped_off|ok$|shipped|partially_refund)"
)
_REFUNDS = re.compile(r"(^|_)(refund|charge_?back|revers|credit_note|return(s|ed)?($|_))")
_GIVEN_BACK = re.compile(r"(^|_)(refund|charge_?back|revers)")

Treatment = Literal["counts", "left out", "refund", "unknown"]


@dataclass(frozen=True, slots=True)
class Words:
    """Words of a user's own, beside the built-in ones, in any case.

    Attributes
    ----------
    cancelled : sequence of str
        States of rides that did not take place: they are left out.
    refunds : sequence of str
        Kinds of rows that are money given back: they count negatively.
    completed : sequence of str
        States of rides that took place.
    """

    cancelled: Sequence[str] = ()
    refunds: Sequence[str] = ()
    completed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Values of a column that are treated alike, each with its rows.

    Attributes
    ----------
    treatment : {'counts', 'left out', 'refund', 'unknown'}
    values : tuple of (str, int)
        As an engine writes them: trimmed, in lower case.
    known : bool
        Whether their meaning is known.
    """

    treatment: Treatment
    values: tuple[tuple[str, int], ...]
    known: bool = True

    @property
    def rows(self) -> int:
        """All rows of the group."""
        return sum(rows for _, rows in self.values)

    def listed(self, most: int = 12) -> str:
        """Each value with its rows, for people."""
        shown = [f"{value or '(empty)'} {rows:,}" for value, rows in self.values[:most]]
        more = len(self.values) - len(shown)
        return ", ".join(shown) + (f" and {more:,} others" if more else "")


def states_of(values: Sequence[tuple[str, int]], words: Words) -> list[Group]:
    """What becomes of each state of a ride.

    A state that is not known counts unless the column has states known to mean a completed ride.
    """
    cancelled, completed = _lower(words.cancelled), _lower(words.completed)

    def treatment(value: str) -> Treatment:
        if value in completed:
            return "counts"
        if value in cancelled:
            return "left out"
        joined = _joined(value)
        if not value or _COMPLETED.search(joined):
            return "counts"
        return "left out" if _NOT_TAKEN.search(joined) else "unknown"

    return _grouped(values, treatment)


def kinds_of(values: Sequence[tuple[str, int]], words: Words) -> list[Group]:
    """What becomes of each kind of a row."""
    refunds = _lower(words.refunds)

    def treatment(value: str) -> Treatment:
        return "refund" if value in refunds or _REFUNDS.search(_joined(value)) else "counts"

    return _grouped(values, treatment)


def gives_back(state: str) -> bool:
    """Whether a state says that the money of a ride was given back."""
    return _GIVEN_BACK.search(_joined(state)) is not None


def _grouped(
    values: Sequence[tuple[str, int]], treatment: Callable[[str], Treatment]
) -> list[Group]:
    ordered = sorted(values, key=lambda one: (-one[1], one[0]))
    found: dict[Treatment, list[tuple[str, int]]] = {}
    for value, rows in ordered:
        found.setdefault(treatment(value), []).append((value, rows))
    return [Group(name, tuple(members)) for name, members in found.items()]


def _lower(words: Sequence[str]) -> set[str]:
    return {word.strip().lower() for word in words}


def _joined(value: str) -> str:
    return re.sub(r"[\s_-]+", "_", value)
