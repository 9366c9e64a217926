"""The pictures of a verdict. Each title states what the picture shows."""

import plotly.graph_objects as go

from clv.campaign.verdict import Evaluation
from clv.evaluation.style import BLUE, GREEN, GREY, ORANGE, VERMILLION, Picture, styled

__all__ = ["pictures_of"]

_KINDS = (GREEN, BLUE, ORANGE, GREY)


def pictures_of(found: Evaluation, currency: str) -> list[Picture]:
    """All pictures of a verdict; money in `currency`, or in currency units where it is empty."""
    unit = currency or "currency units"
    return [
        _increment(found, unit),
        _depth(found, unit),
        _concentration(found),
        _kinds(found, unit),
    ]


def _increment(found: Evaluation, unit: str) -> Picture:
    estimate, needed = found.expected_increment, found.campaign.needed
    beside = found.all_customers.expected_increment
    one = {"mode": "markers", "showlegend": False, "hovertemplate": "%{x:,.2f}<extra></extra>"}
    plot = go.Figure(
        [
            go.Scatter(x=[beside], y=["all passengers"], marker={"size": 13, "color": GREY}, **one),
            go.Scatter(
                x=[estimate.mean],
                y=["this segment"],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [estimate.high - estimate.mean],
                    "arrayminus": [estimate.mean - estimate.low],
                    "color": BLUE,
                    "thickness": 3,
                    "width": 8,
                },
                marker={"size": 13, "color": BLUE},
                **one,
            ),
        ]
    )
    plot.add_vline(x=needed, line={"color": VERMILLION, "dash": "dash", "width": 2})
    plot.add_annotation(
        x=needed, yref="paper", y=1.0, yanchor="bottom", text="break-even", showarrow=False
    )
    side = {
        "worth it": "lies above",
        "not worth it": "lies below",
        "not enough evidence": "holds",
    }[found.verdict]
    top = 1.15 * max(estimate.high, needed, beside)
    return Picture(
        "increment",
        f"The interval of the increment a head {side} the break-even",
        f"The mean increment of the segment and its {estimate.level:.0%} interval. Right of the "
        "dashed line the campaign pays.",
        styled(plot, f"increment a head, {unit}", "", height=240, xaxis_range=[0, top]),
    )


def _depth(found: Evaluation, unit: str) -> Picture:
    x = [point.customers for point in found.depths]
    band = {"line": {"width": 0}, "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    plot = go.Figure(
        [
            go.Scatter(x=x, y=[point.low for point in found.depths], **band),
            go.Scatter(
                x=x,
                y=[point.high for point in found.depths],
                fill="tonexty",
                fillcolor="rgba(0, 114, 178, 0.2)",
                **band,
            ),
            go.Scatter(
                x=x,
                y=[point.profit for point in found.depths],
                mode="lines",
                line={"color": BLUE, "width": 3},
                hovertemplate="the best %{x:,}: %{y:,.0f}<extra></extra>",
                showlegend=False,
            ),
            go.Scatter(
                x=[found.best.customers],
                y=[found.best.profit],
                mode="markers",
                marker={"color": ORANGE, "size": 13},
                hovertemplate="highest: the best %{x:,}, %{y:,.0f}<extra></extra>",
                showlegend=False,
            ),
        ]
    )
    best = found.best
    return Picture(
        "depth",
        f"The expected profit is highest with the best {best.customers:,} of {found.n:,}"
        if best.customers
        else "At no depth is a profit expected",
        "Passengers are ranked by their expected increment. The band holds the profit with "
        f"{found.campaign.level:.0%} probability at each depth on its own.",
        styled(plot, "passengers chosen, the best first", f"profit, {unit}"),
    )


def _concentration(found: Evaluation) -> Picture:
    first = found.concentration[0]
    x = [0.0, *(share.customers for share in found.concentration)]
    y = [0.0, *(share.value for share in found.concentration)]
    plot = go.Figure(
        [
            go.Scatter(
                x=x,
                y=y,
                mode="lines+markers",
                line={"color": BLUE, "width": 3},
                hovertemplate="the best %{x:.0%} carry %{y:.0%}<extra></extra>",
                showlegend=False,
            ),
            go.Scatter(
                x=[0, 1],
                y=[0, 1],
                mode="lines",
                line={"color": GREY, "dash": "dot"},
                hoverinfo="skip",
                showlegend=False,
            ),
        ]
    )
    share = {"tickformat": ".0%"}
    return Picture(
        "concentration",
        f"The best tenth carries {first.value:.0%} of the expected increment",
        "The further the line bends away from the dotted one, the fewer passengers carry it.",
        styled(
            plot,
            "share of the passengers, the best first",
            "share of the increment",
            xaxis=share,
            yaxis=share,
        ),
    )


def _kinds(found: Evaluation, unit: str) -> Picture:
    there = [
        (kind, kind.p_return, colour)
        for kind, colour in zip(found.quadrants, _KINDS, strict=True)
        if kind.amount and kind.p_return is not None
    ]
    rightmost = max((p_return for _, p_return, _ in there), default=1.0)
    largest = max((kind.share_of_value for kind, _, _ in there), default=1.0) or 1.0
    plot = go.Figure(
        [
            go.Scatter(
                x=[p_return],
                y=[kind.amount],
                name=kind.name,
                text=[kind.name],
                mode="markers+text",
                textposition="middle left" if p_return > 0.5 * rightmost else "middle right",
                marker={
                    "color": colour,
                    "opacity": 0.75,
                    "size": 14 + 56 * (kind.share_of_value / largest) ** 0.5,
                },
                hovertemplate=f"{kind.name}: {kind.customers:,} passengers, "
                f"{kind.share_of_value:.0%} of the value<br>"
                "return %{x:.0%}, then %{y:,.2f}<extra></extra>",
            )
            for kind, p_return, colour in there
        ]
    )
    return Picture(
        "kinds",
        "How probable a return is, and what it brings",
        "Each disc is a kind of passengers, as large as its share of the increment. A return is "
        "likely from 50% on, and big where it alone pays for the campaign.",
        styled(
            plot,
            "mean probability of a return",
            f"mean increment of a return, {unit}",
            xaxis={"tickformat": ".0%", "rangemode": "tozero"},
            yaxis={"rangemode": "tozero"},
            showlegend=False,
        ),
    )
