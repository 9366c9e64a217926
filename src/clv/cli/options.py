"""Options that several commands share."""

from typing import Annotated

import typer

from clv.errors import UsageError
from clv.schema import Window

__all__ = [
    "HorizonDays",
    "JobsOption",
    "MasterOption",
    "ObservationDays",
    "RawOption",
    "SeedOption",
    "TableOption",
    "window_of",
]

TableOption = Annotated[
    str,
    typer.Option(
        "--table", help="Table to read, where the source holds tables; schema.table works."
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
