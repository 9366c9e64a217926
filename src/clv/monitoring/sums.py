"""Sums of promises as arrays; `clv.tracking.promises` says what each is and how they are made."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Self

import numpy as np

from clv.schema import Mask, Window
from clv.tracking import AMOUNTS, BY_OUTCOME, COUNTS, KEYS, UNMATCHED

__all__ = ["MATURE_AFTER", "Sums", "monday_before"]

_WINDOW = Window()
#: From the first day of a cohort until the last of its horizons has passed.
MATURE_AFTER = timedelta(days=7 + _WINDOW.horizon_days - _WINDOW.observation_days)


@dataclass(frozen=True)
class Sums:
    """Groups of promises, a row each; columns by name, of shape (groups,)."""

    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, rows: Iterable[Any]) -> Self:
        """From the groups that `clv.tracking.read_tracked` reads."""
        kinds: dict[str, Any] = dict.fromkeys((*KEYS, *COUNTS), np.int64)
        kinds |= dict.fromkeys(AMOUNTS, np.float64) | dict.fromkeys(KEYS[:4], object)
        values = list(zip(*rows, strict=True)) or [()] * len(kinds)
        return cls(
            {
                name: np.array(column, dtype=kind)
                for (name, kind), column in zip(kinds.items(), values, strict=True)
            }
        )

    def __len__(self) -> int:
        return len(self["customers"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def where(self, mask: Mask) -> "Sums":
        """Some of the groups."""
        return Sums({name: column[mask] for name, column in self.columns.items()})

    def total(self, name: str) -> float:
        """Sum over all groups."""
        return float(self[name].sum())

    @property
    def customers(self) -> int:
        """Passengers in all groups."""
        return int(self["customers"].sum())

    def by(self, name: str) -> Iterator[tuple[Any, "Sums"]]:
        """The groups of each value of a key, lowest first."""
        for value in sorted(set(self[name].tolist())):
            yield value, self.where(self[name] == value)

    # ------------------------------------------------------------ parts

    def answered(self) -> "Sums":
        """What customers were told."""
        mask = (self["beside"] == "") & (self["score_bin"] != BY_OUTCOME)
        return self.where(mask & (self["model_version"] != UNMATCHED))

    def in_shadow(self) -> "Sums":
        """What a challenger said beside."""
        return self.where(self["beside"] != "")

    def by_outcome(self) -> "Sums":
        """Judged customers by the increment that came."""
        return self.where(self["score_bin"] == BY_OUTCOME)

    def judged(self) -> "Sums":
        """Those whose outcome is known."""
        return self.where(self["known"] != "")

    def mature(self, today: date) -> "Sums":
        """Cohorts of which every horizon has passed, so that their outcomes should be known."""
        last = monday_before(today - MATURE_AFTER)
        return self.where(self["cohort"].astype(str) <= last.isoformat())


def monday_before(day: date) -> date:
    """Monday of the week of a day."""
    return day - timedelta(days=day.weekday())
