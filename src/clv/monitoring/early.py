"""What may be said of promises before their outcomes are known."""

from dataclasses import dataclass

import numpy as np

from clv.bundle import Calibration
from clv.monitoring.quality import Figure
from clv.monitoring.sums import Sums

__all__ = ["Early", "early_of"]

# Of passengers unlike those of training nothing was calibrated.
_SUPPORTED = 0.9


@dataclass(frozen=True, slots=True)
class Early:
    """What is to be expected of passengers whose outcome is not known, were they as in training.

    Only who they are may have changed, not how those alike behave: the error of each score bin and
    the honesty of `p_return` are taken from the calibration. So it says nothing once an alarm of
    bias shows that behaviour has changed.

    Attributes
    ----------
    customers : int
    predicted : float
        Mean spend promised.
    mse : float
        Expected; NaN without a calibration.
    brier : float
        Expected of `p_return`.
    unsound : str
        Why not to believe it; empty where nothing speaks against it.
    """

    customers: int
    predicted: Figure
    mse: Figure
    brier: Figure
    unsound: str


def early_of(sums: Sums, calibration: Calibration | None, *, alarmed: bool) -> Early:
    """Estimate for the answers whose outcome is not known."""
    waiting = sums.where(sums["known"] == "")
    n = waiting.customers
    if n == 0:
        nothing = float("nan")
        return Early(0, nothing, nothing, nothing, "no promise is waiting for its outcome")
    mse = float("nan")
    if calibration is not None:
        known = np.array([part.variance + part.bias**2 for part in calibration.bins])
        at = np.clip(waiting["score_bin"] - 1, 0, len(known) - 1)
        mse = float((waiting["customers"] * known[at]).sum() / n)
    supported = waiting.total("in_support") / n
    unsound = ""
    if alarmed:
        unsound = "an alarm says that behaviour has changed since training"
    elif calibration is None:
        unsound = "the calibration of this version is missing"
    elif supported < _SUPPORTED:
        unsound = f"only {supported:.0%} of them are similar to training passengers"
    brier = waiting.total("p_variance") / n
    return Early(n, waiting.total("predicted") / n, mse, brier, unsound)
