"""Options of a ride log, for every command that reads one, and what they mean."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from clv.errors import UsageError

if TYPE_CHECKING:
    from clv.data.numbers import NumberFormat
    from clv.features import Reading

__all__ = ["NO_RIDE_OPTIONS", "RideOptions", "instant", "with_ride_options"]


@dataclass(frozen=True, slots=True)
class RideOptions:
    """How a ride log is read: the options as they were given."""

    passengers: Annotated[
        str | None,
        typer.Option(
            help="Registrations: a table with id and registered_at. Without it, customers count "
            "as registered with their first ride, and customers without rides are missing."
        ),
    ] = None
    registered_column: Annotated[
        str | None,
        typer.Option(help="In --passengers: date of registration. Default: registered_at."),
    ] = None
    registered_format: Annotated[
        str | None,
        typer.Option(help="In --passengers: notation of the dates, as for --date-format."),
    ] = None
    registered_from: Annotated[
        str | None,
        typer.Option(
            help="Leave out customers who registered (or were first seen) before this date, such "
            "as 2026-03-01. Use it if the log begins after its customers registered."
        ),
    ] = None
    customer_column: Annotated[
        str | None,
        typer.Option(help="Customer. Default: customer_id, passenger_id, user_id or id."),
    ] = None
    time_column: Annotated[
        str | None,
        typer.Option(help="Time of the ride. Default: ridden_at, timestamp, time or date."),
    ] = None
    date_format: Annotated[
        str | None,
        typer.Option(
            help="Notation of the times, such as '%m/%d/%Y', '%d.%m.%Y %H:%M', epoch-s or "
            "epoch-ms. Default: what the whole column shows; an ambiguous column is refused."
        ),
    ] = None
    amount_column: Annotated[
        str | None,
        typer.Option(help="Amount paid. Default: amount, price, fare, total or value."),
    ] = None
    quantity_column: Annotated[
        str | None,
        typer.Option(
            help="Quantity: the amount is then the price of one piece. Negative: a refund."
        ),
    ] = None
    ride_column: Annotated[
        str | None,
        typer.Option(
            help="Number of the ride, order or receipt: rows that share it are one ride, and "
            "their amounts are summed."
        ),
    ] = None
    currency_column: Annotated[
        str | None, typer.Option(help="Currency. Default: currency or currency_code, if present.")
    ] = None
    currency: Annotated[
        str | None, typer.Option(help="Use rides in this currency only, such as USD.")
    ] = None
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="Value of one unit of another currency, such as INR=0.012; may be repeated."
        ),
    ] = None
    status_column: Annotated[
        str | None, typer.Option(help="State of the ride. Default: status, if present.")
    ] = None
    cancelled: Annotated[
        list[str] | None,
        typer.Option(
            help="State of a ride that did not take place, in addition to cancelled, failed, "
            "no_show and the like; may be repeated."
        ),
    ] = None
    completed: Annotated[
        list[str] | None,
        typer.Option(
            help="State of a ride that took place, in addition to completed, done, paid and the "
            "like; may be repeated."
        ),
    ] = None
    kind_column: Annotated[
        str | None, typer.Option(help="Kind of the row. Default: kind, if present.")
    ] = None
    refund: Annotated[
        list[str] | None,
        typer.Option(
            help="Kind of a row that is a refund, in addition to refund, chargeback and the like; "
            "may be repeated."
        ),
    ] = None
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Cut-off, such as 2026-11-01 or 2026-11-01T08:30:00Z: later rides are ignored, "
            "and customers who registered less than the horizon before it have no outcome. "
            "Default: the last ride."
        ),
    ] = None
    memory_limit: Annotated[
        str | None,
        typer.Option(
            help="Memory limit of DuckDB, such as 500MB or 4GB; beyond it, DuckDB spills to disk."
        ),
    ] = None

    def given(self) -> list[str]:
        """The options that were given, as they would be typed."""
        typed = []
        for field in fields(self):
            value = getattr(self, field.name)
            values = value if isinstance(value, list) else [] if value is None else [value]
            typed += [f"--{field.name.replace('_', '-')} {one}" for one in values]
        return typed

    def reading(self, table: str, numbers: "NumberFormat") -> "Reading":
        """How the log is read.

        Raises
        ------
        UsageError
            If an option is not what it should be.
        """
        from clv.features import Reading, Words

        return Reading(
            {
                "customer": self.customer_column,
                "time": self.time_column,
                "amount": self.amount_column,
                "quantity": self.quantity_column,
                "ride": self.ride_column,
                "currency": self.currency_column,
                "status": self.status_column,
                "kind": self.kind_column,
                "registered": self.registered_column,
            },
            Words(self.cancelled or (), self.refund or (), self.completed or ()),
            table,
            self.passengers,
            date_format=self.date_format,
            registered_format=self.registered_format,
            registered_from=instant("--registered-from", self.registered_from),
            currency=self.currency,
            rates=dict(map(_rate, self.rate or ())),
            numbers=numbers,
        )


#: What a command has before its options are read.
NO_RIDE_OPTIONS = RideOptions()


def with_ride_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of a ride log, in place of its parameter `log`."""
    hints = get_type_hints(RideOptions, include_extras=True)
    options = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hints[field.name]
        )
        for field in fields(RideOptions)
    ]
    signature = inspect.signature(command, eval_str=True)
    before = [one for one in signature.parameters.values() if one.name != "log"]
    at = list(signature.parameters).index("log")
    # Typer passes every parameter by name; their order is the one of the help.
    keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in before]

    @wraps(command)
    def with_log(**arguments: Any) -> None:
        given = {field.name: arguments.pop(field.name) for field in fields(RideOptions)}
        command(log=RideOptions(**given), **arguments)

    parameters = [*keyword[:at], *options, *keyword[at:]]
    with_log.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_log.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_log


def instant(option: str, text: str | None) -> datetime | None:
    """An instant of the command line; without a zone it is UTC."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r}: expected ISO 8601, as in 2026-11-01 or 2026-11-01T08:30:00Z."
        ) from error
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _rate(text: str) -> tuple[str, float]:
    currency, _, value = text.partition("=")
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not currency.strip() or not 0 < rate < 1e9:
        raise UsageError(f"--rate {text!r}: expected a currency and a number, as in INR=0.012.")
    return currency, rate
