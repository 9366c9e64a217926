"""How dates and times are written: the whole column decides, and what is ambiguous is refused.

A notation is a pattern whose groups are the parts of an instant. Python reads it here, engines in
`clv.features.times`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from clv.errors import DataError, UsageError

__all__ = [
    "DATED_NAMES",
    "FAMILIES",
    "MONTHS",
    "NOTATIONS",
    "REGISTERED_NAMES",
    "YEAR_FIRST",
    "Notation",
    "Shape",
    "choose",
    "notation_of",
    "shapes_of",
]

#: Names that a column with the date of registration may have.
REGISTERED_NAMES = ("registered_at", "registration_date", "registered_on", "signed_up_at")
#: Columns of tables that hold dates.
DATED_NAMES = (*REGISTERED_NAMES, "as_of")

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# Of an English name only: 'marraskuu' is no March, and a French column is not read in part.
_REST_OF_NAME = r"(?i:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?\.?"
# Of each directive of strptime the part that it holds, its pattern, and the pattern beside a
# digit that belongs to another part. DuckDB knows no more than nine groups.
_DIRECTIVES = {
    "Y": ("year", r"([12]\d{3})", r"([12]\d{3})"),
    "y": ("short_year", r"(\d{2})", r"(\d{2})"),
    "m": ("month", r"(0?[1-9]|1[0-2])", r"(0[1-9]|1[0-2])"),
    "d": ("day", r"(0?[1-9]|[12]\d|3[01])", r"(0[1-9]|[12]\d|3[01])"),
    "b": ("month_name", rf"((?i:{'|'.join(MONTHS)})){_REST_OF_NAME}", ""),
    "H": ("hour", r"([01]?\d|2[0-3])", r"([01]\d|2[0-3])"),
    "I": ("hour", r"(0?[1-9]|1[0-2])", r"(0[1-9]|1[0-2])"),
    "M": ("minute", r"([0-5]?\d)", r"([0-5]\d)"),
    "S": ("second", r"([0-5]?\d)", r"([0-5]\d)"),
    "f": ("fraction", r"(\d{1,6})\d*", r"(\d{1,6})\d*"),
    "p": ("half", r"([AaPp])\.?[Mm]\.?", ""),
    "z": ("zone", r"(?:Z|([+-](?:0\d|1[0-3])(?::?[0-5]\d)?))", ""),
    "a": ("", r"[A-Za-z]+\.?", ""),
    "%": ("", "%", "%"),
}
_SAME = {"B": "b", "h": "b", "A": "a", "e": "d", "l": "I", "k": "H"}
_SHORT = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y"}
_TIME_OF_DAY = {"hour", "minute", "second"}
# What may follow a day: hours and minutes, seconds, AM or PM, a zone.
_CLOCK = (
    r"(?:(?:[T ]|, ?)", "%H", ":", "%M", r"(?::", "%S", r"(?:[.,]", "%f", r")?)?(?: ?", "%p",
    r")?(?: ?(?:UTC|GMT|", "%z", r"))?)?",
)  # fmt: skip
_COMPACT_CLOCK = (r"(?:[T ]?", "%H", "%M", "(?:", "%S", ")?)?")
_SEPARATOR = r"[/.-]"


@dataclass(frozen=True, slots=True)
class Notation:
    """One way to write an instant.

    Attributes
    ----------
    name : str
        For people, as in 'day first'.
    pattern : str
        A regular expression for the whole text, the same in Python, RE2 and Java.
    parts : tuple of str
        What each group of the pattern holds.
    option : str
        The value of --date-format that chooses it.
    unit_us : int
        Microseconds in one unit, of numbers that count from 1970; 0 of all others.
    """

    name: str
    pattern: str
    parts: tuple[str, ...]
    option: str
    unit_us: int = 0

    def read(self, text: str) -> datetime | None:
        """The instant, in UTC, or None; without a zone it is UTC."""
        found = re.search(self.pattern, text.strip())
        if found is None:
            return None
        part = {
            name: value for name, value in zip(self.parts, found.groups(), strict=True) if value
        }
        try:
            return self._counted(part) if self.unit_us else _composed(part)
        except (ValueError, OverflowError):
            return None

    def _counted(self, part: Mapping[str, str]) -> datetime:
        micros = int(part["count"]) * self.unit_us + int(part.get("fraction", "0").ljust(6, "0"))
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def _composed(part: Mapping[str, str]) -> datetime:
    short = part.get("short_year", "")
    year = part.get("year") or ("20" if short < "69" else "19") + short
    month = part.get("month") or MONTHS.index(part["month_name"].lower()) + 1
    hour = int(part.get("hour", 0))
    if "half" in part:
        hour = hour % 12 + (12 if part["half"] in "Pp" else 0)
    zone = part.get("zone", "+00").replace(":", "") + "00"
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    return datetime(
        int(year), int(month), int(part["day"]), hour, int(part.get("minute", 0)),
        int(part.get("second", 0)), int(part.get("fraction", "0").ljust(6, "0")),
        timezone(-offset if zone[0] == "-" else offset),
    ).astimezone(UTC)  # fmt: skip


def _notation(name: str, option: str, *tokens: str) -> Notation:
    """A notation from directives, as %d, and patterns between them."""
    parts: list[str] = []
    pattern = ""
    for position, token in enumerate(tokens):
        if not token.startswith("%"):
            pattern += token
            continue
        around = tokens[max(position - 1, 0) : position] + tokens[position + 1 : position + 2]
        beside = any(other.startswith("%") for other in around)
        held, alone, tight = _DIRECTIVES[token[1:]]
        pattern += (tight if beside else alone) or alone
        parts += [held] if held else []
    return Notation(name, f"^{pattern}$", tuple(parts), option)


def _dates(name: str, option: str, *tokens: str) -> Notation:
    return _notation(name, option, *tokens, *_CLOCK)


def _epoch(name: str, option: str, digits: str, unit_us: int) -> Notation:
    pattern = f"^{digits}$"
    parts = ("count", "fraction")[: re.compile(pattern).groups]
    return Notation(name, pattern, parts, option, unit_us)


#: Year, month, day: what every other notation is converted to.
YEAR_FIRST = _dates("year first", "%Y-%m-%d", "%Y", _SEPARATOR, "%m", _SEPARATOR, "%d")
#: Notations that look alike stand together: only the values of the column tell them apart.
FAMILIES: tuple[tuple[Notation, ...], ...] = (
    (YEAR_FIRST,),
    (
        _dates("day first", "%d/%m/%Y", "%d", _SEPARATOR, "%m", _SEPARATOR, "%Y"),
        _dates("month first", "%m/%d/%Y", "%m", _SEPARATOR, "%d", _SEPARATOR, "%Y"),
    ),
    (
        _dates("day first", "%d/%m/%y", "%d", _SEPARATOR, "%m", _SEPARATOR, "%y"),
        _dates("month first", "%m/%d/%y", "%m", _SEPARATOR, "%d", _SEPARATOR, "%y"),
        _dates("year first", "%y/%m/%d", "%y", _SEPARATOR, "%m", _SEPARATOR, "%d"),
    ),
    (_dates("day and name of the month", "%d %b %Y", "%d", "[ -]?", "%b", "[ ,-]*", "%Y"),),
    (_dates("day and name of the month", "%d-%b-%y", "%d", "[ -]?", "%b", "[ -]*", "%y"),),
    (
        _dates(
            "name of the month and day", "%b %d, %Y",
            r"(?:[A-Za-z]+\.?,? )?", "%b", " ", "%d", ",? ", "%Y",
        ),
    ),
    (
        _notation(
            "digits of year, month, day", "%Y%m%d", "%Y", "%m", "%d", *_COMPACT_CLOCK, r"(?:\.0+)?"
        ),
    ),
    (_epoch("seconds since 1970", "epoch-s", r"(\d{9,10})(?:\.(\d{1,6})\d*)?", 1_000_000),),
    (_epoch("milliseconds since 1970", "epoch-ms", r"(\d{13})(?:\.\d*)?", 1_000),),
    (_epoch("microseconds since 1970", "epoch-us", r"(\d{16})(?:\.\d*)?", 1),),
    (_epoch("nanoseconds since 1970", "epoch-ns", r"(\d{16})\d{3}", 1),),
)  # fmt: skip
NOTATIONS = tuple(notation for family in FAMILIES for notation in family)
_CHOSEN_EPOCHS = {
    "epoch-s": (r"(-?\d{1,11})(?:\.(\d{1,6})\d*)?", 1_000_000),
    "epoch-ms": (r"(-?\d{1,14})(?:\.\d*)?", 1_000),
    "epoch-us": (r"(-?\d{1,17})(?:\.\d*)?", 1),
    "epoch-ns": (r"(-?\d{1,16})\d{3}", 1),
}


def notation_of(option: str, value: str) -> Notation:
    """The notation that a user names.

    Parameters
    ----------
    option : str
        The option of the command line, for errors.
    value : str
        As for strptime, '%m/%d/%Y %I:%M %p', or epoch-s, epoch-ms, epoch-us or epoch-ns. After a
        format without a time of day one may follow.

    Raises
    ------
    UsageError
        If a directive is not known or the format names no day.
    """
    if value in _CHOSEN_EPOCHS:
        digits, unit = _CHOSEN_EPOCHS[value]
        return _epoch(value, value, digits, unit)
    expected = "expected epoch-s, epoch-ms, or a format as for strptime, as in '%m/%d/%Y %I:%M %p'"
    spelled = value
    for short, long in _SHORT.items():
        spelled = spelled.replace(short, long)
    tokens = []
    for token in re.split(r"(%-?.?)", spelled):
        letter = token.removeprefix("%").removeprefix("-")
        if not token.startswith("%"):
            tokens += [re.escape(token)] if token else []
        elif (known := _SAME.get(letter, letter)) in _DIRECTIVES:
            tokens.append(f"%{known}")
        else:
            listed = ", ".join(f"%{name}" for name in _DIRECTIVES)
            raise UsageError(f"{option} {value!r}: {token!r} is unknown; expected one of {listed}.")
    chosen = _notation(value, value, *tokens)
    parts = set(chosen.parts)
    if len(parts) < len(chosen.parts) or not (
        "day" in parts and parts & {"month", "month_name"} and parts & {"year", "short_year"}
    ):
        raise UsageError(
            f"{option} {value!r}: {expected}, with day, month and year, each of them once."
        )
    if parts & _TIME_OF_DAY:
        return chosen
    return _dates(value, value, *tokens)


@dataclass(frozen=True, slots=True)
class Shape:
    """Values of a column that the same notations fit: how many there are, and one of them."""

    fits: tuple[Notation, ...]
    rows: int
    example: str


def shapes_of(texts: Iterable[str]) -> list[Shape]:
    """Count the values of a column by the notations that fit them."""
    rows: Counter[tuple[Notation, ...]] = Counter()
    examples: dict[tuple[Notation, ...], str] = {}
    for text in texts:
        bare = text.strip()
        if re.search(YEAR_FIRST.pattern, bare):
            fits: tuple[Notation, ...] = (YEAR_FIRST,)
        else:
            fits = tuple(one for one in NOTATIONS if re.search(one.pattern, bare))
        rows[fits] += 1
        examples[fits] = max(examples.get(fits, ""), bare)
    return [Shape(fits, count, examples[fits]) for fits, count in rows.items()]


def choose(column: str, shapes: Sequence[Shape], option: str | None = "--date-format") -> Notation:
    """The one notation of a column; that of ISO 8601 if nothing in it can be read.

    Parameters
    ----------
    column : str
        For errors, as in "column 'date' of 'rides.csv'".
    shapes : sequence of Shape
    option : str or None
        What names a notation on the command line.

    Raises
    ------
    DataError
        If the column holds two notations, or one that can be read in two ways.
    """
    dated = sorted((one for one in shapes if one.fits), key=lambda one: (-one.rows, one.example))
    if not dated:
        return YEAR_FIRST
    family = next(family for family in FAMILIES if dated[0].fits[0] in family)
    viable = [one for one in family if all(one in shape.fits for shape in dated)]
    if len(viable) == 1:
        return viable[0]
    if not viable:
        raise DataError(_two_notations(column, dated, option))
    example = dated[0].example
    readings = ", ".join(
        f"{moment:%-d %B %Y} if {one.name}"
        for one in viable
        if (moment := one.read(example)) is not None
    )
    decide = "Write dates as 2026-11-30."
    if option is not None:
        options = " or ".join(f"{option} '{_like(one, example)}'" for one in viable)
        decide = f"Say which is right with {options}."
    raise DataError(
        f"{column} can be read in {len(viable)} ways: '{example}' is {readings}. No value in the "
        f"column decides. {decide}"
    )


def _two_notations(column: str, dated: Sequence[Shape], option: str | None) -> str:
    """What contradicts: of each notation how many values, and one that shows it."""
    telling = sorted(dated, key=lambda one: len(one.fits))
    first = telling[0]
    second = next(one for one in telling if not set(one.fits) & set(first.fits))
    found = []
    for shape in (first, second):
        rows = sum(one.rows for one in dated if shape.fits[0] in one.fits)
        names = " or ".join(one.name for one in shape.fits)
        found.append((rows, f"{rows:,} written {names} ('{shape.example}')", shape))
    found.sort(key=lambda one: -one[0])
    choice = " or ".join(
        f"{option} '{_like(one, found[0][2].example)}'" for one in found[0][2].fits
    )
    decide = "Write all values in one notation, as 2026-11-30"
    if option is not None:
        decide += f", or read one of them and leave the others out, with {choice}"
    return f"{column} holds two notations: {found[0][1]} and {found[1][1]}. {decide}."


def _like(notation: Notation, example: str) -> str:
    """The option for a notation, with the separator of an example."""
    separator = re.search(_SEPARATOR, example)
    if separator is None or "/" not in notation.option:
        return notation.option
    return notation.option.replace("/", separator.group())
