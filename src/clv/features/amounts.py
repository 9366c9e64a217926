"""Numbers of a ride log that are text: the rule of `clv.data.numbers`, in Ibis for each engine."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import ibis
from ibis import Table, Value

from clv.data.findings import Finding
from clv.data.numbers import (
    CURRENCY,
    EXPONENT,
    NOTATIONS,
    PLAIN,
    REPLACED,
    Notation,
    NumberCounts,
    NumberFormat,
    decide,
)

if TYPE_CHECKING:
    from clv.features.engine import Engine

__all__ = ["amount", "notation_of_numbers"]


def notation_of_numbers(
    engine: "Engine", values: Value, column: str, told: NumberFormat
) -> tuple[Notation | None, list[Finding]]:
    """How the numbers of a column are written; what is no text is not looked at.

    Parameters
    ----------
    engine : Engine
    values : Value
        The column.
    column : str
        Its name in the log, for messages.
    told : NumberFormat

    Raises
    ------
    DataError
        As `clv.data.numbers.decide`.
    """
    if not values.type().is_string():
        return None, []
    row = engine.fetch(_counts(values))[0]
    currencies = dict.fromkeys(row[name] for name in ("first", "last") if row[name])
    counts = NumberCounts(
        int(row["numbers"] or 0),
        int(row["plain"] or 0),
        {one: int(row[f"fits_{place}"] or 0) for place, one in enumerate(NOTATIONS)},
        row["dot"],
        row["comma"],
        row["either"],
        tuple(currencies),
    )
    return decide(column, counts, told)


def amount(text: Value, notation: Notation) -> Value:
    """Text in a notation as float64; null where it is no number in it."""
    text = _unified(text)
    marked = _marked(text)
    digits = marked.re_replace(f"[^0-9{notation.decimal}]", "").replace(notation.decimal, ".")
    exponent = text.re_search(EXPONENT)
    number = ibis.ifelse(exponent, text, digits)
    value = ibis.ifelse(marked.re_search(notation.pattern), number, None).try_cast("float64")
    negative = ~exponent & (text.contains("-") | text.contains("("))
    return ibis.ifelse(negative, -value, value)


def _counts(column: Value) -> Table:
    text = _unified(column)
    table = column.as_table().select(raw=column.strip(), text=text, marked=_marked(text))
    fits = {one: table.marked.re_search(one.pattern) for one in NOTATIONS}
    dot = reduce(or_, (mask for one, mask in fits.items() if one.decimal == "."))
    comma = reduce(or_, (mask for one, mask in fits.items() if one.decimal == ","))
    marks = table.marked.contains(".") | table.marked.contains(",")
    left = table.text.re_replace(r"^[+-]?[\d.]+[eE][-+\d]+$|[-+()\d., ']", "").nullif("")
    return table.agg(
        numbers=_number(dot | comma),
        plain=_number(table.raw.re_search(PLAIN)),
        dot=table.text.min(where=dot & ~comma),
        comma=table.text.min(where=comma & ~dot),
        either=table.text.min(where=dot & comma & marks),
        first=left.min(where=dot | comma),
        last=left.max(where=dot | comma),
        **{f"fits_{place}": _number(fits[one]) for place, one in enumerate(NOTATIONS)},
    )


def _number(where: Value) -> Value:
    return where.fill_null(False).cast("int64").sum()


def _unified(text: Value) -> Value:
    for pattern, replacement in REPLACED:
        text = text.re_replace(pattern, replacement)
    return text.strip()


def _marked(text: Value) -> Value:
    return text.re_replace(CURRENCY, "¤")
