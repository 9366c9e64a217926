"""What no training changes: the limits that card and report both end with."""

__all__ = ["LIMITS"]

_NOISE = (
    "Three features leave most of the difference between customers unexplained: a prediction is "
    "the mean of similar customers, and a single one can differ from it widely."
)
_EFFECT = "Predicted value is not the effect of a campaign."
_DRIFT = (
    "It holds for customers like those it was trained on; retrain when behaviour, prices or "
    "cities change."
)
LIMITS = (_NOISE, _EFFECT, _DRIFT)
