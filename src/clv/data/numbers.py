"""Numbers as people write them: `1,234`, `1.234,50`, `1 234,5`, `€23.11`, `(12.50)`, `5.2-`, `5,-`.

The column decides. A notation is a decimal mark and a thousands separator; a column of text is read
in the one notation that all of its numbers fit. If they fit both decimal marks, as `1,234` does, or
no single one, nothing is read: the user has to say. The patterns are for RE2 and Java alike, so
that Arrow, DuckDB and Spark decide by the same rule.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv.data.findings import Finding
from clv.errors import DataError, UsageError
from clv.schema import Floats, Mask

__all__ = [
    "AMBIGUOUS",
    "CURRENCY",
    "EXPONENT",
    "NOTATIONS",
    "PLAIN",
    "REPLACED",
    "Decimal",
    "Notation",
    "NumberCounts",
    "NumberFormat",
    "Thousands",
    "count_numbers",
    "decide",
    "to_floats",
]

Decimal = Literal[".", ","]
Thousands = Literal[",", ".", "space", "'", "none"]

#: Characters that are other forms of one that is understood, as pattern and replacement.
REPLACED = (
    (r"[\x{a0}\x{2007}\x{2009}\x{202f}\t]", " "),
    (r"[\x{2019}\x{2bc}]", "'"),
    (r"[\x{2212}\x{2013}\x{2014}]", "-"),
    (r"[.,]-{1,2}\B", ""),  # 5,- is 5: the dash stands for no cents
)
#: A currency: a symbol, a code of ISO 4217, or a local abbreviation. It is replaced by '¤'.
CURRENCY = r"(?:US|CA|AU|NZ|HK|R|S)?\p{Sc}|[A-Z]{3}|kr\.?|Kr\.?|Kč|zł|Ft|lei|Fr\.|Rs\.?|руб\.?"
#: What every program writes, and Arrow, DuckDB and Spark read without help.
PLAIN = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
#: The same with an exponent: its minus is not the sign.
EXPONENT = r"^[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+$"
#: One separator before exactly three digits: thousands or decimals, nobody can tell.
AMBIGUOUS = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"


@dataclass(frozen=True)  # without slots: it is sent to executors
class Notation:
    """How numbers are written: a decimal mark, and a thousands separator or ''."""

    decimal: str
    thousands: str

    def __str__(self) -> str:
        """A number in this notation, and what its marks mean."""
        groups = (
            f"{'space' if self.thousands == ' ' else repr(self.thousands)} for thousands, "
            if self.thousands and self.thousands != "'"
            else "apostrophe for thousands, "
            if self.thousands
            else ""
        )
        return f"1{self.thousands}234{self.decimal}50: {groups}'{self.decimal}' as decimal mark"

    @property
    def pattern(self) -> str:
        """What a number in this notation matches, its currency replaced by '¤'."""
        mark, group = (f"[{one}]" for one in (self.decimal, self.thousands or " "))
        grouped = rf"[1-9]\d{{0,2}}(?:{group}\d{{3}})+|" if self.thousands else ""
        if self.thousands == ",":  # 1,23,456 in India
            grouped += r"[1-9]\d?(?:,\d{2})+,\d{3}|"
        number = rf"(?:(?:{grouped}\d+)(?:{mark}\d*)?|{mark}\d+)"
        exponent = r"(?:\d+\.?\d*|\.\d+)" if self.decimal == "." else r"\d+"
        return (
            rf"^(?:[+-]? ?¤? ?{number} ?¤?|¤ ?[+-] ?{number}"
            rf"|¤? ?{number}(?: ?¤?-|- ?¤)|¤? ?\( ?¤? ?{number} ?¤? ?\) ?¤?"
            rf"|[+-]?{exponent}[eE][+-]?\d+)$"
        )


#: Every notation that is understood, those without thousands first.
NOTATIONS = tuple(
    Notation(decimal, thousands)
    for thousands in ("", ",", ".", " ", "'")
    for decimal in (".", ",")
    if decimal != thousands
)


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """What the user says of the numbers of a table; None where the columns decide.

    Attributes
    ----------
    decimal : {'.', ','}, optional
    thousands : {',', '.', 'space', "'", 'none'}, optional

    Raises
    ------
    UsageError
        If both are the same.
    """

    decimal: Decimal | None = None
    thousands: Thousands | None = None

    def __post_init__(self) -> None:
        if self.decimal is not None and self.decimal == self.thousands:
            raise UsageError(
                f"--decimal and --thousands are both '{self.decimal}'; expected two different ones."
            )

    def allows(self, notation: Notation) -> bool:
        """Whether the user left this notation possible."""
        thousands = {"space": " ", "none": ""}.get(self.thousands or "", self.thousands)
        return self.decimal in (None, notation.decimal) and thousands in (None, notation.thousands)

    @property
    def given(self) -> bool:
        """Whether the user said anything."""
        return self.decimal is not None or self.thousands is not None


@dataclass(frozen=True)  # without slots: it is made on executors
class NumberCounts:
    """The values of a column by the notations that they fit.

    Attributes
    ----------
    numbers : int
        Values that fit any notation.
    plain : int
        Of these, the ones that every program reads.
    fits : mapping of Notation to int
    dot, comma, either : str or None
        An example of a number whose decimal mark must be '.', must be ',', or may be both.
    currencies : tuple of str
        The first and the last by name.
    """

    numbers: int = 0
    plain: int = 0
    fits: Mapping[Notation, int] = field(default_factory=dict)
    dot: str | None = None
    comma: str | None = None
    either: str | None = None
    currencies: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As text, to be sent from an executor."""
        # Not by `asdict`, which finds no fields in a class that was sent by value.
        fits = [self.fits.get(one, 0) for one in NOTATIONS]
        examples = (self.dot, self.comma, self.either)
        return json.dumps([self.numbers, self.plain, fits, *examples, list(self.currencies)])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        numbers, plain, fits, dot, comma, either, currencies = json.loads(text)
        by_notation = dict(zip(NOTATIONS, fits, strict=True))
        return cls(numbers, plain, by_notation, dot, comma, either, tuple(currencies))

    def __add__(self, other: Self) -> "NumberCounts":
        """Both parts of a column."""
        currencies = sorted({*self.currencies, *other.currencies})
        return NumberCounts(
            self.numbers + other.numbers,
            self.plain + other.plain,
            {one: self.fits.get(one, 0) + other.fits.get(one, 0) for one in NOTATIONS},
            self.dot or other.dot,
            self.comma or other.comma,
            self.either or other.either,
            tuple(dict.fromkeys((*currencies[:1], *currencies[-1:]))),
        )


