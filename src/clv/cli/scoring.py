"""`clv score`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.cli.environment import load_settings
from clv.cli.options import (
    DecimalOption,
    MasterOption,
    RawOption,
    TableOption,
    ThousandsOption,
    number_format,
)
from clv.cli.show import JsonOption, print_json, rows_done, show_findings, summary_of
from clv.errors import UsageError
from clv.window import DEFAULT_PREDICTIONS, DEFAULT_TABLE

if TYPE_CHECKING:
    from clv.bundle import Predictor
    from clv.scoring import DatabaseTable
    from clv.settings import Settings

__all__ = ["LevelOption", "ModelVersion", "predictor_of", "score"]

ModelVersion = Annotated[
    str | None, typer.Option(help="Version of the model. Default: the champion.")
]

LevelOption = Annotated[
    float,
    # The range of clv.bundle, which would cost every command its import.
    typer.Option(
        min=0.5,
        max=0.99,
        help="Confidence level of the intervals, 0.5 to 0.99.",
    ),
]


def predictor_of(settings: "Settings", version: str | None) -> "Predictor":
    """The model of a version, or the champion."""
    from clv.bundle import Predictor
    from clv.registry import open_registry

    registry = open_registry(settings)
    number = version or registry.champion()
    return Predictor.load(registry.bundle(number), version=number)


def _target(output: str, table: str) -> "tuple[Path | DatabaseTable, str]":
    """Where to write, and how to say it without a password."""
    if "://" not in output:
        return Path(output), output
    from clv.scoring import DatabaseTable
    from clv.sql import database_url, shown

    return DatabaseTable(output, table), f"{shown(database_url(output))}, table {table}"


def score(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Activity table: a file or a database URL.")
    ],
    output: Annotated[
        str,
        typer.Option(help="File or table to write: a .csv or .parquet file, or a database URL."),
    ],
    table_name: TableOption = DEFAULT_TABLE,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    output_table: Annotated[
        str, typer.Option(help="Table to write if the output is a database.")
    ] = DEFAULT_PREDICTIONS,
    model_version: ModelVersion = None,
    level: LevelOption = 0.9,
    on_invalid: Annotated[
        Literal["stop", "blank"],
        typer.Option(help="A row that cannot be scored: an error, or a row without a prediction."),
    ] = "stop",
    engine: Annotated[
        Literal["local", "spark"], typer.Option(help="Engine: this machine, or Spark.")
    ] = "local",
    master: MasterOption = None,
    raw: RawOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict for every customer of a table, in the order of its rows.

    Writes id, monetary_30, expected_increment, p_return, low, high, score_bin, in_support and
    model_version, a row for each row read. The output appears when it is complete; a failure leaves
    what was there before. In a database each id has one row, the newest, and all are written in one
    transaction.

    On Spark, input and output must be within reach of its executors: Parquet, CSV or a table of the
    catalog in, a new folder of Parquet files out.

    low and high are the ends of the shortest interval of the spend by day 30 at this level. Most
    customers never ride again, so the mean, monetary_30, can lie above it.

    Example: `clv score customers.csv --output predictions.csv`
    """
    numbers = number_format(decimal, thousands)
    predictor = predictor_of(load_settings(), model_version)
    started = time.perf_counter()
    if engine == "spark":
        from clv.scoring.spark import score_on_spark

        where = output
        scored = score_on_spark(
            source,
            predictor,
            output,
            master=master,
            level=level,
            on_invalid=on_invalid,
            numbers=numbers,
        )
    else:
        if master is not None:
            raise UsageError(f"--master {master} without --engine spark. Add it, or leave it out.")
        from clv.data.sources import open_source
        from clv.scoring import score as score_source

        target, where = _target(output, output_table)
        with (
            open_source(source, table_name, numbers=numbers) as opened,
            rows_done("scored", opened.count()) as done,
        ):
            started = time.perf_counter()
            scored = score_source(
                opened, predictor, target, level=level, on_invalid=on_invalid, raw=raw, on_rows=done
            )
    seconds = time.perf_counter() - started
    tell = summary_of(output)
    if as_json:
        print_json({"output": where, "model_version": predictor.version, "scored": scored})
        return
    tell(
        f"{scored.rows:,} rows to {where} with version {predictor.version} in {seconds:.1f} s "
        f"({scored.rows / seconds:,.0f} a second)"
    )
    show_findings(scored.findings)
    if scored.blank:
        tell(f"{scored.blank:,} of them could not be scored and have no prediction")
    tell(
        f"Out of support: {scored.out_of_support:,} (fewer than {predictor.surroundings.needed} "
        "training customers were like them)"
    )
    tell(
        f"Expected spend by day {predictor.window.horizon_days}: {scored.expected_spend:,.0f}, "
        f"of which still to come: {scored.expected_increment:,.0f}"
    )
