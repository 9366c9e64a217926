r"""Passengers and their rides, simulated, so that everything runs with no data at hand.

The model is a BG/NBD whose first ride may be the last one. For passenger :math:`i`:

1. *Registration* falls anywhere in a period of 26 weeks, uniformly.
2. *The first ride* comes after a delay :math:`w_i`. A share :math:`\pi` is idle: the delay is
   7 days plus an exponential time of mean :math:`\theta`, so mostly beyond all that is followed.
   All others ride within 7 days; their delay is Lomax, truncated:
   :math:`P(w_i > t) \propto (1 + t / d)^{-s} - (1 + 7 / d)^{-s}`. Most people register to ride now.
3. *Rate*: while active, passenger :math:`i` rides as a Poisson process of rate
   :math:`\lambda_i \sim \mathrm{Gamma}(r, \alpha)` rides a day.
4. *Drop-out*: after each ride, the first included, the passenger leaves for good with probability
   :math:`p_i \sim \mathrm{Beta}(a, b)`.
5. *Fares* are lognormal around the passenger's mean :math:`m_i`, itself lognormal around
   :math:`\bar m`: :math:`\log z_{ij} \sim N(\log m_i - \sigma^2 / 2,\ \sigma^2)` and
   :math:`\log m_i \sim N(\log \bar m - \tau^2 / 2,\ \tau^2)`. A fare is a whole number of cents and
   at least the minimum fare.

:math:`w_i, \lambda_i, p_i` and :math:`m_i` are independent. Who rides on day 7 had little time to
leave since, hence recency tells who returns; the mixed rates give the heavy tail of the spend that
is still to come. Refunds and other dirt of real data are left out on purpose.

The defaults of `SampleModel` were fitted by simulated moments to the shares, means and return rates
that are published for real ride-hailing passengers. They forecast nothing.

Source: Fader, Hardie, Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2),
section 3, assumptions (i) to (v); drop-out after the first purchase as in Batislam, Denizel,
Filiztekin (2007), Int. J. of Research in Marketing 24(3). The symbols are theirs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv.errors import UsageError
from clv.schema import FREQUENCY, MONETARY, RECENCY, Floats, Window

__all__ = ["CHUNK", "MAX_PASSENGERS", "SampleChunk", "SampleModel", "simulate"]

#: Passengers that are simulated at a time; another size is another sample.
CHUNK = 20_000
MAX_PASSENGERS = 100_000_000

DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_INSTANT = pa.timestamp("us", tz="UTC")

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SampleModel:
    r"""Parameters of the simulation; symbols as in the docstring of the module.

    Attributes
    ----------
    starts_at : datetime
        First instant at which a passenger may register; aware of its time zone.
    registration_days, followed_days : int
        Length of the period of registrations, and how long after registration rides are drawn.
        The second exceeds the horizon, so that the log holds rides that must not count.
    idle_share, idle_mean_days : float
        :math:`\pi` and :math:`\theta`: passengers without a ride in their first `eager_days`, and
        the mean time from then to their first ride.
    eager_days : int
        Days within which the others take their first ride.
    delay_shape, delay_scale_days : float
        :math:`s` and :math:`d` of the delay to the first ride.
    rate_shape, mean_rides_per_day : float
        :math:`r` and :math:`r / \alpha`.
    dropout_a, dropout_b : float
        :math:`a` and :math:`b`.
    mean_fare, minimum_fare : float
        :math:`\bar m` and the least that a ride costs, in currency units.
    fare_sd_between, fare_sd_within : float
        :math:`\tau` between passengers and :math:`\sigma` between rides of one, in logs.
    """

    starts_at: datetime = datetime(2025, 1, 6, tzinfo=UTC)
    registration_days: int = 26 * 7
    followed_days: int = 45
    idle_share: float = 0.02
    idle_mean_days: float = 180.0
    eager_days: int = 7
    delay_shape: float = 1.4
    delay_scale_days: float = 0.4
    rate_shape: float = 0.53
    mean_rides_per_day: float = 0.39
    dropout_a: float = 1.4
    dropout_b: float = 1.45
    mean_fare: float = 20.4
    minimum_fare: float = 3.0
    fare_sd_between: float = 0.37
    fare_sd_within: float = 0.46

    def __post_init__(self) -> None:
        if self.starts_at.tzinfo is None:
            raise ValueError(f"starts_at={self.starts_at}: expected an instant with a time zone.")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "starts_at" and not 0 < value < np.inf:
                raise ValueError(f"{field.name}={value}: expected a number above 0.")
        if self.idle_share >= 1:
            raise ValueError(f"idle_share={self.idle_share}: expected a share below 1.")


@dataclass(frozen=True, slots=True)
class SampleChunk:
    """Consecutive passengers.

    Attributes
    ----------
    activity : pyarrow.Table
        One row a passenger, by id: `id`, `registered_at`, the features of the window, then
        `frequency_30` and `monetary_value_30` (for another horizon the numbers follow).
    rides : pyarrow.Table
        `passenger_id`, `ridden_at`, `amount` in currency units, sorted by `ridden_at`.
    """

    activity: pa.Table
    rides: pa.Table


@dataclass(frozen=True, slots=True)
class _Rides:
    """Rides of one chunk: whose (row in the chunk), microseconds since registration, and cents."""

    passenger: Ints
    elapsed_us: Ints
    cents: Ints


_WINDOW = Window()
_MODEL = SampleModel()


def simulate(
    passengers: int, *, seed: int = 7, window: Window = _WINDOW, model: SampleModel = _MODEL
) -> Iterator[SampleChunk]:
    """Simulate passengers with ids 1 to `passengers`, chunk by chunk.

    Chunk c draws from ``np.random.default_rng([seed, c])`` and is always drawn whole, then cut: a
    larger sample begins with the smaller one. Memory does not grow with `passengers`. The draws
    are those of NumPy's generator, whose streams may change with a release of NumPy.

    Parameters
    ----------
    passengers : int
        From 1 to 100 million.
    seed : int
        0 or more.
    window : Window
        Its horizon may not exceed `model.followed_days`.
    model : SampleModel

    Raises
    ------
    UsageError
        At once, before anything is drawn, where an argument is out of its range.
    """
    _require_whole("passengers", passengers, 1, MAX_PASSENGERS)
    _require_whole("seed", seed, 0, 2**63 - 1)
    if window.horizon_days > model.followed_days:
        raise UsageError(
            f"horizon_days={window.horizon_days}: expected at most {model.followed_days}, the "
            "days for which rides are simulated; raise followed_days of the model for more."
        )
    return (
        _chunk(np.random.default_rng([seed, start // CHUNK]), start, passengers, window, model)
        for start in range(0, passengers, CHUNK)
    )


def _require_whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{name}={value!r}: expected a whole number from {low:,} to {high:,}.")


def _chunk(
    rng: np.random.Generator, start: int, passengers: int, window: Window, model: SampleModel
) -> SampleChunk:
    """Draw the chunk of ids from start + 1, and keep ids up to `passengers`."""
    starts_us = (model.starts_at - _EPOCH) // _US
    registered_us = starts_us + rng.integers(0, model.registration_days * DAY_US, CHUNK)
    rides = _draw_rides(rng, model)
    size = min(CHUNK, passengers - start)
    kept = rides.passenger < size
    rides = _Rides(rides.passenger[kept], rides.elapsed_us[kept], rides.cents[kept])
    ids = np.arange(start + 1, start + size + 1, dtype=np.int64)
    return SampleChunk(
        _activity_table(ids, registered_us[:size], rides, window),
        _ride_table(ids, registered_us[:size], rides),
    )


def _draw_rides(rng: np.random.Generator, model: SampleModel) -> _Rides:
    """Draw everybody's first ride, then second, and so on, until nobody is left."""
    rate = rng.gamma(model.rate_shape, model.mean_rides_per_day / model.rate_shape, CHUNK)
    dropout = rng.beta(model.dropout_a, model.dropout_b, CHUNK)
    between = model.fare_sd_between
    log_fare = rng.normal(np.log(model.mean_fare) - between**2 / 2, between, CHUNK)
    days = _first_ride_days(rng, model)
    riders = np.flatnonzero(days < model.followed_days)
    days = days[riders]
    whose, when = [], []
    while riders.size:
        whose.append(riders)
        when.append(days)
        stays = rng.random(riders.size) >= dropout[riders]
        riders, days = riders[stays], days[stays]
        # A gamma rate of small shape may underflow to 0: that passenger never rides again.
        with np.errstate(divide="ignore"):
            days = days + rng.standard_exponential(riders.size) / rate[riders]
        followed = days < model.followed_days
        riders, days = riders[followed], days[followed]
    passenger = np.concatenate(whose)
    within = model.fare_sd_within
    fares = np.exp(rng.normal(log_fare[passenger] - within**2 / 2, within))
    cents = np.rint(100 * np.maximum(fares, model.minimum_fare)).astype(np.int64)
    return _Rides(passenger, (np.concatenate(when) * DAY_US).astype(np.int64), cents)


