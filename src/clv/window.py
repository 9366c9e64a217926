"""The window of an activity table and its columns: what of the contract needs no NumPy.

`clv.schema` is the whole contract, and offers these too.
"""

from dataclasses import dataclass

__all__ = [
    "DEFAULT_PREDICTIONS",
    "DEFAULT_RIDES",
    "DEFAULT_TABLE",
    "MAX_FREQUENCY",
    "MAX_MONETARY",
    "Column",
    "Window",
]

#: Where an activity table is looked for in a database, unless told otherwise.
DEFAULT_TABLE = "passenger_activity_after_registration"
#: Where a ride log is, and where predictions go.
DEFAULT_RIDES, DEFAULT_PREDICTIONS = "rides", "predictions"

# Far beyond any passenger, near enough to catch an id or a timestamp in the wrong column.
MAX_FREQUENCY = 10_000
MAX_MONETARY = 1e9


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the names it may have, and the values it may hold.

    Attributes
    ----------
    names : tuple of str
        The name in tables first, then other names that are understood.
    low, high : float
        Smallest and largest valid value, both valid.
    whole : bool
        Whether only whole numbers are valid.
    meaning : str
        What a value says, with its unit; shown in error messages.
    """

    names: tuple[str, ...]
    low: float
    high: float
    whole: bool
    meaning: str

    @property
    def name(self) -> str:
        """The name in tables."""
        return self.names[0]

    @property
    def expected(self) -> str:
        """The valid values, in words."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:,.0f} to {self.high:,.0f}"


@dataclass(frozen=True)  # without slots: it is sent to executors
class Window:
    """Days after registration that are observed, and days until the outcome is known."""

    observation_days: int = 7
    horizon_days: int = 30

    def __str__(self) -> str:
        return f"{self.observation_days} observed days for day {self.horizon_days}"

    def __post_init__(self) -> None:
        if not 0 < self.observation_days < self.horizon_days:
            raise ValueError(
                f"observation_days={self.observation_days}, horizon_days={self.horizon_days}: "
                "expected 0 < observation_days < horizon_days."
            )

    @property
    def features(self) -> tuple[Column, Column, Column]:
        """The three feature columns, in the order of `FEATURES`."""
        days = self.observation_days
        meaning = "day of the last ride, counted from registration"
        return (Column((f"recency_{days}",), 0, days, True, meaning), _rides(days), _money(days))

    @property
    def outcome(self) -> Column:
        """Money spent from registration to the horizon; it contains the observation window."""
        return _money(self.horizon_days)

    @property
    def rides_due(self) -> Column:
        """Rides from registration to the horizon; optional, they tell who returned."""
        return _rides(self.horizon_days)

    @property
    def prediction(self) -> str:
        """Name of the predicted outcome."""
        return f"monetary_{self.horizon_days}"


def _rides(days: int) -> Column:
    meaning = f"rides in the first {days} days"
    return Column((f"frequency_{days}",), 0, MAX_FREQUENCY, True, meaning)


def _money(days: int) -> Column:
    names = (f"monetary_value_{days}", f"monetary_{days}")
    return Column(names, 0, MAX_MONETARY, False, f"money spent in the first {days} days")
