"""The pictures of a verdict. Each title states what the picture shows."""

import plotly.graph_objects as go

from clv.campaign.map import LIKELY
from clv.campaign.verdict import Evaluation
from clv.evaluation.style import BLUE, GREEN, GREY, ORANGE, VERMILLION, Picture, styled

__all__ = ["gain_in_words", "pictures_of"]

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


def gain_in_words(found: Evaluation) -> str:
    """What the campaign is judged by: a profit only where an effect is assumed."""
    return "Profit" if found.speaks_of == "effect" else "Value less cost"


def _increment(found: Evaluation, unit: str) -> Picture:
    estimate, needed = found.expected_increment, found.campaign.needed
    beside = found.all_customers.expected_increment
    one = {"mode": "markers", "showlegend": False, "hovertemplate": "%{x:,.2f}<extra></extra>"}
    plot = go.Figure(
        [
            go.Scatter(x=[beside], y=["all passengers"], marker={"size": 13, "color": GREY}, **one),
            go.Scatter(
                x=[estimate.mean],
                y=["this list"],
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
        x=needed,
        yref="paper",
        y=1.0,
        yanchor="bottom",
        text=f"break-even {needed:,.2f}",
        showarrow=False,
    )
    side = {
        "worth it": "lies above",
        "not worth it": "lies below",
        "not enough evidence": "may lie on either side of",
    }[found.verdict]
    top = 1.15 * max(estimate.high, needed, beside)
    return Picture(
        "increment",
        f"What is still to come {side} the break-even",
        "Dots: mean spend still to come. The bar holds that of this list with "
        f"{estimate.level:.0%} probability; right of the dashed line the campaign pays. All "
        "passengers are those whom the model learnt from.",
        styled(
            plot,
            f"still to come, a passenger ({unit})",
            "",
            height=210,
            xaxis_range=[0, top],
            yaxis_range=[-0.6, 1.6],
        ),
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
    best, gain = found.best, gain_in_words(found)
    whom = (
        f"all {found.n:,}"
        if best.customers == found.n
        else f"the best {best.customers:,} of {found.n:,}"
    )
    return Picture(
        "depth",
        f"{gain} is highest with {whom}" if best.customers else "No passenger is worth the cost",
        "The best are those of whom most is still expected. At each depth the band holds the "
        f"amount with {found.campaign.level:.0%} probability.",
        styled(
            plot,
            "passengers chosen, the best first",
            f"{gain.lower()} ({unit})",
            height=340,
            yaxis={"tickformat": ",~f"},
        ),
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
    share = {"tickformat": ".0%", "range": [0, 1.03]}
    return Picture(
        "concentration",
        f"The best tenth brings {first.value:.0%} of what is still to come",
        "Dotted: as if all were alike. The further the line bends away from it, the fewer "
        "passengers matter.",
        styled(
            plot,
            "passengers, the best first",
            "share of what is still to come",
            height=340,
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
    largest = max((kind.share_of_value for kind, _, _ in there), default=1.0) or 1.0
    highest = max((kind.amount or 0.0 for kind, _, _ in there), default=0.0)
    pays = found.campaign.needed
    plot = go.Figure(
        [
            go.Scatter(
                x=[p_return],
                y=[kind.amount],
                name=kind.name,
                text=[kind.name],
                mode="markers+text",
                textposition=_beside(p_return, kind.name),
                marker={
                    "color": colour,
                    "opacity": 0.75,
                    "size": 14 + 46 * (kind.share_of_value / largest) ** 0.5,
                },
                hovertemplate=f"{kind.name}: {kind.customers:,} passengers, "
                f"{kind.share_of_value:.0%} of what is still to come<br>"
                "%{x:.0%} ride again and then spend %{y:,.2f}<extra></extra>",
            )
            for kind, p_return, colour in there
        ]
    )
    border = {"color": GREY, "dash": "dot", "width": 1.5}
    plot.add_vline(x=LIKELY, line=border)
    plot.add_hline(y=pays, line=border)
    return Picture(
        "kinds",
        "How likely they ride again, and what they then spend",
        "Each disc is a kind of passengers, as large as what it brings. Right of the dotted line a "
        f"further ride is likelier than not. Above the other ({pays:,.2f} {unit}) whoever rides "
        "again pays for the campaign.",
        styled(
            plot,
            "probability to ride again",
            f"then spend ({unit})",
            height=340,
            xaxis={"tickformat": ".0%", "range": [0, 1], "nticks": 6},
            yaxis={
                "tickformat": ",~f",
                "range": [0, 1.4 * max(highest, pays if pays < 2 * highest else 0, 1e-9)],
            },
            showlegend=False,
        ),
    )


def _beside(p_return: float, name: str) -> str:
    """Where the name of a disc stands, so that it meets neither an edge nor another name."""
    if p_return < 0.2:
        return "middle right"
    if p_return > 0.8:
        return "middle left"
    return "bottom center" if name == "steady" else "top center"
