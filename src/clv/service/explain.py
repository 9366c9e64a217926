"""Explain a prediction: its intervals at several levels, and what would change it."""

from collections.abc import Iterator
from dataclasses import dataclass

from clv.bundle import Prediction, Predictor
from clv.schema import CONTRADICTIONS, MAX_FREQUENCY, MAX_MONETARY, Window

__all__ = ["LEVELS", "MORE_SPENT", "Change", "Explanation", "explain"]

#: From what half of the passengers alike spend to what nearly all do.
LEVELS = (0.5, 0.8, 0.9, 0.99)
#: Currency units more, in the question what more spent would change.
MORE_SPENT = 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """One thing changed: the passenger then, and the prediction.

    Attributes
    ----------
    name : str
        As the API has it.
    label : str
        For people.
    """

    name: str
    label: str
    recency: int
    frequency: int
    monetary: float
    said: Prediction


@dataclass(frozen=True, slots=True)
class Explanation:
    """A prediction at each level, lowest first, and what changes of the passenger would change."""

    said: tuple[Prediction, ...]
    score_bins: int
    changes: tuple[Change, ...]


def explain(model: Predictor, recency: int, frequency: int, monetary: float) -> Explanation:
    """Explain the prediction of a passenger whose activity is valid."""
    asked = recency, frequency, monetary
    return Explanation(
        said=tuple(model.predict_one(*asked, level=level).in_cents() for level in LEVELS),
        score_bins=len(model.calibration.bins),
        changes=tuple(
            Change(name, label, *other, model.predict_one(*other).in_cents())
            for name, label, other in _others(*asked)
            if _is_possible(model.window, *other)
        ),
    )


def _others(
    recency: int, frequency: int, monetary: float
) -> Iterator[tuple[str, str, tuple[int, int, float]]]:
    if frequency:
        fare = monetary / frequency
        more = recency, frequency + 1, round(monetary + fare, 2)
        yield "one more ride", "One more ride, at the mean fare", more
    yield "a day more recent", "Last ride a day later", (recency + 1, frequency, monetary)
    richer = recency, frequency, round(monetary + MORE_SPENT, 2)
    yield f"{MORE_SPENT:g} more spent", f"{MORE_SPENT:g} more spent so far", richer


def _is_possible(window: Window, recency: int, frequency: int, monetary: float) -> bool:
    """Whether a passenger can have done so; without a ride there is no other day and no money."""
    return (
        recency <= window.observation_days
        and frequency <= MAX_FREQUENCY
        and monetary <= MAX_MONETARY
        and not any(one.holds(recency, frequency, monetary) for one in CONTRADICTIONS)
    )