def decide(
    column: str, counts: NumberCounts, told: NumberFormat
) -> tuple[Notation | None, list[Finding]]:
    """The notation of a column, and what to say of it.

    Returns
    -------
    notation : Notation or None
        None if every number is plain, or there is none.
    findings : list of Finding

    Raises
    ------
    DataError
        If the numbers are in several currencies, in two notations, or could be in either.
    """
    if counts.numbers == 0 or (counts.plain == counts.numbers and counts.dot and not told.given):
        return None, []
    if len(counts.currencies) > 1:
        first, last = counts.currencies
        raise DataError(
            f"Column '{column}' holds amounts in several currencies, for example {first} and "
            f"{last}. Convert them to one currency first, or split the table."
        )
    allowed = [one for one in NOTATIONS if told.allows(one)]
    notation = max(allowed, key=lambda one: counts.fits.get(one, 0))  # the first of equals
    if not told.given:
        fitting = [one for one in allowed if counts.fits.get(one) == counts.numbers]
        _require_one(column, counts, fitting)
        notation = fitting[0]
    if notation == NOTATIONS[0] and counts.plain == counts.numbers:
        return None, []
    return notation, [_read_as(column, notation, counts)]


def _require_one(column: str, counts: NumberCounts, fitting: list[Notation]) -> None:
    options = "Say with --decimal (and --thousands) how its numbers are written"
    if not fitting:
        shown = " and ".join(f"'{one}'" for one in (counts.dot, counts.comma) if one)
        raise DataError(
            f"Column '{column}' holds numbers in two notations, for example {shown}. "
            f"{options}, or correct it."
            if counts.dot and counts.comma
            else f"Column '{column}' mixes thousands separators. {options}, or correct it."
        )
    if counts.either and len({one.decimal for one in fitting}) > 1:
        text = counts.either
        mark = "," if "," in text else "."
        raise DataError(
            f"Column '{column}' can be read in two ways: '{text}' is "
            f"{text.replace(mark, '')} if '{mark}' separates thousands, and "
            f"{text.replace(mark, '.')} if it is the decimal mark; no value in the column "
            f"decides. {options}: --decimal {'.' if mark == ',' else ','} for the first, "
            f"--decimal {mark} for the second."
        )


