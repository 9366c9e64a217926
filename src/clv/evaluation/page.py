"""Self-contained HTML pages: they open anywhere and ask the network for nothing."""

import re
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from clv.evaluation.evaluate import Evaluation
from clv.evaluation.figures import (
    capture_picture,
    coverage_picture,
    deciles_picture,
    reliability_picture,
    residuals_picture,
    top_picture,
    width_picture,
)
from clv.evaluation.style import Picture
from clv.evaluation.validate import Validation
from clv.files import write_text
from clv.prose import day, prose

__all__ = [
    "REPORT_JSON",
    "REPORT_PAGE",
    "TO_COME",
    "pictures_of",
    "render_page",
    "write_page",
]

# By its path: to import the package takes as long as to start the service.
_LIBRARY = Path(str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js")))
_HEADING = re.compile(r'<h2 id="([a-z-]+)">(.*?)</h2>')

#: How pictures call the increment.
TO_COME = "further spend"

#: What a training leaves beside its model, for those who read it without what trains.
REPORT_PAGE = "report.html"
REPORT_JSON = "report.json"


def write_page(validation: Validation, path: Path) -> None:
    """Write the page of a validation to `path`, whole or not at all.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    page = render_page(
        "validation.html",
        jinja2.PackageLoader("clv.evaluation", "templates"),
        {"validation": validation, "pictures": {one.name: one for one in _pictures(validation)}},
    )
    write_text(path, page)


def render_page(template: str, loader: jinja2.BaseLoader, values: Mapping[str, Any]) -> str:
    """Fill a template that extends `page.html`; `draw` shows a picture in it.

    The plotting library is put into the page once, and run when the first picture comes near.
    """
    own = jinja2.PackageLoader("clv.evaluation", "templates")
    templates = jinja2.Environment(
        loader=jinja2.ChoiceLoader([loader, own]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["number"] = _number
    templates.filters["with_contents"] = _with_contents
    templates.filters["prose"] = prose
    templates.filters["day"] = day
    return templates.get_template(template).render(
        draw=_draw,
        library=Markup(_LIBRARY.read_text("utf-8")),  # noqa: S704 - it ends no script element
        **values,
    )


def _number(value: float, form: str) -> str:
    """A number, or a dash where it could not be computed."""
    return format(value, form) if value == value else "–"  # noqa: PLR0124 - NaN


def _with_contents(body: str) -> Markup:
    """Put links to the headings where `<!--contents-->` stands."""
    links = [
        Markup('<li><a href="#{}">{}</a></li>').format(Markup(name), Markup(title))  # noqa: S704
        for name, title in _HEADING.findall(body)
    ]
    listed = Markup('<nav class="contents" aria-label="Contents"><ul>{}</ul></nav>').format(
        Markup("").join(links)
    )
    return Markup(body.replace("<!--contents-->", listed, 1))  # noqa: S704 - escaped when rendered


def _draw(picture: Picture) -> Markup:
    height = picture.plot.layout.height
    return Markup(
        '<figure><h3>{}</h3><div class="plot" id="plot-{}" role="img" aria-label="{}" '
        'style="height: {}px" data-figure="{}"></div><figcaption>{}</figcaption></figure>'
    ).format(
        picture.title,
        picture.name,
        picture.title,
        height,
        escape(str(picture.plot.to_json())),
        picture.reading,
    )


def _pictures(validation: Validation) -> list[Picture]:
    to_come = validation.capture_increment
    pictures = pictures_of(validation)
    if to_come.curve:
        shares = [("this model", to_come.top), ("perfect ranking", to_come.ideal_top)]
        pictures += [
            capture_picture("capture", to_come, [], TO_COME),
            top_picture("top", [*shares, ("random ranking", 0.1)], TO_COME),
        ]
    return pictures


def pictures_of(evaluation: Evaluation) -> list[Picture]:
    """What every page shows of an evaluation."""
    days = evaluation.observation_days
    return [
        deciles_picture("deciles", evaluation.deciles, f"spend by day {evaluation.horizon_days}"),
        deciles_picture("increments", evaluation.deciles_increment, TO_COME),
        coverage_picture(evaluation.coverage),
        width_picture(evaluation.coverage),
        reliability_picture(evaluation.returning),
        residuals_picture("recency", evaluation.residuals_by_recency, "day of the last ride"),
        residuals_picture(
            "frequency", evaluation.residuals_by_frequency, f"rides in the first {days} days"
        ),
    ]
