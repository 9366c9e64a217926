"""`clv segment` and `clv lift`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.cli.environment import load_settings
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
from clv.window import DEFAULT_TABLE

if TYPE_CHECKING:
    from clv.campaign.verdict import Estimate, Evaluation

__all__ = ["lift", "segment"]

Level = Annotated[float, typer.Option(help="Confidence level of all intervals, 0.5 to 0.99.")]
# A list of fewer has no best tenth.
_TENTHS = 10


def segment(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="List of passengers: a file or a database URL.")
    ],
    margin: Annotated[
        float, typer.Option(help="Share of what a passenger spends that you keep, such as 0.25.")
    ],
    cost: Annotated[float, typer.Option(help="Campaign cost per passenger.")],
    assumed_lift: Annotated[
        float | None,
        typer.Option(
            "--lift",
            help="Share by which the campaign is assumed to raise further spend: 0.1 for 10%. "
            "Without it the answer is the lift at which the campaign pays.",
        ),
    ] = None,
    level: Level = 0.9,
    power: Annotated[
        float, typer.Option(help="Probability of detecting the lift with the hold-out group.")
    ] = 0.8,
    detect_lift: Annotated[
        float | None,
        typer.Option(
            help="Lift to detect with the hold-out group. Default: --lift, or that at break-even."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Name of a column in your list, such as recency_7=last_day; repeatable."),
    ] = None,
    on_invalid: Annotated[
        Literal["stop", "skip"],
        typer.Option(help="Rows that cannot be used: stop with an error, or skip and count them."),
    ] = "stop",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write the chosen passengers, ranked, with the value to bid to this file: .csv, "
            ".parquet."
        ),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of passengers to choose, the best first. Default: the number with the "
            "highest profit; without --lift, all of them.",
        ),
    ] = None,
    cap: Annotated[
        float | None,
        typer.Option(
            help="Highest further spend that counts as value. Default: 99% stay below it."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with charts to this file.")
    ] = None,
    table_name: TableOption = DEFAULT_TABLE,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    model_version: ModelVersion = None,
    raw: RawOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether a campaign for these passengers pays, for whom, and how certain that is.

    Without --lift: the lift from which it pays. With --lift: 'worth it' if even the low end of the
    profit's interval is above 0, 'not worth it' if the high end is below, otherwise 'not enough
    evidence'. The interval is that of the list's mean: more passengers make it narrower.

    Example: `clv segment list.csv --margin 0.25 --cost 2.5 --lift 0.1`
    """
    from clv.campaign.chosen import chosen, number_chosen
    from clv.campaign.offer import Campaign
    from clv.campaign.page import write_page
    from clv.campaign.segment import Segment
    from clv.campaign.verdict import document, evaluate
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
        count = number_chosen(found) if best is None else best
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
                "evaluation": document(found),
            }
        )
        return
    _show(found, settings.currency)


def lift(
    treated: Annotated[
        str,
        typer.Argument(metavar="TREATED", help="Customers who got the campaign, with outcomes."),
    ],
    control: Annotated[
        str, typer.Argument(metavar="CONTROL", help="Customers who were held out, with outcomes.")
    ],
    level: Level = 0.9,
    table_name: TableOption = DEFAULT_TABLE,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    model_version: ModelVersion = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate the effect of a campaign from the outcomes of its two groups.

    Both are activity tables with the spend by the horizon, as `clv validate` reads. Customers must
    have been assigned to one of the groups at random: an id in both, or twice in one, is refused.

    Example: `clv lift treated.csv control.csv`
    """
    from clv.campaign.holdout import estimate_lift
    from clv.data.checks import read_history, require_separate
    from clv.data.sources import open_source

    numbers = number_format(decimal, thousands)
    predictor = predictor_of(load_settings(), model_version)
    histories = []
    for location in (treated, control):
        with open_source(location, table_name, numbers=numbers) as source:
            history = read_history(source, predictor.window, to_train=False)
        for finding in history.findings:
            note(f"{history.source}: {finding}")
        histories.append(history)
    for finding in require_separate(histories[0], histories[1]):
        note(str(finding))
    groups = [
        (
            history.outcome - history.activity.monetary,
            predictor.predict(history.activity).expected_increment,
        )
        for history in histories
    ]
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
    from clv.campaign import words
    from clv.campaign.verdict import number_of

    unit = f" {currency}" if currency else ""

    def money(value: float, digits: int = 2) -> str:
        return f"{round(value, digits) + 0.0:,.{digits}f}{unit}"

    def row(name: str, estimate: "Estimate", digits: int = 2) -> tuple[str, str, str]:
        low, high = (money(value, digits) for value in (estimate.low, estimate.high))
        return name, money(estimate.mean, digits), f"{low} to {high}"

    has_lift = found.speaks_of == "effect"
    say(f"{words.headline(found)} ({number_of(found.n)})")
    say(words.sentence(found, money))
    if best := words.best_in_words(found, money):
        say(best)
    everyone = found.all_customers
    digits = words.digits_of(found)
    rows = [row("further spend per passenger", found.expected_increment)]
    rows.append(row("further spend in total", found.total_increment, digits))
    if has_lift:
        rows += [
            row("profit", found.gain, digits),
            (
                "probability that it pays",
                words.probability_in_words(found.probability_worth_it),
                "",
            ),
            (
                "break-even cost per passenger",
                money(found.break_even_cost),
                f"to be safe, {money(found.break_even_cost_cautious)}",
            ),
        ]
    else:
        rows += [
            ("campaign cost", money(found.campaign.cost * found.n, digits), ""),
            row("margin less cost", found.gain, digits),
        ]
    rows += [
        (
            "lift at break-even",
            words.lift_in_words(found.minimum_lift),
            f"to be safe, {words.lift_in_words(found.minimum_lift_cautious)}",
        ),
        (
            "rides again" if found.n == 1 else "ride again",
            words.returning_in_words(found),
            "",
        ),
    ]
    table("", ("", "expected", f"{found.gain.level:.0%} interval"), rows)
    times = "" if everyone.times is None else f" ({everyone.times:.1f} times as much here)"
    say(
        f"For comparison, all passengers: {money(everyone.expected_increment)} of further spend "
        f"per passenger{times}, {everyone.returning:.1%} ride again."
    )
    if found.n >= _TENTHS:
        tenth = found.concentration[0]
        say(f"The best tenth brings {tenth.value:.0%} of expected further spend.")
    table(
        "",
        ("group", "passengers", "share of value", "ride again", "then spend"),
        [
            (
                kind.name,
                f"{kind.customers:,}",
                f"{kind.share_of_value:.0%}",
                "–" if kind.p_return is None else f"{kind.p_return:.0%}",
                "–" if kind.amount is None else money(kind.amount),
            )
            for kind in found.quadrants
        ],
    )
    if plan := words.holdout_in_words(found):
        say(f"Hold-out group: {plan}")
    for warning in found.warnings:
        note(f"Note: {warning}")
