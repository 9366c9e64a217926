"""Customers of a ride log, and rides beside others: how many there are, and what is odd."""

from collections.abc import Iterator
from dataclasses import dataclass

import ibis
from ibis import Table

from clv.data.findings import Finding
from clv.features.counts import Fetched, number, total
from clv.features.log import RideColumns
from clv.features.reading import LEFT_OUT
from clv.features.times import unix_micros

__all__ = ["Totals", "copies", "joined_of", "totals_of"]

# With more rows, copies are counted among one in so many seconds.
_ALL_ROWS, _PART = 5_000_000, 16
# Purchases of one day are often several; lines of receipts are most of a log.
_MANY_LINES = 0.25


def copies(known: Table, rows: int) -> tuple[Table, int]:
    """Rides beside others of the same customer at the same instant.

    Returns
    -------
    Table
        One row: `copies` say what another ride says; `lines` stand at one instant with others of
        another amount.
    int
        What to multiply both by.
    """
    times = 1
    if rows > _ALL_ROWS:
        # Copies share their instant: all of them are in the part, or none is.
        times = _PART
        known = known.filter(unix_micros(known.ridden_at) // 1_000_000 % _PART == 0)
    same = known.group_by("customer_id", "ridden_at", "cents").agg(rows=known.count())
    paid = same.cents >= 0
    instants = same.group_by("customer_id", "ridden_at").agg(
        again=total(same.rows - 1),
        amounts=same.count(where=paid),
        rows=total(ibis.ifelse(paid, same.rows, 0)),
    )
    lines = ibis.ifelse(instants.amounts > 1, instants.rows, 0)
    return instants.agg(copies=total(instants.again), lines=total(lines)), times


def joined_of(done: Table) -> Table:
    """One row: rides that belong to a customer, and those of them before the registration."""
    return done.agg(rides=total(done.rides), early=total(done.early))


def totals_of(customers: Table) -> Table:
    """One row: customers by what is known of them."""
    return customers.agg(
        customers=customers.count(),
        observed=number(customers.observed),
        due=number(customers.due),
        floored=number(customers.observed & customers.floored),
    )


@dataclass(frozen=True, slots=True)
class Totals(Fetched):
    """Customers by what is known of them, and rides beside others.

    Of all `customers` the window of `observed` has passed and the horizon of `due`; `floored` were
    given back more than they spent. `early` rides were before the registration of their customer,
    `copies` say what another ride says, and `lines` stand at one instant with others
    of another amount.
    """

    customers: int
    observed: int
    due: int
    floored: int
    early: int
    copies: int
    lines: int

    def findings(
        self, columns: RideColumns, used: int, *, exact: bool, dates: bool
    ) -> Iterator[Finding]:
        """One for each thing that is odd about customers, or rides beside others.

        Parameters
        ----------
        columns : RideColumns
        used : int
            Rides that could be used.
        exact : bool
            Whether `copies` and `lines` were counted and not estimated.
        dates : bool
            Whether the times of rides are dates without a time of day.
        """
        about = "" if exact else "about as many as this: "
        lines = self.lines if not dates or self.lines > _MANY_LINES * used else 0
        instant = "on one day" if dates else "at one instant"
        alike = (
            "They are counted, because two rides may be identical. Remove them from the log if "
            "they are copies."
        )
        several = (
            f"{about}several rows of one customer {instant} with different amounts, like the "
            "lines of a receipt"
        )
        name_it = (
            "Each row counts as a ride. If several are one ride, name the column with its number "
            f"with --ride-column, or make one of all rows {instant} with --ride-column "
            f"{columns.time}."
        )
        for severity, code, column, rows, says, action in (
            (
                "left out",
                "before-registration",
                columns.time,
                self.early,
                "before the customer registered",
                LEFT_OUT,
            ),
            (
                "kept",
                "copy",
                f"{columns.customer}, {columns.time}, {columns.amount}",
                self.copies,
                f"{about}the same ride again",
                alike,
            ),
            (
                "kept",
                "lines",
                f"{columns.customer}, {columns.time}, {columns.amount}",
                lines if columns.ride is None else 0,
                several,
                name_it,
            ),
            (
                "kept",
                "more-refunded-than-spent",
                columns.amount,
                self.floored,
                "customers who were refunded more than they spent in a window",
                "Their spend counts as 0.",
            ),
        ):
            if rows:
                yield Finding(severity, code, column, rows, says, action)  # type: ignore[arg-type]
