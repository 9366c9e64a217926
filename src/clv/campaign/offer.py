"""What a campaign costs and brings: the economics, without the passengers."""

from dataclasses import dataclass

from clv.bundle.calibration import MAX_LEVEL, MIN_LEVEL
from clv.errors import DataError

__all__ = ["Campaign"]

_MAX_LIFT = 10.0
_MAX_COST = 1e6


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign to be judged.

    Attributes
    ----------
    margin : float
        Share of the spend that is earned, above 0 and up to 1.
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
        _require("margin", self.margin, 0 < self.margin <= 1, "a share above 0 and up to 1")
        _require("cost", self.cost, 0 <= self.cost <= _MAX_COST, f"0 to {_MAX_COST:,.0f} a head")
        for name in ("lift", "detect_lift"):
            lift = getattr(self, name)
            if lift is not None:
                said = f"a share above 0 and up to {_MAX_LIFT:g}, such as 0.1 for a tenth more"
                _require(name, lift, 0 < lift <= _MAX_LIFT, said)
        said = f"{MIN_LEVEL} to {MAX_LEVEL}"
        _require("level", self.level, MIN_LEVEL <= self.level <= MAX_LEVEL, said)
        _require("power", self.power, 0.5 <= self.power <= 0.99, "0.5 to 0.99")

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