def _first_ride_days(rng: np.random.Generator, model: SampleModel) -> Floats:
    """Days from registration to the first ride, of a chunk."""
    idle = rng.random(CHUNK) < model.idle_share
    never_later = (1 + model.eager_days / model.delay_scale_days) ** -model.delay_shape
    survival = 1 - rng.random(CHUNK) * (1 - never_later)
    eager = model.delay_scale_days * (survival ** (-1 / model.delay_shape) - 1)
    late = model.eager_days + rng.exponential(model.idle_mean_days, CHUNK)
    return np.where(idle, late, eager)


def _activity_table(ids: Ints, registered_us: Ints, rides: _Rides, window: Window) -> pa.Table:
    """Count what lies in the windows; money is summed in cents, where sums are exact."""
    observed = rides.elapsed_us < window.observation_days * DAY_US
    recency = np.zeros(ids.size, dtype=np.int64)
    np.maximum.at(recency, rides.passenger[observed], rides.elapsed_us[observed] // DAY_US + 1)
    frequency, monetary = _totals(rides, observed, ids.size)
    due = rides.elapsed_us < window.horizon_days * DAY_US
    frequency_due, monetary_due = _totals(rides, due, ids.size)
    features = window.features
    return pa.table(
        {
            "id": ids,
            "registered_at": pa.array(registered_us, _INSTANT),
            features[RECENCY].name: recency,
            features[FREQUENCY].name: frequency,
            features[MONETARY].name: monetary,
            f"frequency_{window.horizon_days}": frequency_due,
            window.outcome.name: monetary_due,
        }
    )


def _totals(rides: _Rides, counted: NDArray[np.bool_], size: int) -> tuple[Ints, Floats]:
    """Rides, and money in currency units, a passenger."""
    passenger = rides.passenger[counted]
    # bincount sums in float64, which is exact for whole cents below 2**53.
    cents = np.bincount(passenger, weights=rides.cents[counted], minlength=size)
    return np.bincount(passenger, minlength=size).astype(np.int64), cents / 100


def _ride_table(ids: Ints, registered_us: Ints, rides: _Rides) -> pa.Table:
    ridden_us = registered_us[rides.passenger] + rides.elapsed_us
    order = np.lexsort((rides.passenger, ridden_us))
    return pa.table(
        {
            "passenger_id": ids[rides.passenger[order]],
            "ridden_at": pa.array(ridden_us[order], _INSTANT),
            "amount": rides.cents[order] / 100,
        }
    )
