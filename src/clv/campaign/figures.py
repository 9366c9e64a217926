"""The pictures of a verdict. Each title states what the picture shows."""

from functools import partial
from typing import Any

import plotly.graph_objects as go

from clv.campaign.depth import DepthPoint
from clv.campaign.map import LIKELY
from clv.campaign.offer import MAX_LIFT
from clv.campaign.verdict import Evaluation, number_of
from clv.campaign.words import lift_in_words
from clv.evaluation.style import BLUE, GREEN, GREY, ORANGE, VERMILLION, Picture, styled

__all__ = [
    "depth_reading",
    "depth_title",
    "increment_reading",
    "increment_title",
    "pictures_of",
]

_KINDS = (GREEN, BLUE, ORANGE, GREY)
# A list of fewer has no best tenth, and its axis counts in ones.
_TENTHS = 10


def pictures_of(found: Evaluation, currency: str) -> list[Picture]:
    """The pictures of a verdict, without those that a short list does not fill.

    Money is in `currency`, or in currency units if it is empty.
    """
    unit = currency or "currency units"
    pictures = [_increment(found, unit)]
    if found.n > 1:
        pictures += [_depth(found, unit), _kinds(found, unit)]
    if found.n >= _TENTHS:
        pictures.append(_concentration(found))
    return pictures


def increment_title(found: Evaluation) -> str:
    """What the picture of the increment shows."""
    if found.speaks_of == "value":
        return "Expected further spend per passenger"
    side = {
        "worth it": "above",
        "not worth it": "below",
        "not enough evidence": "close to",
    }[found.verdict]
    return f"Expected further spend per passenger is {side} break-even"


def increment_reading(found: Evaluation) -> str:
    """How to read the picture of the increment."""
    says = (
        f"The dots are means per passenger; the bar is the {found.expected_increment.level:.0%} "
        "interval of the mean of this list. All passengers are those of the training data."
    )
    if found.speaks_of == "value":
        return says
    return f"{says} Right of the dashed line the campaign pays."


def depth_reading(found: Evaluation) -> str:
    """How to read the picture of the depths."""
    line = "lift at which they break even" if found.speaks_of == "value" else "profit"
    return (
        f"Passengers are ranked by expected further spend. The line is the {line} if you choose "
        f"that many. The band is the {found.campaign.level:.0%} interval."
    )


def depth_title(found: Evaluation) -> str:
    """What the picture of the depths shows."""
    if found.speaks_of == "value":
        return _lift_title(found)
    best = found.best.customers
    if not best:
        return "No number of passengers is expected to earn the cost"
    whom = f"all {found.n:,}" if best == found.n else f"the best {best:,} of {found.n:,}"
    return f"Profit is highest with {whom}"


def _lift_title(found: Evaluation) -> str:
    if found.minimum_lift is None:
        return "No lift pays, however many you choose"
    few = next(
        (
            point
            for point in found.depths
            if point.customers >= max(found.n / 10, 1) and point.minimum_lift is not None
        ),
        found.depths[-1],
    )
    return (
        f"The best {few.customers:,} break even at a lift of {lift_in_words(few.minimum_lift)}, "
        f"all {found.n:,} at {lift_in_words(found.minimum_lift)}"
    )


def _increment(found: Evaluation, unit: str) -> Picture:
    estimate = found.expected_increment
    beside = found.all_customers.expected_increment
    has_lift = found.speaks_of == "effect"
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
    needed = found.campaign.needed if has_lift else 0.0
    highest = max(estimate.high, needed, beside)
    plot.add_vline(
        x=needed, line={"color": VERMILLION, "dash": "dash", "width": 2}, visible=has_lift
    )
    plot.add_annotation(
        x=needed,
        yref="paper",
        y=1.0,
        yanchor="bottom",
        xanchor="right" if needed > 0.7 * highest else "center",
        text=f"break-even {needed:,.2f}",
        showarrow=False,
        visible=has_lift,
    )
    return Picture(
        "increment",
        increment_title(found),
        increment_reading(found),
        styled(
            plot,
            f"per passenger ({unit})",
            "",
            height=210,
            xaxis_range=[0, 1.15 * highest],
            yaxis_range=[-0.6, 1.6],
        ),
    )


