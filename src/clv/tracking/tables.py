"""What the tracking database holds.

The migrations under `migrations/versions` build these tables; a test holds the two equal on both
databases. Change both together.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

__all__ = [
    "AMOUNTS",
    "COUNTS",
    "REVISION",
    "VERSION_TABLE",
    "UtcDateTime",
    "api_keys",
    "metadata",
    "outcome_history",
    "outcomes",
    "promise_sums",
    "requests",
    "sessions",
]

# MLflow calls its version table `alembic_version`; both must be able to live in one database.
VERSION_TABLE = "tracking_version"

#: The newest revision: these are its tables.
REVISION = "0008"

metadata = MetaData(
    # A constraint without a name cannot be dropped by a later migration on SQLite.
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class _SqliteDateTime(sqlite.DATETIME):
    """A moment as text; None for one that cannot be read, so that other rows can."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        read = super().result_processor(dialect, coltype)

        def process(value: Any) -> datetime | None:
            try:
                return read(value) if read is not None else value
            except (TypeError, ValueError):
                return None

        return process


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: whatever zone it is given in, it is stored and read back as aware UTC.

    SQLite has no time zones and PostgreSQL answers in the zone of the session; this makes them
    alike. A time without a zone is refused, because nobody can tell which moment it means.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """SQLite keeps it as text, in which anything may stand."""
        kind: DateTime = (
            _SqliteDateTime()  # type: ignore[no-untyped-call]
            if dialect.name == "sqlite"
            else DateTime(timezone=True)
        )
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- SQLAlchemy's signature
        """To UTC."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value!r} has no time zone; expected an aware datetime.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- SQLAlchemy's signature
        """From what the database answers."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: What is counted and what is added up of predictions that were pruned.
COUNTS = ("customers", "early", "in_support", "covered", "returned")
AMOUNTS = (
    "spent",
    "predicted",
    "increment",
    "p_return",
    "p_variance",
    "level",
    "level_variance",
    "actual",
    "actual_increment",
    "squared_error",
    "absolute_error",
    "squared_p_error",
    "difference",
    "squared_difference",
)

# SQLite counts up by itself only for a column of exactly the type INTEGER (64 bits there).
_Key = BigInteger().with_variant(Integer, "sqlite")

requests = Table(
    "requests",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    # Nullable: a prediction that is tried out on the page need not be of a passenger.
    Column("passenger_id", BigInteger, index=True),
    Column("recency", Integer, nullable=False),
    Column("frequency", Integer, nullable=False),
    Column("monetary", Double, nullable=False),
    Column("predicted", Double, nullable=False),
    Column("expected_increment", Double, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False, index=True),
    # Nullable: rows of before 0002 were answered without them.
    Column("p_return", Double),
    Column("level", Double),
    Column("low", Double),
    Column("high", Double),
    Column("score_bin", Integer),
    Column("in_support", Boolean),
    # Where a challenger predicted in shadow; nobody was answered with it.
    Column("challenger_version", Text),
    Column("challenger_predicted", Double),
    Column("challenger_p_return", Double),
    Column("challenger_low", Double),
    Column("challenger_high", Double),
    # False where the passenger's prediction that counts was pruned: this must not take its place.
    Column("counts", Boolean),
    # 'api', 'batch' or 'page'; NULL in rows from before 0007, which count like those of the API.
    Column("source", Text),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("passenger_id", _Key, primary_key=True, autoincrement=False),
    Column("monetary", Double, nullable=False),
    Column("rides", Integer),
    Column("registered_at", UtcDateTime),
    # When the amount in force was drawn up, and when it came.
    Column("as_of", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    # From when on an amount was known that holds the whole horizon, corrected since or not.
    Column("known_at", UtcDateTime, nullable=False),
    # What follows from these for predictions, kept because databases reckon with dates in different
    # ways: one that counts was asked from, and before; it is judged where it was asked by then.
    Column("counts_from", UtcDateTime),
    Column("counts_until", UtcDateTime),
    Column("asked_by", UtcDateTime, nullable=False),
)

outcome_history = Table(
    "outcome_history",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("passenger_id", BigInteger, nullable=False, index=True),
    Column("monetary", Double, nullable=False),
    Column("rides", Integer),
    Column("registered_at", UtcDateTime),
    Column("as_of", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("replaced_at", UtcDateTime, nullable=False),
)

# Predictions that were pruned, as sums: `clv.tracking.promises` says what each is.
promise_sums = Table(
    "promise_sums",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("model_version", "beside")),
    *(Column(name, Text, primary_key=True) for name in ("cohort", "known")),
    *(
        Column(name, Integer, primary_key=True, autoincrement=False)
        for name in ("score_bin", "band")
    ),
    *(Column(name, BigInteger, nullable=False) for name in COUNTS),
    *(Column(name, Double, nullable=False) for name in AMOUNTS),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # as "predict read"
    Column("requests_per_s", Double),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("digest", LargeBinary, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
