"""What a ride log says: its columns by whatever names, and the words that stand in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from clv.data.conform import require_distinct
from clv.data.numbers import NumberFormat
from clv.data.sources import listed, nearest
from clv.errors import DataError
from clv.schema import DEFAULT_RIDES, ID_NAMES

__all__ = ["Reading", "RegistrationColumns", "RideColumns", "Words"]

_TIME_NAMES = ("ridden_at", "timestamp", "ts", "time", "datetime", "date", "created_at", "ended_at")
_AMOUNT_NAMES = ("amount", "price", "fare", "total", "value")
_STATUS_NAMES = ("status", "ride_status")
_KIND_NAMES = ("kind", "ride_kind")
_REGISTERED_NAMES = ("registered_at", "registration_date", "registered_on", "signed_up_at")


@dataclass(frozen=True, slots=True)
class Words:
    """What stands in the columns of status and kind, in small letters.

    Attributes
    ----------
    cancelled : sequence of str
        States of rides that did not take place: they are left out.
    refunds : sequence of str
        Kinds of rows that are money given back: they count negatively.
    """

    cancelled: Sequence[str] = ("cancelled", "canceled")
    refunds: Sequence[str] = ("refund", "refunded")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a log is to be read, and what beside it.

    Attributes
    ----------
    columns : mapping of str to str
        What columns are called, by role: customer, time, amount, status, kind, registered.
    words : Words
    table : str
        Which, where a source holds tables.
    registrations : str, optional
        Who registered when: a SOURCE. Without it a customer registered with the first ride.
    numbers : NumberFormat
        How amounts are written.
    """

    columns: Mapping[str, str | None] = field(default_factory=dict)
    words: Words = Words()
    table: str = DEFAULT_RIDES
    registrations: str | None = None
    numbers: NumberFormat = NumberFormat()  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class RideColumns:
    """How the columns of a ride log are called; `status` and `kind` may be missing."""

    #: What the column that identifies the customer may be called.
    CUSTOMER: ClassVar = ("customer_id", "passenger_id", "user_id", "id")

    customer: str
    time: str
    amount: str
    status: str | None = None
    kind: str | None = None

    def all(self) -> dict[str, str]:
        """What each column is, and its name, of those there are."""
        named = {
            "customer": self.customer,
            "time": self.time,
            "amount": self.amount,
            "status": self.status,
            "kind": self.kind,
        }
        return {role: name for role, name in named.items() if name is not None}

    @classmethod
    def find(
        cls, name: str, available: Sequence[str], told: Mapping[str, str | None]
    ) -> "RideColumns":
        """Match what a log has with what is needed.

        Parameters
        ----------
        name : str
            Of the log.
        available : sequence of str
            The columns there.
        told : mapping of str to str or None
            Names that the user gave, by role.

        Raises
        ------
        DataError
            Where a column is missing; names it, its option and what there is.
        """
        find = _Finder(name, available, told)
        found = cls(
            find("customer", cls.CUSTOMER, "whose ride it was"),
            find("time", _TIME_NAMES, "when it took place"),
            find("amount", _AMOUNT_NAMES, "what was paid"),
            find.optional("status", _STATUS_NAMES),
            find.optional("kind", _KIND_NAMES),
        )
        require_distinct(name, {f"--{role}-column": one for role, one in found.all().items()})
        return found


@dataclass(frozen=True, slots=True)
class RegistrationColumns:
    """How the columns of a table of registrations are called."""

    customer: str
    time: str

    def all(self) -> dict[str, str]:
        """What each column is, and its name."""
        return {"customer": self.customer, "time": self.time}

    @classmethod
    def find(
        cls, name: str, available: Sequence[str], told: Mapping[str, str | None]
    ) -> "RegistrationColumns":
        """Match what a table has with what is needed; as `RideColumns.find`."""
        # The customer may be called otherwise here than in the log.
        here = told if told.get("customer") in available else {**told, "customer": None}
        find = _Finder(name, available, here)
        found = cls(
            find("customer", (*ID_NAMES, "user_id"), "who registered"),
            find("registered", (*_REGISTERED_NAMES, "date", "timestamp"), "when they registered"),
        )
        named = {"--customer-column": found.customer, "--registered-column": found.time}
        require_distinct(name, named)
        return found


class _Finder:
    """Finds the column of a role: the one that the user named, else the first known name."""

    def __init__(self, name: str, available: Sequence[str], told: Mapping[str, str | None]) -> None:
        self.name, self.available, self.told = name, available, told

    def __call__(self, role: str, names: Sequence[str], meaning: str) -> str:
        found = self.optional(role, names)
        if found is not None:
            return found
        raise DataError(
            f"'{self.name}' has no column that is known to say {meaning}; expected "
            f"{', '.join(names)}; columns there: {listed(self.available)}. "
            f"Name it with --{role}-column."
        )

    def optional(self, role: str, names: Sequence[str]) -> str | None:
        named = self.told.get(role)
        if named is None:
            return next((name for name in names if name in self.available), None)
        if named in self.available:
            return named
        raise DataError(
            f"--{role}-column '{named}': '{self.name}' has no such column; columns there: "
            f"{listed(self.available)}.{nearest(named, self.available)}"
        )
