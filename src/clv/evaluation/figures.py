"""The pictures of an evaluation. Each has a title that states what it shows, and how to read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from clv.evaluation.evaluate import Capture, ResidualRow, Returning
from clv.evaluation.intervals import Coverage
from clv.evaluation.style import BLUE, GREEN, GREY, ORANGE, VERMILLION, Picture, styled
from clv.metrics import CurvePoint, DecileRow

__all__ = [
    "Curve",
    "capture_picture",
    "coverage_picture",
    "deciles_picture",
    "reliability_picture",
    "residuals_picture",
    "top_picture",
    "width_picture",
]

_LEVELS = (BLUE, ORANGE)


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a capture picture."""

    name: str
    colour: str
    points: Sequence[CurvePoint]
    dash: str = "solid"


def deciles_picture(name: str, rows: Sequence[DecileRow], what: str) -> Picture:
    """Mean predicted and actual by tenth of the customers; `what` is the money that is meant."""
    top = rows[-1]
    bars = [
        go.Bar(
            name=said,
            x=[row.decile for row in rows],
            y=[getattr(row, said) for row in rows],
            marker_color=colour,
            hovertemplate="decile %{x}: %{y:.2f}<extra>" + said + "</extra>",
        )
        for said, colour in (("predicted", BLUE), ("actual", ORANGE))
    ]
    return Picture(
        name,
        f"Top decile: {top.predicted:,.2f} predicted and {top.actual:,.2f} actual per customer",
        f"Mean {what}: customers are sorted by their prediction and split into ten equal groups. "
        "If the two bars of a group are level, you can budget with its prediction.",
        styled(
            go.Figure(bars),
            "decile, 10 = highest prediction",
            "currency units per customer",
            barmode="group",
            xaxis={"dtick": 1},
        ),
    )


def capture_picture(name: str, capture: Capture, curves: Sequence[Curve], what: str) -> Picture:
    """How fast the money is found, best predictions first, beside `curves` of others."""
    lines = [
        *curves,
        Curve("perfect ranking", GREY, capture.ideal, "dash"),
        Curve(f"this model, Gini {capture.gini:.3f}", BLUE, capture.curve),
    ]
    plot = go.Figure(
        [
            go.Scatter(
                name=line.name,
                x=[point.customers for point in line.points],
                y=[point.money for point in line.points],
                mode="lines",
                line={"color": line.colour, "dash": line.dash, "width": 2},
                hovertemplate="%{x:.0%} of the customers: %{y:.0%}<extra>" + line.name + "</extra>",
            )
            for line in [*lines, Curve("random ranking", GREY, [CurvePoint(0, 0), CurvePoint(1, 1)],
                                       "dot")]
        ]
    )  # fmt: skip
    return Picture(
        name,
        f"The top decile by prediction holds {capture.top:.0%} of the {what}; a perfect ranking "
        f"would find {capture.ideal_top:.0%}",
        "Customers are ranked by their predictions, highest first; the curve is the share of the "
        f"{what} found so far. Its area above the dotted line, as a share of that of the dashed "
        "one, is the normalised Gini. Tied customers share equally.",
        styled(
            plot,
            "share of the customers",
            "share of the money",
            xaxis={"tickformat": ".0%", "range": [0, 1.01], "dtick": 0.2},
            yaxis={"tickformat": ".0%", "range": [0, 1.02], "dtick": 0.2},
        ),
    )


