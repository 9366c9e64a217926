"""The pictures of what moves a prediction."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from clv.evaluation.style import BLUE, GREEN, GREY, VERMILLION, Picture, styled
from clv.training.report.effects import Cell, Effect

__all__ = ["effect_picture", "heat_picture"]

_CUSTOMERS = (GREEN, BLUE, VERMILLION)
_AXES = {
    "recency": "day of the last ride",
    "frequency": "rides",
    "monetary": "money spent, currency units",
}


def effect_picture(effects: Sequence[Effect], *, probability: bool) -> Picture:
    """How the prediction of typical customers changes with one feature."""
    feature = effects[0].feature
    plot = go.Figure()
    for effect, colour in zip(effects, _CUSTOMERS, strict=True):
        said = np.array(effect.p_return if probability else effect.expected_increment)
        form = ".0%" if probability else ".2f"
        plot.add_scatter(
            x=effect.values,
            y=said,
            mode="lines",
            line={"color": colour, "dash": "dot", "width": 1.2},
            showlegend=False,
            hoverinfo="skip",
        )
        plot.add_scatter(
            name=effect.customer,
            x=effect.values,
            y=[value if known else None for value, known in
               zip(said.tolist(), effect.in_support, strict=True)],
            mode="lines" if feature == "monetary" else "lines+markers",
            line={"color": colour, "width": 2.5},
            hovertemplate="%{x:.0f}: %{y:" + form + "}<extra></extra>",
        )  # fmt: skip
    what = "Probability of return" if probability else "Expected increment"
    return Picture(
        f"{feature}-{'probability' if probability else 'increment'}",
        f"{what} by {_AXES[feature].split(',')[0]}: {_ends(effects[1], probability=probability)}",
        f"All but the {_AXES[feature].split(',')[0]} stay as the legend says: day of the last "
        "ride, rides, money.",
        styled(
            plot,
            _AXES[feature],
            "probability" if probability else "currency units",
            height=350,
            margin={"t": 10},
            xaxis={} if feature == "monetary" else {"dtick": 1},
            yaxis={"rangemode": "tozero", "tickformat": ".0%" if probability else ""},
            legend={"y": -0.22, "yanchor": "top", "orientation": "v"},
        ),
    )


def _ends(effect: Effect, *, probability: bool) -> str:
    """What is said of the lowest and of the highest value that customers have."""
    said = effect.p_return if probability else effect.expected_increment
    form = ".0%" if probability else ",.0f"
    known = [place for place, there in enumerate(effect.in_support) if there]
    if not known:
        return "too few customers are like these"
    first, last = known[0], known[-1]
    return (
        f"{said[first]:{form}} at {effect.values[first]:.0f}, {said[last]:{form}} at "
        f"{effect.values[last]:.0f} (upper half)"
    )


def heat_picture(cells: Sequence[Cell]) -> Picture:
    """Expected increment by day of the last ride and money."""
    days = sorted({cell.recency for cell in cells})
    money = sorted({(cell.money_from, cell.money_to) for cell in cells})
    by_place = {(cell.recency, cell.money_from): cell for cell in cells}
    grid = [[by_place[day, low].expected_increment for low, _ in money] for day in days]
    known = [cell for cell in cells if cell.expected_increment is not None]
    best = max(known, key=lambda cell: cell.expected_increment or 0.0, default=None)
    text = [["" if value is None else f"{value:.0f}" for value in row] for row in grid]
    plot = go.Figure(
        go.Heatmap(
            x=[f"{low:,.0f}–{high:,.0f}" for low, high in money],
            y=[f"{day:.0f}" for day in days],
            z=grid,
            text=text,
            texttemplate="%{text}",
            colorscale="Cividis",  # even in lightness, and read alike by every kind of eye
            colorbar={"title": {"text": ""}, "thickness": 10, "tickfont": {"color": GREY}},
            hovertemplate="day %{y}, %{x} spent: %{z:.2f}<extra></extra>",
            hoverongaps=False,
        )
    )
    title = "Too few customers a cell to draw"
    if best is not None:
        title = (
            f"Most is still to come from those who last rode on day {best.recency:.0f} and spent "
            f"{best.money_from:,.0f} or more: {best.expected_increment:,.0f} a customer"
        )
    return Picture(
        "heat",
        title,
        "Expected increment of a customer with the rides and the money that are usual in each "
        "cell. Empty cells hold fewer than 20 customers.",
        styled(
            plot,
            "money spent so far, currency units",
            "day of the last ride",
            yaxis={"type": "category"},
            xaxis={"type": "category"},
        ),
    )
