"""`clv segment` and `clv lift`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.cli.options import (
    DecimalOption,
    RawOption,
    TableOption,
    ThousandsOption,
    number_format,
)
from clv.cli.scoring import ModelVersion, predictor_of
from clv.cli.show import JsonOption, note, print_json, say, table
from clv.errors import UsageError
from clv.schema import DEFAULT_TABLE
from clv.settings import load_settings

if TYPE_CHECKING:
    from clv.campaign.verdict import Estimate, Evaluation

__all__ = ["lift", "segment"]

Level = Annotated[float, typer.Option(help="Of every interval, 0.5 to 0.99.")]


def segment(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="List of passengers: a file or a database URL.")
    ],
    margin: Annotated[float, typer.Option(help="Share of the spend that is earned, as 0.25.")],
    cost: Annotated[float, typer.Option(help="Of the campaign for each passenger.")],
    assumed_lift: Annotated[
        float | None,
        typer.Option(
            "--lift",
            help="Share by which the campaign is assumed to raise what is still to come: 0.1 for a "
            "tenth more. Without it the verdict speaks of value, not of effect.",
        ),
    ] = None,
    level: Level = 0.9,
    power: Annotated[
        float, typer.Option(help="Probability with which the hold-out shall find the lift.")
    ] = 0.8,
    detect_lift: Annotated[
        float | None,
        typer.Option(help="Lift that the hold-out shall find. Default: --lift, or the least."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="What a column is called there, as recency_7=last_day; repeatable."),
    ] = None,
    on_invalid: Annotated[
        Literal["stop", "skip"],
        typer.Option(help="A row that cannot be used: an error, or left out and counted."),
    ] = "stop",
    output: Annotated[
        Path | None,
        typer.Option(help="File for the chosen passengers with the value to bid: .csv, .parquet."),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many of the best to choose. Default: those of the highest profit."
        ),
    ] = None,
    cap: Annotated[
        float | None,
        typer.Option(help="Highest increment that counts as value. Default: 99% lie below."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Page with the pictures to write.")] = None,
    table_name: TableOption = DEFAULT_TABLE,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    model_version: ModelVersion = None,
    raw: RawOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether a campaign for these passengers is worth it, for whom, and how sure that is.

    'worth it' where even the low end of the profit's interval is above 0, 'not worth it' where the
    high end is below, else 'not enough evidence'. The interval is of the segment's mean: the more
    passengers, the narrower.

    Example: `clv segment list.csv --margin 0.25 --cost 2.5`
    """
    from clv.campaign.chosen import chosen
    from clv.campaign.offer import Campaign
    from clv.campaign.page import write_page
    from clv.campaign.segment import Segment
    from clv.campaign.verdict import evaluate
    from clv.data.customers import id_names, read_customers
    from clv.data.sources import open_source
    from clv.scoring import write_table

    settings = load_settings()
    campaign = Campaign(margin, cost, assumed_lift, level, power, detect_lift)
    predictor = predictor_of(settings, model_version)
    renamed = _renamed(column or [])
    numbers = number_format(decimal, thousands)
    with open_source(source, table_name, ids=id_names(renamed), numbers=numbers) as opened:
        customers = read_customers(opened, predictor.window, renamed=renamed, on_invalid=on_invalid)
    predictions = predictor.predict(customers.activity, level=level)
    found = evaluate(predictions, predictor, campaign)
    for finding in customers.findings:
        note(str(finding))
    if output is not None:
        members = Segment(predictions, predictor.calibration)
        count = found.best.customers if best is None else best
        listed = chosen(customers.ids, members, campaign, count, cap=cap)
        write_table(listed, output, raw=raw)
        note(f"{count:,} chosen passengers to {output}")
    if html is not None:
        write_page(found, customers, predictor.version, settings.currency, html)
        note(f"Page: {html}")
    if as_json:
        print_json(
            {
                "model_version": predictor.version,
                "rows_read": customers.rows_read,
                "findings": customers.findings,
                "evaluation": found,
            }
        )
        return
    _show(found, settings.currency)


