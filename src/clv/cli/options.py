"""Options that several commands share."""

from typing import Annotated

import typer

__all__ = ["HorizonDays", "ObservationDays", "TableOption"]

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
