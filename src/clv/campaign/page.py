"""The verdict as HTML: a part of the Campaign page, and a page of its own for `clv segment`."""

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from clv.campaign.figures import gain_in_words, pictures_of
from clv.campaign.verdict import Estimate, Evaluation, probability_in_words
from clv.data.customers import Customers
from clv.evaluation.page import render_page
from clv.evaluation.style import Picture
from clv.files import write_text

__all__ = ["verdict_part", "write_page"]

_TEMPLATES = jinja2.PackageLoader("clv.campaign", "templates")

# What to do about rows that were left out, by the code of the finding.
_NO_RIDE = "Where there was no ride, all three are 0; else count the ride."
_FIXES = {
    "null": "Fill it in.",
    "recency-without-rides": _NO_RIDE,
    "money-without-rides": _NO_RIDE,
    "rides-without-recency": "Give the day of the last ride.",
    "duplicate": "Nothing to do: the first of each is used.",
    "conflicting-duplicate": "Keep one row for each id; none of these is used.",
}


def verdict_part(found: Evaluation, customers: Customers, currency: str) -> str:
    """What the Campaign page shows of a verdict; its script draws the figures and the slider."""
    pictures = pictures_of(found, currency)
    figures = {picture.name: json.loads(str(picture.plot.to_json())) for picture in pictures}
    values = _values(found, customers, currency, pictures)
    return (
        _environment()
        .get_template("verdict.html")
        .render(**values, show=_placeholder, slider=True, data=_as_json(figures, found))
    )


def write_page(
    found: Evaluation, customers: Customers, version: str, currency: str, path: Path
) -> None:
    """Write the verdict as a page that opens anywhere and asks the network for nothing.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    pictures = pictures_of(found, currency)
    values = _values(found, customers, currency, pictures)
    page = render_page(
        "segment.html",
        _TEMPLATES,
        {**values, "show": None, "slider": False, "data": None, "model_version": version},
    )
    write_text(path, page)


def _values(
    found: Evaluation, customers: Customers, currency: str, pictures: list[Picture]
) -> dict[str, Any]:
    money = partial(_money, currency)
    return {
        "found": found,
        "customers": customers,
        "pictures": {picture.name: picture for picture in pictures},
        "sentence": _sentence(found, money),
        "gain": gain_in_words(found),
        "fixes": _FIXES,
        "percent": _percent,
        "money": money,
        "between": partial(_between, money),
        "share": _share,
        "probability": probability_in_words,
    }


def _sentence(found: Evaluation, money: Callable[..., Markup]) -> Markup:
    """The verdict in words, with the number that decided it."""
    profit, level = found.expected_profit, f"{found.expected_profit.level:.0%}"
    low, high = money(abs(profit.low), 0), money(abs(profit.high), 0)
    if found.verdict == "worth it":
        says = {
            "effect": Markup("Even at the low end of the {} interval the campaign earns {}."),
            "value": Markup(
                "Even at the low end of the {} interval these passengers bring {} more than the "
                "campaign costs."
            ),
        }[found.speaks_of]
        return says.format(level, low)
    if found.verdict == "not worth it":
        says = {
            "effect": Markup("Even at the high end of the {} interval the campaign loses {}."),
            "value": Markup(
                "Even at the high end of the {} interval the campaign costs {} more than these "
                "passengers bring."
            ),
        }[found.speaks_of]
        return says.format(level, high)
    enough = (
        f"About {found.enough:,} passengers like these would settle it."
        if found.enough
        else "No number of passengers like these would settle it: it is too near to break-even."
    )
    says = {
        "effect": Markup("The campaign may lose {} and may earn {} ({} interval). {}"),
        "value": Markup(
            "What these passengers bring may fall {} short of the cost, and may exceed it by {} "
            "({} interval). {}"
        ),
    }[found.speaks_of]
    return says.format(low, high, level, enough)


def _money(currency: str, value: float, digits: int = 2) -> Markup:
    """An amount, never -0; a page of the service writes it as it writes all amounts."""
    amount = round(value, digits) + 0.0
    text = f"{amount:,.{digits}f}" + (f"\u00a0{currency}" if currency else "")
    says = Markup('<data class="money" value="{}" data-digits="{}">{}</data>')
    return says.format(amount, digits, text)


def _between(money: Callable[..., Markup], estimate: Estimate, digits: int = 2) -> Markup:
    return Markup("{} to {}").format(money(estimate.low, digits), money(estimate.high, digits))


def _share(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def _percent(value: float) -> str:
    """A share as somebody has given it, without needless digits."""
    return f"{100 * value:.4g}%"


def _placeholder(picture: Picture) -> Markup:
    height = "low" if picture.plot.layout.height < 300 else ""
    return Markup(
        '<figure><h3>{}</h3><div class="plot {}" data-figure="{}" role="img" aria-label="{}"></div>'
        "<figcaption>{}</figcaption></figure>"
    ).format(picture.title, height, picture.name, picture.title, picture.reading)


def _as_json(figures: dict[str, Any], found: Evaluation) -> Markup:
    """What the script needs, as text that cannot end the element it stands in."""
    depths = [
        {
            "customers": point.customers,
            "profit": point.profit,
            "low": point.low,
            "high": point.high,
            "head": point.expected_increment,
            "cutoff": point.cutoff,
            "probability": point.probability_worth_it,
        }
        for point in found.depths
    ]
    said = {
        "figures": figures,
        "depths": depths,
        "best": found.best.customers,
        "gain": gain_in_words(found),
    }
    text = json.dumps(said)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - no tag can begin in it


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=_TEMPLATES,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
