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
    "digits_of",
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
# From this amount on, cents say nothing.
_WHOLE = 100
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
        return _sentence_without_lift(found, text)
    low, high = (money(abs(value), digits_of(found)) for value in (found.gain.low, found.gain.high))
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


def _sentence_without_lift(found: Evaluation, text: Callable[[str], str]) -> str:
    if found.minimum_lift is None:
        return text("A campaign earns only on what they spend, so its cost would be lost.")
    if found.campaign.cost == 0:
        return text(
            "There is no cost to earn back. To see what the campaign adds, enter the lift you "
            "expect, or measure it with a hold-out group."
        )
    if found.minimum_lift > MAX_LIFT:
        return text(
            "Lower the cost per passenger, or choose passengers who are expected to spend more."
        )
    if found.minimum_lift_cautious is None:
        return text(
            "At the low end of the {} interval they spend nothing further, and no lift pays."
        ).format(f"{found.expected_increment.level:.0%}")
    return text(
        "These figures cannot tell whether it does: enter the lift you expect, or measure it "
        "with a hold-out group."
    )


def further_spend_in_words(
    found: Evaluation, money: Money, text: Callable[[str], str] = str
) -> str:
    """What the passengers are worth, as what it is."""
    total, digits = found.total_increment, digits_of(found)
    return text("Expected further spend of {}: {} ({} interval: {} to {}).").format(
        "this passenger" if found.n == 1 else "these passengers",
        money(total.mean, digits),
        f"{total.level:.0%}",
        money(total.low, digits),
        money(total.high, digits),
    )


def digits_of(found: Evaluation) -> int:
    """Decimals of amounts of the whole list: cents matter only to a short one."""
    total = max(found.total_increment.mean, found.campaign.cost * found.n)
    return 0 if total >= _WHOLE else 2


def best_in_words(found: Evaluation, money: Money, text: Callable[[str], str] = str) -> str:
    """For which of the passengers the campaign pays most; empty without a lift, or if for all."""
    best = found.best
    if found.speaks_of == "value" or found.n in (best.customers, 1):
        return ""
    if not best.customers:
        return text("No part of the list is expected to earn its cost.")
    amounts = [money(value, digits_of(found)) for value in (best.gain, best.low, best.high)]
    whom = "the best passenger" if best.customers == 1 else f"the best {best.customers:,}"
    if found.verdict == "worth it":
        return text("All {} pay, but {} alone {} more: {} ({} to {}).").format(
            f"{found.n:,}", whom, _earns(best), *amounts
        )
    return text("Not all {}: {} {} {} ({} to {}).").format(
        f"{found.n:,}", whom, _earns(best), *amounts
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
        f"the assumed lift of {lift_in_words(plan.lift)}"
        if plan.lift == found.campaign.lift
        else f"the lift at break-even, {lift_in_words(plan.lift)},"
        if plan.lift == found.minimum_lift
        else f"a lift of {lift_in_words(plan.lift)}"
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
        f"would show a lift of {lift_in_words(plan.detectable)} or more."
        if plan.detectable is not None and plan.detectable <= MAX_LIFT
        else "are too few to show any lift."
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
