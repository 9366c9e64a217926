"""`clv score` and `clv validate`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.cli.options import TableOption
from clv.cli.show import JsonOption, figure, note, print_json, rows_done, say, shown, table
from clv.schema import DEFAULT_TABLE
from clv.settings import Settings, load_settings

if TYPE_CHECKING:
    from clv.bundle import Predictor

__all__ = ["score", "validate"]

ModelVersion = Annotated[
    str | None, typer.Option(help="Version of the model. Default: the champion.")
]


def _predictor(settings: Settings, version: str | None) -> "Predictor":
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
    on_invalid: Annotated[
        Literal["stop", "blank"],
        typer.Option(help="A row that cannot be scored: an error, or a row without a prediction."),
    ] = "stop",
    as_json: JsonOption = False,
) -> None:
    """Predict every customer of a table, in its order.

    Writes id, monetary_30, expected_increment and model_version, a row for each row read. The
    output appears when it is complete; a failure leaves what was there before.

    Example: `clv score customers.csv --output predictions.csv`
    """
    from clv.data.sources import open_source
    from clv.scoring import score as score_source

    predictor = _predictor(load_settings(), model_version)
    with open_source(source, table_name) as opened, rows_done("scored", opened.count()) as done:
        started = time.perf_counter()
        scored = score_source(opened, predictor, output, on_invalid=on_invalid, on_rows=done)
        seconds = time.perf_counter() - started
    if as_json:
        print_json({"output": str(output), "model_version": predictor.version, "scored": scored})
        return
    say(f"{scored.rows:,} rows to {output} with version {predictor.version} in {seconds:.1f} s")
    if scored.blank:
        say(f"{scored.blank:,} of them could not be scored and have no prediction")
    say(
        f"Expected spend by day {predictor.window.horizon_days}: {scored.expected_spend:,.0f}, "
        f"of which still to come: {scored.expected_increment:,.0f}"
    )


def validate(
    data: Annotated[str, typer.Option(help="Customers whose outcome is known: a file or a URL.")],
    table_name: TableOption = DEFAULT_TABLE,
    model_version: ModelVersion = None,
    html: Annotated[
        Path | None, typer.Option(help="Page to write. Default: `validation.html` in CLV_HOME.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare predictions with what happened, beside the baselines, overall and by decile.

    Example: `clv validate --data last_month.csv`
    """
    from clv.data.checks import read_history
    from clv.data.sources import open_source
    from clv.validation import validate as compare
    from clv.validation import write_page

    settings = load_settings()
    predictor = _predictor(settings, model_version)
    with open_source(data, table_name) as source:
        history = read_history(source, predictor.window, to_train=False)
    result = compare(history, predictor)
    page = html or settings.root / "validation.html"
    write_page(result, page)
    if as_json:
        print_json(result)
        return
    for finding in history.findings:
        note(f"  {finding.severity}: {finding}")
    if result.trained_on_these:
        note("The model was fitted on these very rows, so it looks better here than it is.")
    table(
        f"{result.rows:,} customers of {result.source}",
        ("model", "MSE", "less the model's (95%)", "MAE", "bias", "Gini total", "Gini increment",
         "decile MAPE"),
        [
            (
                line.model,
                f"{line.mse:.1f}",
                f"{line.to_champion.mean:+.1f} ({line.to_champion.low:+.1f} to "
                f"{line.to_champion.high:+.1f})"
                if position
                else "",
                f"{line.mae:.2f}",
                figure(line.bias, "+z.1%"),
                figure(line.gini_total, "z.3f"),
                figure(line.gini_increment, "z.3f"),
                figure(line.decile_mape, ".1%"),
            )
            for position, line in enumerate(result.lines)
        ],
    )  # fmt: skip
    say("")
    table(
        "By decile of the prediction",
        ("decile", "customers", "predicted", "actual"),
        [
            (str(row.decile), f"{row.customers:,}", f"{row.predicted:.2f}", f"{row.actual:.2f}")
            for row in result.deciles
        ],
    )
    say("")
    table(
        "Largest misses",
        ("id", "recency", "frequency", "money so far", "predicted", "actual"),
        [
            (
                miss.id,
                f"{miss.recency:.0f}",
                f"{miss.frequency:.0f}",
                f"{miss.monetary:.2f}",
                f"{miss.predicted:.2f}",
                f"{miss.actual:.2f}",
            )
            for miss in result.misses
        ],
    )
    say("")
    say(f"Picture: {shown(page)}")
