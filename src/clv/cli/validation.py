"""`clv validate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.environment import load_settings
from clv.cli.options import DecimalOption, TableOption, ThousandsOption, number_format
from clv.cli.scoring import ModelVersion, predictor_of
from clv.cli.show import JsonOption, figure, note, print_json, say, show_findings, shown, table
from clv.window import DEFAULT_TABLE

if TYPE_CHECKING:
    from clv.evaluation import Validation

__all__ = ["validate"]


def validate(
    data: Annotated[str, typer.Option(help="Customers whose outcome is known: a file or a URL.")],
    table_name: TableOption = DEFAULT_TABLE,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    model_version: ModelVersion = None,
    html: Annotated[
        Path | None, typer.Option(help="Page to write. Default: `validation.html` in CLV_HOME.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare predictions, and the baselines, with actuals.

    Prints errors, deciles, the coverage of the intervals by score bin, the calibration of the
    probability of return, and the largest misses; the page shows all of it in charts.

    Example: `clv validate --data last_month.csv`
    """
    from clv.data.checks import read_history
    from clv.data.sources import open_source
    from clv.evaluation import validate as compare
    from clv.evaluation import write_page

    settings, numbers = load_settings(), number_format(decimal, thousands)
    predictor = predictor_of(settings, model_version)
    with open_source(data, table_name, numbers=numbers) as source:
        history = read_history(source, predictor.window, to_train=False)
    result = compare(history, predictor)
    page = html or settings.root / "validation.html"
    write_page(result, page)
    if as_json:
        print_json(result)
        return
    show_findings(history.findings)
    if result.trained_on_these:
        note("The model was fitted on these very rows, so it looks better here than it is.")
    for show in (_lines, _deciles, _coverage, _returning, _misses):
        show(result)
        say("")
    say(f"Picture: {shown(page)}")


def _lines(result: "Validation") -> None:
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
    top = result.capture_increment
    say(
        f"The best tenth by prediction holds {figure(top.top, '.0%')} of the spend still to come; "
        f"the best possible, {figure(top.ideal_top, '.0%')}. {result.share_in_support:.1%} of "
        "the customers have enough similar training customers."
    )


def _deciles(result: "Validation") -> None:
    table(
        "By decile of the prediction; to come: by decile of the expected increment",
        ("decile", "customers", "predicted", "actual", "to come, predicted", "actual"),
        [
            (
                str(row.decile),
                f"{row.customers:,}",
                f"{row.predicted:.2f}",
                f"{row.actual:.2f}",
                f"{later.predicted:.2f}",
                f"{later.actual:.2f}",
            )
            for row, later in zip(result.deciles, result.deciles_increment, strict=True)
        ],
    )


def _coverage(result: "Validation") -> None:
    levels = result.coverage
    table(
        "Outcomes in their intervals, by score bin ("
        + ", ".join(f"{one.level:.0%}: {one.covered:.1%} overall" for one in levels)
        + ")",
        (
            "score bin",
            "customers",
            "never return",
            *(head for one in levels for head in (f"in {one.level:.0%}", "width")),
        ),
        [
            (
                str(bins[0].score_bin),
                f"{bins[0].customers:,}",
                f"{bins[0].never_returning:.1%}",
                *(
                    cell
                    for row in bins
                    for cell in (
                        f"{row.covered:.1%}",
                        "a point" if row.is_point else f"{row.width:.2f}",
                    )
                ),
            )
            for bins in zip(*(one.bins for one in levels), strict=True)
        ],
    )


def _returning(result: "Validation") -> None:
    returning = result.returning
    table(
        f"Who rode again: Brier {returning.brier:.4f} (the same for everybody: "
        f"{returning.brier_base_rate:.4f}), AUC {figure(returning.auc, '.3f')}",
        ("tenth", "customers", "predicted", "returned", "±"),
        [
            (
                str(row.group),
                f"{row.customers:,}",
                f"{row.predicted:.1%}",
                f"{row.happened:.1%}",
                f"{row.standard_error:.1%}",
            )
            for row in returning.deciles
        ],
    )


def _misses(result: "Validation") -> None:
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
