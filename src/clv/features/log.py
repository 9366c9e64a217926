"""Columns of a ride log, whatever their names, and how the log is to be read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from clv.data.conform import require_distinct
from clv.data.dates import REGISTERED_NAMES
from clv.data.numbers import NumberFormat
from clv.data.sources import listed, nearest
from clv.errors import DataError
from clv.features.words import Words
from clv.schema import DEFAULT_RIDES, ID_NAMES

__all__ = ["Reading", "RegistrationColumns", "RideColumns"]

_TIME_NAMES = ("ridden_at", "timestamp", "ts", "time", "datetime", "date", "created_at", "ended_at")
_AMOUNT_NAMES = ("amount", "price", "fare", "total", "value")
_PRICE_NAMES = ("unit_price", "UnitPrice", "price")
_STATUS_NAMES = ("status", "ride_status", "trip_status", "order_status")
_KIND_NAMES = ("kind", "ride_kind")
_CURRENCY_NAMES = ("currency", "currency_code", "ccy", "iso_currency", "Currency")
_QUANTITY_NAMES = ("quantity", "qty", "Quantity")
_REGISTRATION_NAMES = (*REGISTERED_NAMES, "date", "timestamp")
_NUMBERS = ("amount", "quantity")
# Two columns of an activity table.
_OF_ACTIVITY = (r"recency_\d+", r"frequency_\d+")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a log is read, and what beside it; every default means that the log itself decides.

    Attributes
    ----------
    columns : mapping of str to str
        Names of columns, by role: customer, time, amount, status, kind, currency, ride, quantity
        and registered. The rows of one `ride` are one ride; an amount is multiplied by a
        `quantity`.
    words : Words
    table : str
        Which, if a source holds tables.
    registrations : str, optional
        Who registered when: a SOURCE. Without it a customer registered with the first ride.
    date_format, registered_format : str, optional
        Notation of the times of rides and of registrations, as `clv.data.dates.notation_of`.
    registered_from : datetime, optional
        Customers who registered (or were first seen) before are left out.
    currency : str, optional
        Rides in other currencies are left out.
    rates : mapping of str to float
        What one unit of a currency is worth in the currency of the result.
    numbers : NumberFormat
        How amounts are written.
    """

    columns: Mapping[str, str | None] = field(default_factory=dict)
    words: Words = field(default_factory=Words)
    table: str = DEFAULT_RIDES
    registrations: str | None = None
    date_format: str | None = None
    registered_format: str | None = None
    registered_from: datetime | None = None
    currency: str | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    numbers: NumberFormat = NumberFormat()  # noqa: RUF009 - frozen

    def as_written(self) -> list[str]:
        """Columns of text files that are read as they are written."""
        named = [name for role, name in self.columns.items() if name and role not in _NUMBERS]
        return [
            *named, *RideColumns.CUSTOMER, *_TIME_NAMES, *_STATUS_NAMES, *_KIND_NAMES,
            *_CURRENCY_NAMES, *ID_NAMES, *_REGISTRATION_NAMES,
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class RideColumns:
    """Names of the columns of a ride log; whatever is None may be missing."""

    #: What the column that identifies the customer may be called.
    CUSTOMER: ClassVar = ("customer_id", "passenger_id", "user_id", "id")

    customer: str
    time: str
    amount: str
    status: str | None = None
    kind: str | None = None
    currency: str | None = None
    ride: str | None = None
    quantity: str | None = None

    def all(self) -> dict[str, str]:
        """Name of each column that there is, by its role."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {role: name for role, name in named.items() if name is not None}

    @classmethod
    def find(
        cls, name: str, available: Sequence[str], named: Mapping[str, str | None]
    ) -> "RideColumns":
        """Match what a log has with what is needed.

        Parameters
        ----------
        name : str
            Of the log.
        available : sequence of str
            The columns there.
        named : mapping of str to str or None
            Names that the user gave, by role.

        Raises
        ------
        DataError
            If a column is missing; names it, its option and what there is. If one column has two
            roles.
        """
        _require_rides(name, available, named)
        find = _Finder(name, available, named)
        amounts = (*_PRICE_NAMES, *_AMOUNT_NAMES) if named.get("quantity") else _AMOUNT_NAMES
        columns = cls(
            find("customer", cls.CUSTOMER, "customer of the ride"),
            find("time", _TIME_NAMES, "time of the ride"),
            find("amount", amounts, "amount paid"),
            find.optional("status", _STATUS_NAMES),
            find.optional("kind", _KIND_NAMES),
            find.optional("currency", _CURRENCY_NAMES),
            find.optional("ride", ()),
            find.optional("quantity", ()),
        )
        # All rows at one time may be one ride, so that this column may be the one of times.
        own = {role: one for role, one in columns.all().items() if role != "ride"}
        require_distinct(name, {f"--{role}-column": one for role, one in own.items()})
        return columns

    def unused_quantity(self, available: Sequence[str]) -> str | None:
        """A column with quantities, if the amount may be the price of one piece."""
        if self.quantity or self.amount not in _PRICE_NAMES:
            return None
        return next((name for name in _QUANTITY_NAMES if name in available), None)


@dataclass(frozen=True, slots=True)
class RegistrationColumns:
    """Names of the columns of a table of registrations."""

    customer: str
    time: str

    def all(self) -> dict[str, str]:
        """Name of each column, by its role."""
        return {"customer": self.customer, "time": self.time}

    @classmethod
    def find(
        cls, name: str, available: Sequence[str], named: Mapping[str, str | None]
    ) -> "RegistrationColumns":
        """Match what a table has with what is needed; as `RideColumns.find`."""
        # The column may have another name here than in the log.
        here = named if named.get("customer") in available else {**named, "customer": None}
        find = _Finder(name, available, here)
        columns = cls(
            find("customer", (*ID_NAMES, "user_id"), "customer"),
            find("registered", _REGISTRATION_NAMES, "date of registration"),
        )
        roles = {"--customer-column": columns.customer, "--registered-column": columns.time}
        require_distinct(name, roles)
        return columns


def _require_rides(name: str, available: Sequence[str], named: Mapping[str, str | None]) -> None:
    """Refuse what has a row per customer already."""
    is_activity = [any(map(re.compile(one).fullmatch, available)) for one in _OF_ACTIVITY]
    if all(is_activity) and named.get("time") is None and not set(_TIME_NAMES) & set(available):
        raise DataError(
            f"'{name}' is an activity table, with one row per customer (columns "
            f"{listed(available)}). Expected a ride log, with one row per ride: customer, time and "
            "amount. Use the table as it is, without clv features or --kind rides."
        )


class _Finder:
    """Finds the column of a role: the one that the user named, else the first known name."""

    def __init__(
        self, name: str, available: Sequence[str], named: Mapping[str, str | None]
    ) -> None:
        self.name, self.available, self.named = name, available, named

    def __call__(self, role: str, names: Sequence[str], meaning: str) -> str:
        column = self.optional(role, names)
        if column is not None:
            return column
        raise DataError(
            f"'{self.name}' has no known column for the {meaning}; expected "
            f"{', '.join(names)}; columns there: {listed(self.available)}. "
            f"Name it with --{role}-column."
        )

    def optional(self, role: str, names: Sequence[str]) -> str | None:
        named = self.named.get(role)
        if named is None:
            return next((name for name in names if name in self.available), None)
        if named in self.available:
            return named
        raise DataError(
            f"--{role}-column '{named}': '{self.name}' has no such column; columns there: "
            f"{listed(self.available)}.{nearest(named, self.available)}"
        )
