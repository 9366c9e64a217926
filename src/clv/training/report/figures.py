"""The pictures of a training: who won, whether it lasts, and how much better it could be."""

from collections.abc import Sequence

import plotly.graph_objects as go

from clv.evaluation.figures import Curve
from clv.evaluation.style import BLUE, GREEN, GREY, ORANGE, PURPLE, Picture, styled
from clv.training.backtest import Cohort
from clv.training.noise import NoiseFloor
from clv.training.pipeline import Standing
from clv.training.report.content import Order, Report

__all__ = ["cohorts_picture", "curves_of", "gain_picture", "leaderboard_picture", "noise_picture"]

# Baselines are far off; to scale they would squeeze the contest into a pixel.
_SHOWN = 0.12


def leaderboard_picture(report: Report) -> Picture:
    """Each candidate's cross-validated error less the champion's, with its interval."""
    champion = next(row for row in report.leaderboard if row.model == report.champion)
    edge = _SHOWN * champion.cv_mse
    rows = list(reversed(report.leaderboard))
    near = [row for row in rows if row.to_champion.mean < edge]
    far = [row for row in rows if row.to_champion.mean >= edge]
    plot = go.Figure()
    plot.add_scatter(
        x=[row.to_champion.mean for row in near],
        y=[row.model for row in near],
        mode="markers",
        marker={"size": 11, "color": [_colour(row, report.champion) for row in near]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [row.to_champion.high - row.to_champion.mean for row in near],
            "arrayminus": [row.to_champion.mean - row.to_champion.low for row in near],
            "color": GREY,
        },
        hovertemplate="%{y}: %{x:+.1f}<extra></extra>",
    )
    plot.add_scatter(
        x=[edge] * len(far),
        y=[row.model for row in far],
        mode="markers+text",
        marker={"size": 11, "color": GREY, "symbol": "triangle-right"},
        text=[f"{row.to_champion.mean:+,.0f} " for row in far],
        textposition="middle left",
        hoverinfo="skip",
    )
    plot.add_vline(0, line={"color": GREY, "dash": "dot", "width": 1.5})
    return Picture(
        "leaderboard",
        _contest(report, champion),
        "Cross-validated squared error less the champion's, on the same rows, with its 95% "
        "interval: further right is worse, an interval with 0 in it is a tie. A triangle lies "
        "outside the chart. Among ties the simplest candidate is champion.",
        styled(
            plot,
            "MSE less the champion's",
            "",
            height=110 + 34 * len(rows),
            showlegend=False,
            yaxis={"categoryorder": "array", "categoryarray": [row.model for row in rows]},
            xaxis={"range": [-edge * 0.35, edge * 1.05]},
        ),
    )


def _colour(row: Standing, champion: str) -> str:
    return BLUE if row.model == champion else ORANGE


def _contest(report: Report, champion: Standing) -> str:
    others = [row for row in report.leaderboard if row is not champion]
    beaten = sum(row.to_champion.low > 0 for row in others)
    return (
        f"The champion, {champion.model}, is significantly better than {beaten} of "
        f"{len(others)} others"
    )


def curves_of(orders: Sequence[Order], *, total: bool) -> list[Curve]:
    """The orders of other models, to be drawn beside the champion's."""
    return [
        Curve(
            f"{order.model}, Gini {order.gini_total if total else order.gini_increment:.3f}",
            colour,
            order.curve_total if total else order.curve_increment,
        )
        for order, colour in zip(orders, (ORANGE, PURPLE), strict=False)
    ]


def cohorts_picture(cohorts: Sequence[Cohort]) -> Picture:
    """Mean predicted and actual increment, by cohort."""
    youngest = cohorts[-1]
    plot = go.Figure(
        [
            go.Scatter(
                name=said,
                x=[f"{cohort.start:%-d %b %Y}" for cohort in cohorts],
                y=[getattr(cohort, said) for cohort in cohorts],
                mode="lines+markers",
                marker={"size": 9},
                line={"color": colour, "width": 2.5},
                hovertemplate="from %{x}: %{y:.2f}<extra>" + said + "</extra>",
            )
            for said, colour in (("predicted", BLUE), ("actual", ORANGE))
        ]
    )
    return Picture(
        "cohorts",
        f"Latest cohort: {youngest.predicted:,.2f} further spend predicted and "
        f"{youngest.actual:,.2f} actual per customer",
        "Each cohort was predicted by a model fitted only on customers whose outcome was known on "
        "its first day; the kind of model was chosen on all of them. Lines that diverge to the "
        "right mean that customers change.",
        styled(
            plot,
            "first day of registration",
            "currency units per customer",
            xaxis={"type": "category"},
            yaxis={"rangemode": "tozero"},
        ),
    )


def gain_picture(cohorts: Sequence[Cohort]) -> Picture:
    """Squared error less that of persistence, by cohort, with its interval."""
    better = sum(cohort.to_persistence.high < 0 for cohort in cohorts)
    differences = [cohort.to_persistence for cohort in cohorts]
    plot = go.Figure(
        go.Scatter(
            x=[f"{cohort.start:%-d %b %Y}" for cohort in cohorts],
            y=[one.mean for one in differences],
            mode="markers",
            marker={"color": BLUE, "size": 10},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [one.high - one.mean for one in differences],
                "arrayminus": [one.mean - one.low for one in differences],
                "color": GREY,
            },
            hovertemplate="from %{x}: %{y:+.1f}<extra></extra>",
        )
    )
    plot.add_hline(0, line={"color": GREY, "dash": "dot", "width": 1.5})
    return Picture(
        "gain",
        f"Significantly better than 'month = week' in {better} of {len(cohorts)} cohorts",
        "Squared error less that of 'month = week' on the same customers, with its 95% interval: "
        "below 0 the model is better.",
        styled(
            plot,
            "first day of registration",
            "squared error less baseline's",
            xaxis={"type": "category"},
        ),
    )


def noise_picture(noise: NoiseFloor) -> Picture:
    """What of the champion's error is chance, with the interval of the estimate."""
    rows = ["noise floor", "champion"]
    plot = go.Figure(
        go.Scatter(
            x=[noise.mse, noise.champion_mse],
            y=rows,
            mode="markers",
            marker={"color": [GREEN, BLUE], "size": 12},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [noise.high - noise.mse, 0],
                "arrayminus": [noise.mse - noise.low, 0],
                "color": GREY,
            },
            hovertemplate="%{y}: %{x:,.0f}<extra></extra>",
        )
    )
    return Picture(
        "noise",
        "The champion is not significantly above the noise floor"
        if noise.avoidable_low <= 0
        else f"About {noise.mse / noise.champion_mse:.0%} of the champion's squared error is "
        "noise; the rest could still be learned",
        f"{noise.pairs:,} pairs of customers who did the same in the first days still differ "
        "later: no model of these features can tell them apart. A better model could gain "
        f"{noise.avoidable:,.1f} (95% interval {noise.avoidable_low:,.1f} to "
        f"{noise.avoidable_high:,.1f}). The interval of the floor is wide, because the same few "
        "big spenders dominate both errors; the interval of the difference is what counts.",
        styled(
            plot,
            "mean squared error",
            "",
            height=200,
            yaxis={"categoryorder": "array", "categoryarray": rows[::-1], "range": [-0.6, 1.6]},
            xaxis={"rangemode": "tozero"},
        ),
    )
