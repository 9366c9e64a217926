"""The settings, read as a command runs: reading them takes longer to import than `clv --help`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clv.settings import Settings

__all__ = ["load_settings", "unknown_variables"]


def load_settings() -> "Settings":
    """As `clv.settings.load_settings`."""
    from clv.settings import load_settings as load

    return load()


def unknown_variables() -> list[str]:
    """As `clv.settings.unknown_variables`."""
    from clv.settings import unknown_variables as unknown

    return unknown()
