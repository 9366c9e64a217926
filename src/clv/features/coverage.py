"""Customers whose first days a log does not hold, because it begins after they did."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import ibis
from ibis import Table

from clv.data.findings import Finding
from clv.features.definition import at
from clv.features.engine import Engine
from clv.features.times import DAY_US, unix_micros
from clv.schema import FREQUENCY, Window

__all__ = ["Crowd", "as_busy_later", "before_the_log", "by_part", "covered_from", "crowd_of"]

_HOUR_US = DAY_US // 24
#: Equal parts of a log in which customers are counted by when they were first seen.
PARTS = 40
# Lengths, in parts, of the beginning that is compared with as long a time after it.
_LENGTHS = (2, 3, 5, 10)
_LEAST_DAYS, _LEAST_CUSTOMERS = 7, 20
# A beginning is crowded with this many times the customers of the time after it, beyond chance.
_CROWDED, _ERRORS = 1.5, 3.0
# With fewer first rides expected before its first one, a log may begin with its customers.
_EXPECTED_RIDES = 5.0


def before_the_log(customers: Table, begins: datetime, window: Window) -> Table:
    """One row: customers by whether they registered before the first ride of the log.

    `wholly` registered a whole window before it and `partly` less; `hours` is the sum of the hours
    of their windows that the log does not hold; `later` registered after it, `active` of them rode
    in their window.
    """
    missing = (unix_micros(at(begins)) - unix_micros(customers.registered_at)) // _HOUR_US
    hours = window.observation_days * 24
    each = customers.select(
        missing=missing, rode=customers[window.features[FREQUENCY].name] > 0,
        observed=customers.observed,
    )  # fmt: skip
    late = (each.missing < 0) & each.observed
    return each.agg(
        wholly=each.count(where=each.missing >= hours),
        partly=each.count(where=each.missing.between(0, hours - 1)),
        hours=ibis.least(each.missing, hours).sum(where=each.missing >= 0).coalesce(0),
        later=each.count(where=late),
        active=each.count(where=late & each.rode),
    )


def covered_from(
    row: Mapping[str, Any], begins: datetime, window: Window
) -> tuple[datetime | None, int]:
    """From when on windows are covered by a log, and how many customers registered before.

    A window that lies before the log is not covered. One that began a little before its first
    ride may be: nobody had ridden yet. It is not if more first rides were to be expected in that
    time than chance leaves out, by the share of later customers who rode in their window.
    """
    wholly, partly = int(row["wholly"]), int(row["partly"])
    share = int(row["active"]) / int(row["later"]) if row["later"] else 1.0
    expected = share * int(row["hours"]) / (24 * window.observation_days)
    if expected > _EXPECTED_RIDES:
        return begins, wholly + partly
    if wholly:
        return begins - timedelta(days=window.observation_days), wholly
    return None, 0


def by_part(
    engine: Engine, time: ibis.Value, table: Table, begins: datetime, until: datetime
) -> list[int]:
    """Rows in each of `PARTS` equal parts of a log, by a column of instants within it."""
    part_us = (until - begins) // timedelta(microseconds=PARTS) + 1
    part = (unix_micros(time) - unix_micros(at(begins))) // part_us
    parts = table.select(part=part)
    counted = [0] * PARTS
    for row in engine.fetch(parts.group_by("part").agg(rows=parts.count())):
        if 0 <= (place := int(row["part"])) < PARTS:
            counted[place] = int(row["rows"])
    return counted


@dataclass(frozen=True, slots=True)
class Crowd:
    """Customers first seen at the beginning of a log, and in as long a time after it."""

    days: float
    customers: int
    after: int
    ends: datetime
    parts: int

    def finding(self, column: str, customers: int) -> Finding:
        """What to think of it, and what to do."""
        days = f"{self.days:.0f} days"
        return Finding(
            "kept",
            "log-begins-late",
            column,
            self.customers,
            f"{self.customers / customers:.0%} of the customers were first seen in the first "
            f"{days} of the log, compared with {self.after / customers:.0%} in the {days} after "
            "that: the log seems to begin after its customers registered",
            "They count as new customers. Leave them out with --registered-from "
            f"{self.ends:%Y-%m-%d}, or give registrations with --passengers.",
        )


def crowd_of(seen: Sequence[int], begins: datetime, until: datetime) -> Crowd | None:
    """The shortest beginning of a log in which new customers crowd, if there is one."""
    part = (until - begins) / PARTS
    for parts in _LENGTHS:
        first, after = sum(seen[:parts]), sum(seen[parts : 2 * parts])
        error = math.sqrt(first + _CROWDED**2 * after)
        if (
            part * parts >= timedelta(days=_LEAST_DAYS)
            and first >= _LEAST_CUSTOMERS
            and first - _CROWDED * after > _ERRORS * error
        ):
            days = part / timedelta(days=1) * parts
            return Crowd(days, first, after, begins + part * parts, parts)
    return None


def as_busy_later(rides: Sequence[int], parts: int) -> bool:
    """Whether a log has about as many rides at its beginning as later.

    That of a new service has fewer, as its customers are yet to return; that of one cohort has
    more.
    """
    first, later = sum(rides[:parts]) / parts, sum(rides[parts:]) / (len(rides) - parts)
    return later / 2 <= first <= later * 2
