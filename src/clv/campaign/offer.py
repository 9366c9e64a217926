"""What a campaign costs and brings: the economics, without the passengers."""

from dataclasses import dataclass

from clv.bundle import MAX_LEVEL, MIN_LEVEL
from clv.errors import DataError

__all__ = ["MAX_COST", "MAX_LIFT", "MAX_POWER", "MIN_POWER", "MIN_SHARE", "Campaign"]

# What is less pays for nothing, and its inverse for more than there is.
MIN_SHARE = 1e-4
MAX_LIFT = 10.0
MAX_COST = 1e6
MIN_POWER, MAX_POWER = 0.5, 0.99


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign to be judged.

    Attributes
    ----------
    margin : float
        Share of the spend that is earned, up to 1.
    cost : float
        Of the campaign for each passenger, in currency units.
    lift : float or None
        Share by which the campaign is assumed to raise the increment: .1 for a tenth more. None
        where nobody knows; then the verdict speaks of the value of the passengers and not of the
        effect of the campaign.
    level : float
        Of every interval; a verdict is as sure as its one side: .95 at .9.
    power : float
        Probability with which the hold-out shall find the lift, where there is one.
    detect_lift : float or None
        The lift that the hold-out is designed for. Default: the assumed one, or else the least
        that pays.

    Raises
    ------
    DataError
        Where a value is out of its range.
    """

    margin: float
    cost: float
    lift: float | None = None
    level: float = 0.9
    power: float = 0.8
    detect_lift: float | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _require(
            "margin", self.margin, MIN_SHARE <= self.margin <= 1, f"a share from {MIN_SHARE} to 1"
        )
        _require("cost", self.cost, 0 <= self.cost <= MAX_COST, f"0 to {MAX_COST:,.0f} a head")
        for name in ("lift", "detect_lift"):
            lift = getattr(self, name)
            if lift is not None:
                said = f"a share from {MIN_SHARE} to {MAX_LIFT:g}, such as 0.1 for a tenth more"
                _require(name, lift, MIN_SHARE <= lift <= MAX_LIFT, said)
        said = f"{MIN_LEVEL} to {MAX_LEVEL}"
        _require("level", self.level, MIN_LEVEL <= self.level <= MAX_LEVEL, said)
        said = f"{MIN_POWER} to {MAX_POWER}"
        _require("power", self.power, MIN_POWER <= self.power <= MAX_POWER, said)

    @property
    def speaks_of(self) -> str:
        """'effect' where a lift is assumed, else 'value'."""
        return "value" if self.lift is None else "effect"

    @property
    def worth(self) -> float:
        """What one currency unit of increment counts for: margin, times lift where assumed."""
        return self.margin * (1.0 if self.lift is None else self.lift)

    @property
    def needed(self) -> float:
        """The mean increment at which the campaign breaks even, in currency units a head."""
        return self.cost / self.worth

    def least_lift(self, increment: float) -> float | None:
        """The lift at which it breaks even among passengers of this mean increment, if any does."""
        if self.cost == 0:
            return 0.0
        return self.cost / (self.margin * increment) if increment > 0 else None


def _require(name: str, value: float, holds: bool, expected: str) -> None:  # noqa: FBT001
    if not holds:  # NaN is in no range
        raise DataError(f"{name}={value}: expected {expected}.")