def _read_as(column: str, notation: Notation, counts: NumberCounts) -> Finding:
    currency = f"; currency {counts.currencies[0]}" if counts.currencies else ""
    return Finding(
        "kept",
        "notation",
        column,
        counts.numbers,
        f"read as {notation}{currency}",
        "If that is wrong, give --decimal and --thousands.",
    )


def count_numbers(array: pa.Array) -> NumberCounts:
    """Count the values of one batch of text by the notations that they fit."""
    distinct = pc.value_counts(array.drop_null())
    values, times = distinct.field("values"), np.asarray(distinct.field("counts"))
    text = _unified(values)
    marked = _marked(text)
    fits = {one: _matches(marked, one.pattern) for one in NOTATIONS}
    dot, comma = (
        np.logical_or.reduce([fits[one] for one in NOTATIONS if one.decimal == decimal])
        for decimal in (".", ",")
    )
    number = dot | comma
    pointed = _matches(marked, "[.,]")
    currencies = sorted(set(_currencies(text.filter(pa.array(number)))))
    return NumberCounts(
        int(times[number].sum()),
        int(times[_matches(values, PLAIN)].sum()),
        {one: int(times[mask].sum()) for one, mask in fits.items()},
        _first(text, dot & ~comma),
        _first(text, comma & ~dot),
        _first(text, dot & comma & pointed),
        tuple(dict.fromkeys((*currencies[:1], *currencies[-1:]))),
    )


def to_floats(array: pa.Array, notation: Notation) -> tuple[Floats, Mask]:
    """Text as float64, NaN where it is empty or no number, and which of it is no number."""
    text = _unified(array)
    marked = _marked(text)
    fits, exponent = pc.match_substring_regex(marked, notation.pattern), _matches(text, EXPONENT)
    digits = pc.replace_substring_regex(marked, f"[^0-9{notation.decimal}]", "")
    digits = pc.replace_substring(digits, notation.decimal, ".")
    digits = pc.if_else(pa.array(exponent), text, digits)
    values = np.array(
        pc.cast(pc.if_else(fits, digits, None), pa.float64()).to_numpy(zero_copy_only=False)
    )
    negative = _matches(text, "[(-]") & ~exponent
    values[negative] *= -1
    return values, np.asarray(pc.is_valid(array)) & ~np.asarray(pc.fill_null(fits, False))


def _unified(array: pa.Array) -> pa.Array:
    for pattern, replacement in REPLACED:
        array = pc.replace_substring_regex(array, pattern, replacement)
    return pc.utf8_trim_whitespace(array)


def _marked(text: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(text, CURRENCY, "¤")


def _matches(text: pa.Array, pattern: str) -> Mask:
    matches = pc.fill_null(pc.match_substring_regex(text, pattern), False)
    return np.asarray(matches, dtype=bool)


def _first(text: pa.Array, rows: Mask) -> str | None:
    return str(text[int(np.argmax(rows))]) if rows.any() else None


def _currencies(text: pa.Array) -> Iterator[str]:
    """What is left of each number without its digits and marks, and is no exponent."""
    left = pc.replace_substring_regex(text, r"^[+-]?[\d.]+[eE][-+\d]+$|[-+()\d., ']", "")
    yield from (one for one in pc.unique(left).to_pylist() if one)
