"""Self-contained HTML pages: they open anywhere and ask the network for nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import plotly.offline
from markupsafe import Markup

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

__all__ = [
    "REPORT_JSON",
    "REPORT_PAGE",
    "TO_COME",
    "pictures_of",
    "render_page",
    "write_page",
]

#: How pictures call the increment.
TO_COME = "spend still to come"

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

    The plotting library is put into the page once, from the installed package.
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
    return templates.get_template(template).render(
        draw=_draw,
        library=Markup(plotly.offline.get_plotlyjs()),  # noqa: S704 - the installed package's own
        **values,
    )


def _number(value: float, form: str) -> str:
    """A number, or a dash where it could not be computed."""
    return format(value, form) if value == value else "–"  # noqa: PLR0124 - NaN


def _draw(picture: Picture) -> Markup:
    plot = picture.plot.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"plot-{picture.name}",
        config={"displayModeBar": False, "responsive": True},
    )
    height = picture.plot.layout.height
    return Markup(
        '<figure><h3>{}</h3><div class="plot" style="height: {}px">{}</div>'
        "<figcaption>{}</figcaption></figure>"
    ).format(picture.title, height, Markup(plot), picture.reading)  # noqa: S704 - plotly escapes


def _pictures(validation: Validation) -> list[Picture]:
    to_come = validation.capture_increment
    pictures = pictures_of(validation)
    if to_come.curve:
        shares = [("this model", to_come.top), ("a perfect order", to_come.ideal_top)]
        pictures += [
            capture_picture("capture", to_come, [], TO_COME),
            top_picture("top", [*shares, ("any order", 0.1)], TO_COME),
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
