"""A verdict in words: the same sentences on the page and at the command line."""

import math
from collections.abc import Callable
from typing import Protocol

from clv.campaign.depth import DepthPoint
from clv.campaign.offer import MAX_LIFT
from clv.campaign.verdict import Evaluation, number_of

__all__ = [
    "Money",
    "best_in_words",
    "further_spend_in_words",
    "headline",
    "holdout_in_words",
    "lift_in_words",
    "probability_in_words",
    "returning_in_words",
    "sentence",
]

# Shares of fewer passengers are worded as numbers of them.
_FEW = 30
_NO_LIFT = "No lift could make it pay: these passengers are not expected to spend anything further."


class Money(Protocol):
    """Writes an amount with so many decimals."""

    def __call__(self, value: float, digits: int = 2) -> str:
        """Write it."""
        ...


def headline(found: Evaluation) -> str:
    """The verdict; without a lift, what the campaign has to achieve."""
    if found.speaks_of == "effect":
        return found.verdict.capitalize()
    least, safe = found.minimum_lift, found.minimum_lift_cautious
    if found.campaign.cost == 0:
        return "It costs nothing, so any lift pays"
    if least is None:
        return _NO_LIFT[:-1]
    if least > MAX_LIFT:
        return f"Hardly: it would have to raise their further spending by {_at_least(least)}"
    says = f"Pays if it raises their further spending by {_at_least(least)} or more"
    return says + ("" if safe is None else f"; to be safe, {_at_least(safe)}")


def sentence(found: Evaluation, money: Money, text: Callable[[str], str] = str) -> str:
    """What stands behind the headline, with the number that decided it.

    Parameters
    ----------
    found : Evaluation
    money : Money
    text : callable
        Makes the sentence of its pattern: `markupsafe.Markup` for HTML.
    """
    level = f"{found.expected_increment.level:.0%}"
    if found.speaks_of == "value":
        if found.minimum_lift is None:
            return text("A campaign earns only on what they spend, so its cost would be lost.")
        if found.minimum_lift_cautious is None:
            return text(
                "At the low end of the {} interval they spend nothing further, and no lift pays."
            ).format(level)
        return text(
            "These figures cannot tell whether it does: enter the lift you expect, or measure it "
            "with a hold-out group."
        )
    low, high = money(abs(found.gain.low), 0), money(abs(found.gain.high), 0)
    if found.verdict == "worth it":
        return text("Even at the low end of the {} interval the campaign earns {}.").format(
            level, low
        )
    if found.verdict == "not worth it":
        return text("Even at the high end of the {} interval the campaign loses {}.").format(
            level, high
        )
    enough = (
        f"About {found.enough:,} passengers like these would settle it."
        if found.enough
        else "No number of passengers like these would settle it: it is too close to break-even."
    )
    return text("The campaign may lose {} or earn {} ({} interval). {}").format(
        low, high, level, enough
    )


def further_spend_in_words(
    found: Evaluation, money: Money, text: Callable[[str], str] = str
) -> str:
    """What the passengers are worth, as what it is."""
    total = found.total_increment
    return text("Expected further spend of {}: {} ({} to {}).").format(
        "this passenger" if found.n == 1 else "these passengers",
        money(total.mean, 0),
        money(total.low, 0),
        money(total.high, 0),
    )


def best_in_words(found: Evaluation, money: Money, text: Callable[[str], str] = str) -> str:
    """For which of the passengers the campaign pays most; empty without a lift, or if for all."""
    best = found.best
    if found.speaks_of == "value" or best.customers == found.n:
        return ""
    if not best.customers:
        return text("No part of the list is expected to earn its cost.")
    return text("Not all {}: the best {} {} {} ({} to {}).").format(
        f"{found.n:,}",
        f"{best.customers:,}",
        _earns(best),
        money(best.gain, 0),
        money(best.low, 0),
        money(best.high, 0),
    )


def _earns(best: DepthPoint) -> str:
    if best.low < 0:
        return "may earn"
    return "is expected to earn" if best.customers == 1 else "are expected to earn"


def holdout_in_words(found: Evaluation) -> str:
    """How to measure the lift; empty if there is none to look for."""
    plan = found.holdout
    if plan is None:
        return ""
    looked_for = (
        f"the assumed lift of {plan.lift:.1%}"
        if plan.lift == found.campaign.lift
        else f"the lift at break-even, {plan.lift:.1%},"
        if plan.lift == found.minimum_lift
        else f"a lift of {plan.lift:.1%}"
    )
    if plan.enough:
        return (
            f"Leave {plan.control:,} of the {number_of(found.n)}, chosen at random, without the "
            f"campaign. Comparing the two groups then shows {looked_for} with {plan.power:.0%} "
            "probability, if the campaign has it."
        )
    says = (
        "Leave a random group without the campaign; comparing the two groups shows the effect. To "
        f"show {looked_for} with {plan.power:.0%} probability takes {number_of(plan.needed)}, half "
        "of them without the campaign."
    )
    if found.n == 1:
        return says
    would = (
        f"would show a lift of {plan.detectable:.1%} or more."
        if plan.detectable is not None
        else "cannot show any lift."
    )
    return f"{says} These {number_of(found.n)} {would}"


def probability_in_words(value: float) -> str:
    """A probability in percent, never all or nothing."""
    if value > 0.9995:
        return "over 99.9%"
    return "under 0.1%" if value < 0.0005 else f"{value:.1%}"


def returning_in_words(found: Evaluation) -> str:
    """How many ride again; a share of a few passengers is a number of them."""
    if found.n == 1:
        return f"{found.returning:.0%} likely"
    if found.n < _FEW:
        return f"about {found.returning * found.n:.0f} of {found.n}"
    return f"{found.returning:.1%}"


def lift_in_words(value: float | None) -> str:
    """A lift in percent; 'none' if no lift is enough."""
    return "none" if value is None else f"{value:,.1%}"


def _at_least(share: float) -> str:
    """In percent, rounded up: what is less does not pay. Below 10% with one decimal."""
    percent = 100 * share
    if percent < 10:
        return f"{math.ceil(round(10 * percent, 6)) / 10:.2g}%"
    return f"{math.ceil(round(percent, 6)):,}%"
