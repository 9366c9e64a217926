"""`clv score`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.cli.options import TableOption
from clv.cli.show import JsonOption, print_json, rows_done, say
from clv.schema import DEFAULT_TABLE
from clv.settings import Settings, load_settings

if TYPE_CHECKING:
    from clv.bundle import Predictor

__all__ = ["ModelVersion", "predictor_of", "score"]

ModelVersion = Annotated[
    str | None, typer.Option(help="Version of the model. Default: the champion.")
]


def predictor_of(settings: Settings, version: str | None) -> "Predictor":
    """The model of a version, or the champion."""
    from clv.bundle import Predictor
    from clv.registry import open_registry

    registry = open_registry(settings)
    number = version or registry.champion()
    return Predictor.load(registry.bundle(number), version=number)


def score(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Activity table: a file or a database URL.")
    ],
    output: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")],
    table_name: TableOption = DEFAULT_TABLE,
    model_version: ModelVersion = None,
    level: Annotated[
        float,
        # The range of clv.bundle, which would cost every command its import.
        typer.Option(
            min=0.5,
            max=0.99,
            help="Share of customers whose spend their interval shall hold, 0.5 to 0.99.",
        ),
    ] = 0.9,
    on_invalid: Annotated[
        Literal["stop", "blank"],
        typer.Option(help="A row that cannot be scored: an error, or a row without a prediction."),
    ] = "stop",
    as_json: JsonOption = False,
) -> None:
    """Predict every customer of a table, in its order.

    Writes id, monetary_30, expected_increment, p_return, low, high, score_bin, in_support and
    model_version, a row for each row read. The output appears when it is complete; a failure leaves
    what was there before.

    From low to high is the shortest interval of the spend by day 30 that holds the level. Most
    customers never ride again, so the mean, monetary_30, can lie above it.

    Example: `clv score customers.csv --output predictions.csv`
    """
    from clv.data.sources import open_source
    from clv.scoring import score as score_source

    predictor = predictor_of(load_settings(), model_version)
    with open_source(source, table_name) as opened, rows_done("scored", opened.count()) as done:
        started = time.perf_counter()
        scored = score_source(
            opened, predictor, output, level=level, on_invalid=on_invalid, on_rows=done
        )
        seconds = time.perf_counter() - started
    if as_json:
        print_json({"output": str(output), "model_version": predictor.version, "scored": scored})
        return
    say(f"{scored.rows:,} rows to {output} with version {predictor.version} in {seconds:.1f} s")
    if scored.blank:
        say(f"{scored.blank:,} of them could not be scored and have no prediction")
    say(
        f"Out of support: {scored.out_of_support:,} (fewer than "
        f"{predictor.surroundings.needed} training customers were like them)"
    )
    say(
        f"Expected spend by day {predictor.window.horizon_days}: {scored.expected_spend:,.0f}, "
        f"of which still to come: {scored.expected_increment:,.0f}"
    )
