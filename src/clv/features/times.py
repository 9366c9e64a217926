"""Instants of a log, whatever notation they are written in: one expression for every engine."""

from collections.abc import Sequence

import ibis
from ibis import Table, Value

from clv.data.dates import MONTHS, NOTATIONS, YEAR_FIRST, Notation, Shape
from clv.data.placeholders import Span

__all__ = [
    "DAY_US",
    "INSTANT",
    "as_text",
    "has_zone",
    "instant",
    "shapes",
    "shapes_of",
    "timestamp_micros",
    "unix_micros",
    "within",
]

DAY_US = 86_400_000_000
#: A point in time, in Ibis' words.
INSTANT = "timestamp('UTC', 6)"
# Of the year 1, and of the year 9999.
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
_ZONE = r":\d{2}[^+-]*(?:Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)$"


@ibis.udf.scalar.builtin(signature=((INSTANT,), "int64"))  # type: ignore[untyped-decorator]
def unix_micros(time: Value) -> Value:
    """Microseconds since 1970, as engines store an instant.

    Spark's function of this name; other engines are taught it. Ibis' own differences of instants
    are cut off to seconds and days in other ways by other engines, and count calendar fields, which
    takes DuckDB fifty times as long.
    """


@ibis.udf.scalar.builtin(signature=(("int64",), INSTANT))  # type: ignore[untyped-decorator]
def timestamp_micros(micros: Value) -> Value:
    """The instant so many microseconds after 1970; Spark's function, as `unix_micros`."""


def within(time: Value, spans: Sequence[Span]) -> Value:
    """Whether an instant is within one of the spans; never null."""
    micros = unix_micros(time)
    found = ibis.literal(False)
    for span in spans:
        found = found | micros.between(span.begins, span.ends - 1)
    return found.fill_null(False)


def as_text(time: Value) -> Value | None:
    """What is written, of text and numbers; None of what the source already has as an instant."""
    kind = time.type()
    if kind.is_string():
        return time.strip().nullif("")
    if kind.is_floating():
        time = (time - time % 1).try_cast("int64")  # null of NaN
    return time.cast("string") if kind.is_numeric() else None


def shapes(text: Value, table: Table) -> Table:
    """Values by the notations that fit them: `fits`, a digit for each; `rows`, and an `example`."""
    fits = ibis.literal("")
    for notation in NOTATIONS:
        fits = fits + text.re_search(notation.pattern).ifelse("1", "0")
    alone = "".join("1" if one is YEAR_FIRST else "0" for one in NOTATIONS)
    fits = ibis.ifelse(text.re_search(YEAR_FIRST.pattern), alone, fits)
    marked = table.filter(text.notnull()).select(fits=fits, text=text)
    return marked.group_by("fits").agg(rows=marked.count(), example=marked.text.max())


def shapes_of(fetched: Sequence[dict[str, object]]) -> list[Shape]:
    """The rows of `shapes`."""
    return [
        Shape(
            tuple(
                one for one, fits in zip(NOTATIONS, str(row["fits"]), strict=True) if fits == "1"
            ),
            int(str(row["rows"])),
            str(row["example"]),
        )
        for row in fetched
    ]


def has_zone(time: Value) -> Value:
    """Whether a text says its zone; false of everything else."""
    if not time.type().is_string():
        return ibis.literal(False)
    return time.strip().re_search(_ZONE).fill_null(False)


def instant(time: Value, notation: Notation = YEAR_FIRST) -> Value:
    """A point in time of the calendar; null where it cannot be read. Without a zone it is UTC."""
    text = as_text(time)
    if text is None:
        return _of_calendar(time.cast(INSTANT))
    part = {
        name: text.re_extract(notation.pattern, position).nullif("")
        for position, name in enumerate(notation.parts, start=1)
    }
    return _counted(part, notation.unit_us) if notation.unit_us else _composed(part)


def _counted(part: dict[str, Value], unit_us: int) -> Value:
    micros = part["count"].cast("int64") * unit_us
    if "fraction" in part:
        micros = micros + part["fraction"].rpad(6, "0").cast("int64").coalesce(0)
    return _of_calendar(timestamp_micros(micros))


def _of_calendar(moment: Value) -> Value:
    """Null before the year 1 and after 9999, as of an infinity: no program can name such a day."""
    return ibis.ifelse(unix_micros(moment).between(_FIRST_US, _LAST_US), moment, None)


def _composed(part: dict[str, Value]) -> Value:
    """Where the pattern does not match there is no day, and what is null anywhere is null."""
    year, month = part.get("year"), part.get("month")
    if year is None:
        short = part["short_year"]
        year = ibis.ifelse(short < "69", "20", "19") + short
    if month is None:
        name = part["month_name"].lower()
        month = name.cases(*((name, str(number)) for number, name in enumerate(MONTHS, start=1)))
    date = year + "-" + month.lpad(2, "0") + "-" + part["day"].lpad(2, "0")
    if "hour" not in part:
        return date.try_cast(INSTANT)
    hour = part["hour"]
    if "half" in part:
        on_the_clock = hour.cast("int64") % 12 + (part["half"].lower() == "p").ifelse(12, 0)
        hour = ibis.ifelse(part["half"].isnull(), hour, on_the_clock.cast("string"))
    clock = (
        hour.coalesce("0").lpad(2, "0")
        + ":"
        + _two_digits(part, "minute")
        + ":"
        + _two_digits(part, "second")
    )
    if "fraction" in part:
        clock = clock + "." + part["fraction"].coalesce("0")
    if "zone" in part:
        zone = part["zone"].coalesce("+").replace(":", "") + "0000"
        clock = clock + zone.substr(0, 3) + ":" + zone.substr(3, 2)
    return (date + " " + clock).try_cast(INSTANT)


def _two_digits(part: dict[str, Value], name: str) -> Value:
    return part[name].coalesce("0").lpad(2, "0") if name in part else ibis.literal("00")