def _depth(found: Evaluation, unit: str) -> Picture:
    has_lift = found.speaks_of == "effect"
    points = found.depths if has_lift else found.depths[1:]
    x = [point.customers for point in points]
    if has_lift:
        low, line, high = zip(*((p.low, p.gain, p.high) for p in points), strict=True)
        best = found.best
        marked: dict[str, Any] = {"x": [best.customers], "y": [best.gain]}
        y_axis: dict[str, Any] = {"tickformat": ",~f"}
    else:
        low, line, high = zip(*map(partial(_lifts, found), points), strict=True)
        marked = {"x": [], "y": []}
        safe = found.minimum_lift_cautious or found.minimum_lift or MAX_LIFT
        y_axis = {"tickformat": ",.0%", "range": [0, 1.6 * min(safe, MAX_LIFT) or 1.0]}
    band = {"line": {"width": 0}, "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    form = ",.0f" if has_lift else ".1%"
    plot = go.Figure(
        [
            go.Scatter(x=x, y=low, **band),
            go.Scatter(x=x, y=high, fill="tonexty", fillcolor="rgba(0, 114, 178, 0.2)", **band),
            go.Scatter(
                x=x,
                y=line,
                mode="lines",
                line={"color": BLUE, "width": 3},
                hovertemplate=f"the best %{{x:,}}: %{{y:{form}}}<extra></extra>",
                showlegend=False,
            ),
            go.Scatter(
                **marked,
                mode="markers",
                marker={"color": ORANGE, "size": 13},
                hovertemplate="highest: the best %{x:,}, %{y:,.0f}<extra></extra>",
                showlegend=False,
            ),
        ]
    )
    return Picture(
        "depth",
        depth_title(found),
        depth_reading(found),
        styled(
            plot,
            "passengers chosen, the best first",
            f"profit ({unit})" if has_lift else "lift at break-even",
            height=340,
            xaxis={"dtick": 1} if found.n <= _TENTHS else {"tickformat": ",d"},
            yaxis=y_axis,
        ),
    )


def _lifts(found: Evaluation, point: DepthPoint) -> tuple[float, float, float]:
    """The lift at break-even of a depth: at the low end, at the mean, and at the high end."""
    value, worth = point.expected_increment, found.campaign.worth * point.customers
    high = (point.high + found.campaign.cost * point.customers) / worth
    least = (found.campaign.least_lift(high), point.minimum_lift, point.minimum_lift_cautious)
    low, middle, safe = (MAX_LIFT if one is None else min(one, MAX_LIFT) for one in least)
    return low, middle if value > 0 else MAX_LIFT, safe


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
                hovertemplate="the best %{x:.0%} bring %{y:.0%}<extra></extra>",
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
        f"The best tenth brings {first.value:.0%} of expected further spend",
        "Dotted line: everyone spends the same. The further the curve is from it, the fewer "
        "passengers matter.",
        styled(
            plot,
            "passengers, the best first",
            "share of expected further spend",
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
    pays = found.campaign.cost / found.campaign.margin
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
                hovertemplate=f"{kind.name}: {number_of(kind.customers)}, "
                f"{kind.share_of_value:.0%} of expected further spend<br>"
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
        "How likely they are to ride again, and what they then spend",
        "Bubble size shows each group's share of value. Right of the vertical line another ride is "
        f"more likely than not. Above the horizontal one ({pays:,.2f} {unit}) the margin on a "
        "returning passenger's spend covers the cost.",
        styled(
            plot,
            "probability of another ride",
            f"further spend if so ({unit})",
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