def lift(
    treated: Annotated[
        str, typer.Argument(metavar="TREATED", help="Those who got the campaign, with outcomes.")
    ],
    control: Annotated[
        str, typer.Argument(metavar="CONTROL", help="Those who were held out, with outcomes.")
    ],
    level: Level = 0.9,
    table_name: TableOption = DEFAULT_TABLE,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    model_version: ModelVersion = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate what a campaign did, once the outcomes of both groups of a hold-out are known.

    Both are activity tables with the spend by the horizon, as `clv validate` reads. Who was in
    which group must have been drawn by lot.

    Example: `clv lift treated.csv control.csv`
    """
    from clv.campaign.holdout import estimate_lift
    from clv.data.checks import read_history
    from clv.data.sources import open_source

    numbers = number_format(decimal, thousands)
    predictor = predictor_of(load_settings(), model_version)
    groups = []
    for source in (treated, control):
        with open_source(source, table_name, numbers=numbers) as opened:
            history = read_history(opened, predictor.window, to_train=False)
        for finding in history.findings:
            note(f"{opened.name}: {finding}")
        came = history.outcome - history.activity.monetary
        groups.append((came, predictor.predict(history.activity).expected_increment))
    found = estimate_lift(groups[0], groups[1], level=level)
    if as_json:
        print_json({"model_version": predictor.version, "lift": found})
        return
    say(
        f"Lift {found.lift:+.1%}, {found.level:.0%} interval {found.low:+.1%} to {found.high:+.1%} "
        f"({found.treated:,} treated, {found.control:,} held out)"
    )
    if found.low <= 0 <= found.high:
        say("No effect cannot be ruled out: the interval holds 0.")


def _renamed(columns: Iterable[str]) -> dict[str, str]:
    renamed = {}
    for column in columns:
        name, _, there = column.partition("=")
        if not name or not there:
            raise UsageError(
                f"--column {column}: expected a name that is needed, '=' and the column that has "
                "it, as in --column recency_7=last_day."
            )
        renamed[name] = there
    return renamed


def _show(found: "Evaluation", currency: str) -> None:
    from clv.campaign.verdict import probability_in_words

    unit = f" {currency}" if currency else ""

    def money(estimate: "Estimate", form: str = ",.2f") -> tuple[str, str]:
        between = f"{estimate.low:{form}} to {estimate.high:{form}}{unit}"
        return f"{estimate.mean:{form}}{unit}", between

    say(f"{found.verdict.capitalize()} ({found.n:,} passengers)")
    level = found.expected_increment.level
    both = found.all_customers
    times = f"{both.times:.1f} times that of all" if both.times is not None else ""
    table(
        "",
        ("", "expected", f"{level:.0%} interval"),
        [
            ("increment a head", *money(found.expected_increment)),
            ("increment in total", *money(found.total_increment, ",.0f")),
            ("profit", *money(found.expected_profit, ",.0f")),
            ("worth it with probability", probability_in_words(found.probability_worth_it), ""),
            (
                "break-even cost a head",
                f"{found.break_even_cost:,.2f}{unit}",
                f"cautious {found.break_even_cost_cautious:,.2f}{unit}",
            ),
            ("least lift that pays", _share(found.minimum_lift), "cautious "
             + _share(found.minimum_lift_cautious)),
            ("ride again", f"{found.returning:.1%}", f"all passengers {both.returning:.1%}"),
            ("beside all passengers", times, ""),
        ],
    )  # fmt: skip
    tenth = found.concentration[0]
    say(f"The best tenth carries {tenth.value:.0%} of the expected increment.")
    best = found.best
    say(
        f"Highest expected profit with the best {best.customers:,} ({best.share:.0%}): "
        f"{best.profit:,.0f}{unit}, {best.low:,.0f} to {best.high:,.0f}."
        if best.customers
        else "No depth is expected to earn anything: nobody is worth the cost."
    )
    if found.enough is not None:
        say(f"About {found.enough:,} passengers like these would be enough evidence.")
    elif found.verdict == "not enough evidence":
        say("No number of passengers like these would be enough: it is too near to break-even.")
    table(
        "",
        ("kind", "passengers", "of the value", "return", "amount if so"),
        [
            (
                kind.name,
                f"{kind.customers:,}",
                f"{kind.share_of_value:.0%}",
                _share(kind.p_return),
                "–" if kind.amount is None else f"{kind.amount:,.2f}{unit}",
            )
            for kind in found.quadrants
        ],
    )
    if plan := found.holdout:
        say(
            f"Hold-out to find a lift of {plan.lift:.1%} with {plan.power:.0%} power: "
            + (
                f"{plan.control:,} of {found.n:,} get no campaign."
                if plan.enough
                else f"{plan.needed:,} passengers are needed; these are too few."
            )
        )
    for warning in found.warnings:
        note(f"Note: {warning}")


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
