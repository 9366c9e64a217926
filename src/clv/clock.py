"""The clock. Only the shells (`clv.cli`, `clv.service`) read it; below them time is an argument."""

from datetime import UTC, datetime

__all__ = ["utc_now"]


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place
