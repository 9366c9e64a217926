"""What no training changes: the limits that card and report both end with."""

__all__ = ["LIMITS"]

_NOISE = (
    "Three features leave most of the difference between customers unexplained: a prediction is a "
    "mean over customers alike, not a promise about one."
)
_EFFECT = "Predicted value is not the effect of a campaign."
_DRIFT = (
    "It holds for customers like those it was trained on; retrain when behaviour, prices or "
    "cities change."
)
LIMITS = (_NOISE, _EFFECT, _DRIFT)