def top_picture(name: str, shares: Sequence[tuple[str, float]], what: str) -> Picture:
    """Share held by the top tenth of the customers, by ranking; the first is the model's."""
    rows = sorted(shares, key=lambda row: row[1])
    champion = shares[0]
    plot = go.Figure(
        go.Bar(
            orientation="h",
            x=[share for _, share in rows],
            y=[who for who, _ in rows],
            marker_color=[BLUE if row == champion else GREY for row in rows],
            text=[f"{share:.0%}" for _, share in rows],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    )
    return Picture(
        name,
        f"A campaign to a tenth of the customers reaches {champion[1]:.0%} of the {what}, "
        f"{champion[1] / 0.1:.1f} times as much as a random tenth",
        "Each bar is the share held by the top tenth of the customers in that ranking.",
        styled(
            plot,
            "share of the money",
            "",
            height=90 + 38 * len(rows),
            xaxis={"tickformat": ".0%", "range": [0, 1.01], "dtick": 0.2},
            bargap=0.35,
        ),
    )


def coverage_picture(coverages: Sequence[Coverage]) -> Picture:
    """Share of customers in their interval, by score bin, at each level."""
    plot = go.Figure()
    for measured, colour in zip(coverages, _LEVELS, strict=False):
        bins = measured.bins
        plot.add_scatter(
            name=f"{measured.level:.0%} interval",
            x=[row.score_bin for row in bins],
            y=[row.covered for row in bins],
            mode="markers",
            marker={
                "color": colour,
                "size": 10,
                "line": {"color": colour, "width": 2},
                "symbol": ["circle-open" if row.is_point else "circle" for row in bins],
            },
            error_y={"array": [2 * row.standard_error for row in bins], "color": colour},
            customdata=[row.customers for row in bins],
            hovertemplate="bin %{x}: %{y:.1%} of %{customdata} covered<extra></extra>",
        )
        plot.add_hline(measured.level, line={"color": colour, "dash": "dot", "width": 1.5})
    first = coverages[0]
    real = [row.covered for row in first.bins if not row.is_point] or [first.covered]
    points = sum(row.is_point for row in first.bins)
    said = f"{min(real):.0%} to {max(real):.0%}"
    return Picture(
        "coverage",
        f"{first.level:.0%} intervals cover {first.covered:.1%} of all customers, and {said} per "
        "score bin",
        "Dots should lie on the dotted line of their colour, within the bars (two standard "
        "errors). A hollow dot is an interval of one point, the spend so far: more than the level "
        "never ride again, and the point covers exactly their share. "
        f"{points} of the {len(first.bins)} bins are like that at {first.level:.0%}.",
        styled(
            plot,
            "score bin, from low to high increments",
            "share inside the interval",
            xaxis={"dtick": 1},
            yaxis={"tickformat": ".0%"},
        ),
    )


def width_picture(coverages: Sequence[Coverage]) -> Picture:
    """Mean width of the intervals, by score bin, at each level."""
    first = coverages[0]
    plot = go.Figure(
        [
            go.Bar(
                name=f"{measured.level:.0%} interval",
                x=[row.score_bin for row in measured.bins],
                y=[row.width for row in measured.bins],
                marker_color=colour,
                hovertemplate="bin %{x}: %{y:.2f} wide<extra></extra>",
            )
            for measured, colour in zip(coverages, _LEVELS, strict=False)
        ]
    )
    plot.add_scatter(
        name="mean expected increment",
        x=[row.score_bin for row in first.bins],
        y=[row.expected_increment for row in first.bins],
        mode="markers",
        marker={"color": GREEN, "symbol": "diamond", "size": 9},
        hovertemplate="bin %{x}: %{y:.2f} expected<extra></extra>",
    )
    widest = first.bins[-1]
    return Picture(
        "width",
        f"Intervals in the highest bin are {widest.width:,.0f} wide, around an expected increment "
        f"of {widest.expected_increment:,.0f}",
        "Mean width of the intervals. A single customer is uncertain even if the mean of many is "
        "well known: most spend nothing more, a few a lot. No bar: the interval is one point.",
        styled(
            plot,
            "score bin, from low to high increments",
            "currency units",
            barmode="group",
            xaxis={"dtick": 1},
            yaxis={"rangemode": "tozero"},
        ),
    )


def reliability_picture(returning: Returning) -> Picture:
    """Probability of return against the share who returned, by tenth of the customers."""
    rows = returning.deciles
    worst = max(rows, key=lambda row: abs(row.happened - row.predicted))
    off = abs(worst.happened - worst.predicted)
    end = max(*(row.predicted for row in rows), *(row.happened for row in rows)) * 1.1
    plot = go.Figure(
        [
            go.Scatter(
                name="as predicted",
                x=[0, end],
                y=[0, end],
                mode="lines",
                line={"color": GREY, "dash": "dot", "width": 1.5},
                hoverinfo="skip",
            ),
            go.Scatter(
                name="decile",
                x=[row.predicted for row in rows],
                y=[row.happened for row in rows],
                mode="markers",
                marker={"color": BLUE, "size": 10},
                error_y={"array": [2 * row.standard_error for row in rows], "color": BLUE},
                hovertemplate="predicted %{x:.1%}, returned %{y:.1%}<extra></extra>",
            ),
        ]
    )
    return Picture(
        "reliability",
        f"No decile returned {100 * off:.1f} points more or less often than predicted"
        if off < 0.02
        else f"Worst of ten groups: {worst.predicted:.0%} predicted to return, "
        f"{worst.happened:.0%} did",
        "Each dot is a tenth of the customers by probability of return, with two standard errors. "
        "On the dotted line the probability is calibrated. Brier score "
        f"{returning.brier:.4f}, compared with {returning.brier_base_rate:.4f} for the same "
        "probability for everybody"
        + (f"; AUC {returning.auc:.3f}." if np.isfinite(returning.auc) else "."),
        styled(
            plot,
            "predicted probability of return",
            "share who rode again",
            xaxis={"tickformat": ".0%", "range": [0, end]},
            yaxis={"tickformat": ".0%", "rangemode": "tozero"},
        ),
    )


def residuals_picture(name: str, rows: Sequence[ResidualRow], by: str) -> Picture:
    """Mean of actual less predicted among customers alike."""
    known = [row for row in rows if np.isfinite(row.standard_error)]
    off = [row for row in known if abs(row.difference) > 2 * row.standard_error > 0]
    worst = max(known, key=lambda row: abs(row.difference), default=None)
    plot = go.Figure(
        go.Scatter(
            x=[row.group for row in rows],
            y=[row.difference for row in rows],
            mode="markers",
            marker={"color": [VERMILLION if row in off else BLUE for row in rows], "size": 10},
            error_y={
                "array": [2 * row.standard_error for row in rows],
                "color": GREY,
            },
            customdata=[row.customers for row in rows],
            hovertemplate="%{x}: %{y:+.2f}, %{customdata} customers<extra></extra>",
        )
    )
    largest = f" The largest difference is {worst.difference:+,.2f}." if worst else ""
    return Picture(
        name,
        f"By {by}, {len(off)} of {len(rows)} groups are off by more than two standard errors",
        "Actual less predicted spend, on average in each group, with two standard errors: above 0 "
        "the model says too little. About one group in twenty is off (and red) by chance alone."
        + largest,
        styled(
            plot,
            by,
            "currency units",
            xaxis={"type": "category"},
            yaxis={"zeroline": True},
        ),
    )
