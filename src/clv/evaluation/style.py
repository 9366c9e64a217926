"""The common look of all pictures.

Titles and readings are text of the page, so that they wrap on a phone; the plots have transparent
backgrounds and take their text colours from the page, so that they can be read by day and night.
"""

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PURPLE",
    "VERMILLION",
    "Picture",
    "styled",
]

# Okabe and Ito (2008), Color Universal Design: told apart by every kind of eye.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
VERMILLION, PURPLE = "#D55E00", "#CC79A7"
#: What is only compared with, and every line of the grid; seen on white and on black.
GREY = "#808080"
_GRID = "rgba(128, 128, 128, 0.25)"


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot with what it shows and how to read it; `name` is unique on its page."""

    name: str
    title: str
    reading: str
    plot: go.Figure


def styled(plot: go.Figure, x: str, y: str, *, height: int = 380, **layout: Any) -> go.Figure:
    """Give a plot the common look; `x` and `y` name the axes with their units."""
    axis = {
        "gridcolor": _GRID,
        "zerolinecolor": GREY,
        "linecolor": GREY,
        "automargin": True,
        "fixedrange": True,  # a finger that scrolls the page must not zoom
    }
    plot.update_layout(
        template="none",
        height=height,
        margin={"t": 30, "r": 12, "b": 20, "l": 20},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": GREY},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        dragmode=False,
        hovermode="closest",
    )
    plot.update_xaxes(title={"text": x, "standoff": 8, "font": {"size": 13}}, **axis)
    plot.update_yaxes(title={"text": y, "standoff": 8, "font": {"size": 13}}, **axis)
    return plot.update_layout(**layout)
