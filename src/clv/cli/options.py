"""Options that several commands share."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.errors import UsageError
from clv.window import Window

if TYPE_CHECKING:
    from clv.data.numbers import NumberFormat

__all__ = [
    "DecimalOption",
    "HorizonDays",
    "JobsOption",
    "MasterOption",
    "ObservationDays",
    "RawOption",
    "SeedOption",
    "TableOption",
    "ThousandsOption",
    "number_format",
    "window_of",
]

TableOption = Annotated[
    str,
    typer.Option(
        "--table",
        help="Table to read if the source holds several (schema.table works), or sheet of a "
        "workbook. Default for a workbook: the first sheet with ids.",
    ),
]
DecimalOption = Annotated[
    Literal[".", ","] | None,
    typer.Option(
        "--decimal",
        help="Decimal mark of the numbers in text columns. Default: each column decides, and one "
        "that can be read in two ways is refused.",
        show_default=False,
    ),
]
ThousandsOption = Annotated[
    Literal[",", ".", "space", "'", "none"] | None,
    typer.Option(
        "--thousands",
        help="Thousands separator of the numbers in text columns. Default: each column decides.",
        show_default=False,
    ),
]
ObservationDays = Annotated[
    int, typer.Option(min=1, help="Days after registration that are observed; names the columns.")
]
HorizonDays = Annotated[
    int, typer.Option(min=2, help="Days after registration until the outcome is known.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=2**32 - 1, help="Same seed, same result.")
]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Fits at a time.")]
RawOption = Annotated[
    bool,
    typer.Option(
        "--raw",
        help="In CSV: write text as it is. Default: an apostrophe before text that a spreadsheet "
        "would run as a formula.",
    ),
]
MasterOption = Annotated[
    str | None,
    typer.Option(
        help="With --engine spark: the cluster, as spark://host:7077, yarn, local[2], or "
        "sc://host:15002 for Spark Connect. Default: what spark-submit says."
    ),
]


def number_format(
    decimal: Literal[".", ","] | None, thousands: Literal[",", ".", "space", "'", "none"] | None
) -> "NumberFormat":
    """How the numbers of a table are written, as two options say.

    Raises
    ------
    UsageError
        If both are the same.
    """
    from clv.data.numbers import NumberFormat

    return NumberFormat(decimal, thousands)


def window_of(observation_days: int, horizon_days: int) -> Window:
    """The window that two options say.

    Raises
    ------
    UsageError
        Where the horizon does not lie beyond the observed days.
    """
    try:
        return Window(observation_days, horizon_days)
    except ValueError as error:
        raise UsageError(str(error)) from error
