"""The report as one self-contained HTML file."""

from pathlib import Path

import jinja2
import pydantic_core

from clv.evaluation.figures import capture_picture, top_picture
from clv.evaluation.page import REPORT_JSON, REPORT_PAGE, TO_COME, pictures_of, render_page
from clv.evaluation.style import Picture
from clv.training.report.content import Report
from clv.training.report.effect_figures import effect_picture, heat_picture
from clv.training.report.figures import (
    cohorts_picture,
    curves_of,
    gain_picture,
    leaderboard_picture,
    noise_picture,
)
from clv.training.report.leaderboard import COLUMNS

__all__ = ["write_report"]


def write_report(folder: Path, report: Report) -> list[Path]:
    """Write page and figures into `folder`."""
    page, figures = folder / REPORT_PAGE, folder / REPORT_JSON
    page.write_text(_render(report), encoding="utf-8")
    figures.write_bytes(pydantic_core.to_json(report, indent=2, inf_nan_mode="null"))
    return [page, figures]


def _render(report: Report) -> str:
    return render_page(
        "report.html",
        jinja2.PackageLoader("clv.training", "templates"),
        {
            "report": report,
            "columns": [column for column in COLUMNS if column.kind != "time"],
            "pictures": {one.name: one for one in _pictures(report)},
            "features": ("recency", "frequency", "monetary"),
        },
    )


def _pictures(report: Report) -> list[Picture]:
    pictures = [
        leaderboard_picture(report),
        *pictures_of(report.evaluation),
        heat_picture(report.effects.cells),
    ]
    for feature in ("recency", "frequency", "monetary"):
        lines = [line for line in report.effects.lines if line.feature == feature]
        pictures += [effect_picture(lines, probability=kind) for kind in (False, True)]
    if report.cohorts:
        pictures += [cohorts_picture(report.cohorts), gain_picture(report.cohorts)]
    if report.noise.pairs:
        pictures.append(noise_picture(report.noise))
    return [*pictures, *_orders(report)]


def _orders(report: Report) -> list[Picture]:
    """Who comes first; nothing where nobody in the test spent anything more."""
    evaluation, orders = report.evaluation, report.orders
    total, to_come = evaluation.capture_total, evaluation.capture_increment
    if not to_come.curve:
        return []
    shares = [("this model", to_come.top), ("perfect ranking", to_come.ideal_top)]
    shares += [(order.model, order.top_increment) for order in orders] + [("random ranking", 0.1)]
    by_then = f"spend by day {report.horizon_days}"
    return [
        capture_picture("capture", to_come, curves_of(orders, total=False), TO_COME),
        capture_picture("capture-total", total, curves_of(orders, total=True), by_then),
        top_picture("top", shares, TO_COME),
    ]
