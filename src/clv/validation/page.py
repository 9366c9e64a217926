"""The validation as one self-contained HTML file: opens anywhere, asks the network for nothing."""

from pathlib import Path

import jinja2
import plotly.graph_objects as go

from clv.errors import OutputError
from clv.files import replacing
from clv.validation.validate import Validation

__all__ = ["write_page"]

# Okabe and Ito's blue and orange: told apart by every kind of eye.
_PREDICTED, _ACTUAL = "#0072B2", "#E69F00"


def write_page(validation: Validation, path: Path) -> None:
    """Write the page to `path`, whole or not at all.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("clv.validation", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = templates.get_template("validation.html").render(
        validation=validation,
        picture=_by_decile(validation).to_html(
            full_html=False,
            include_plotlyjs=True,
            config={"displayModeBar": False, "responsive": True},
        ),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}.") from error


def _by_decile(validation: Validation) -> go.Figure:
    rows = validation.deciles
    figure = go.Figure(
        [
            go.Bar(
                name=name,
                x=[row.decile for row in rows],
                y=[getattr(row, name) for row in rows],
                marker_color=colour,
                hovertemplate="decile %{x}: %{y:.2f}<extra>" + name + "</extra>",
            )
            for name, colour in (("predicted", _PREDICTED), ("actual", _ACTUAL))
        ]
    )
    figure.update_layout(
        barmode="group",
        template="plotly_white",
        height=420,
        margin={"t": 10, "r": 10},
        legend={"orientation": "h", "y": 1.1},
        xaxis={"title": "tenth of the customers, by prediction (10 = highest)", "dtick": 1},
        yaxis={"title": f"mean spend by day {validation.horizon_days}"},
    )
    return figure
