"""The verdict as HTML: a part of the Campaign page, and a page of its own for `clv segment`."""

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from clv.campaign.figures import (
    depth_reading,
    depth_title,
    increment_reading,
    increment_title,
    pictures_of,
)
from clv.campaign.lifts import at_every_lift, points_of
from clv.campaign.segment import Segment
from clv.campaign.verdict import Estimate, Evaluation, number_of
from clv.campaign.words import (
    best_in_words,
    digits_of,
    further_spend_in_words,
    headline,
    holdout_in_words,
    lift_in_words,
    probability_in_words,
    returning_in_words,
    sentence,
)
from clv.data.customers import Customers
from clv.data.findings import Finding
from clv.evaluation.page import render_page
from clv.evaluation.style import Picture
from clv.files import write_text

__all__ = ["verdict_part", "write_page"]

_TEMPLATES = jinja2.PackageLoader("clv.campaign", "templates")

# What to do about rows that were left out, by the code of the finding.
_NO_RIDE = "If there was no ride, all three must be 0; otherwise count the ride."
_FIXES = {
    "null": "Fill it in.",
    "recency-without-rides": _NO_RIDE,
    "money-without-rides": _NO_RIDE,
    "rides-without-recency": "Give the day of the last ride.",
    "duplicate": "Nothing to do: the first row of each id is used.",
    "conflicting-duplicate": "Keep one row per id; none of these rows is used.",
}


def verdict_part(
    found: Evaluation, segment: Segment, customers: Customers, version: str, currency: str
) -> str:
    """The verdict as a part of the Campaign page, whose script draws the figures and sliders."""
    pictures = pictures_of(found, currency)
    figures = {picture.name: json.loads(str(picture.plot.to_json())) for picture in pictures}
    for figure in figures.values():
        figure["layout"].pop("template", None)  # the page has its own
    every = at_every_lift(found, segment)
    data = {
        "figures": figures,
        "margin": found.campaign.margin,
        "cost": found.campaign.cost,
        "passengers": found.n,
        "least": found.minimum_lift,
        "points": points_of(segment, every),
        "at": every.index(found),
        "lifts": [_at_lift(one, currency) for one in every],
    }
    values = _values(found, customers, version, currency, pictures)
    return (
        _environment()
        .get_template("verdict.html")
        .render(**values, show=_placeholder, interactive=True, data=_as_json(data))
    )


def write_page(
    found: Evaluation, customers: Customers, version: str, currency: str, path: Path
) -> None:
    """Write the verdict as a page that opens anywhere and loads nothing from the network.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    values = _values(found, customers, version, currency, pictures_of(found, currency))
    page = render_page(
        "segment.html", _TEMPLATES, {**values, "show": None, "interactive": False, "data": None}
    )
    write_text(path, page)


def _values(
    found: Evaluation,
    customers: Customers,
    version: str,
    currency: str,
    pictures: list[Picture],
) -> dict[str, Any]:
    return {
        **_answer(found, currency),
        "customers": customers,
        "model_version": version,
        "pictures": {picture.name: picture for picture in pictures},
        "holdout": holdout_in_words(found),
        "action": _action,
    }


def _answer(found: Evaluation, currency: str) -> dict[str, Any]:
    """What the parts that change with the lift are filled with."""
    money: Callable[..., Markup] = partial(_money, currency)
    return {
        "found": found,
        "headline": headline(found),
        "sentence": sentence(found, money, Markup),
        "worth": further_spend_in_words(found, money, Markup),
        "best": best_in_words(found, money, Markup),
        "passengers": number_of(found.n),
        "returning": returning_in_words(found),
        "percent": _percent,
        "money": money,
        "digits": digits_of(found),
        "between": partial(_between, money),
        "share": _share,
        "lift": lift_in_words,
        "probability": probability_in_words,
    }


def _at_lift(found: Evaluation, currency: str) -> dict[str, Any]:
    """What changes on the page with the lift."""
    values = _answer(found, currency)
    part = {
        name: _environment().get_template(f"{name}.html").render(**values)
        for name in ("answer", "tiles")
    }
    lift = found.campaign.lift
    return {
        **part,
        "lift": lift,
        "label": "not entered" if lift is None else _percent(lift),
        "says": headline(found),
        "verdict": found.verdict,
        "warnings": found.warnings,
        "holdout": holdout_in_words(found),
        "best": found.best.customers,
        "needed": None if lift is None else found.campaign.needed,
        "titles": {"increment": increment_title(found), "depth": depth_title(found)},
        "readings": {"increment": increment_reading(found), "depth": depth_reading(found)},
    }


def _action(finding: Finding) -> str:
    """What to do about a finding, on a page: without options of the command line."""
    if finding.severity == "left out":
        return _FIXES.get(finding.code, "Correct it.")
    return "" if "--" in finding.action else finding.action


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
    return f"{100 * value:,.4g}%"


def _placeholder(picture: Picture) -> Markup:
    height = "low" if picture.plot.layout.height < 300 else ""
    return Markup(
        '<figure><h3>{}</h3><div class="plot {}" data-figure="{}" role="img" aria-label="{}"></div>'
        "<figcaption>{}</figcaption></figure>"
    ).format(picture.title, height, picture.name, picture.title, picture.reading)


def _as_json(data: dict[str, Any]) -> Markup:
    """Text that cannot end the element it stands in."""
    return Markup(json.dumps(data).replace("<", "\\u003c"))  # noqa: S704 - no tag can begin in it


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=_TEMPLATES,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
