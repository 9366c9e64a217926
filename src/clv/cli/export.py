"""`clv export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from clv.cli.environment import load_settings
from clv.cli.scoring import LevelOption, ModelVersion, predictor_of
from clv.cli.show import note, summary_of
from clv.errors import UsageError
from clv.window import DEFAULT_TABLE

__all__ = ["app"]

app = typer.Typer(help="Export the champion, as SQL.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `sql` a command of its own, though it is the only one."""


@app.command()
def sql(
    output: Annotated[
        Path | None, typer.Option(help="Script to write. Default: printed.", show_default=False)
    ] = None,
    dialect: Annotated[
        Literal["duckdb", "postgres", "spark", "bigquery", "snowflake"],
        typer.Option(help="SQL dialect of the warehouse."),
    ] = "duckdb",
    table: Annotated[
        str, typer.Option("--table", help="Activity table in the warehouse.")
    ] = DEFAULT_TABLE,
    model_version: ModelVersion = None,
    level: LevelOption = 0.9,
) -> None:
    """Write the champion as SQL, to score inside a warehouse.

    The script creates three small tables (the cells of the model) and the view clv_predictions,
    with one row per row of the activity table. Its predictions equal those of `clv score`, before
    rounding; a row with a value out of range has none.

    Example: `clv export sql --dialect postgres --output champion.sql`
    """
    from importlib.util import find_spec

    if find_spec("sqlglot") is None:
        raise UsageError("SQL needs sqlglot, not installed here. Install clv[features].")
    from clv.files import write_text
    from clv.scoring.warehouse import sql_script

    script = sql_script(
        predictor_of(load_settings(), model_version), dialect, table=table, level=level
    )
    if output is None:
        print(script)  # noqa: T201 - for a pipe; rich would wrap it
        return
    write_text(output, script)
    note(f"{len(script):,} characters of SQL for {dialect}")
    summary_of(output)(str(output))
