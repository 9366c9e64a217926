"""The port through which training says how far it is."""

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Told of each stage and each step in it; called from several threads."""

    def start(self, stage: str, steps: int) -> None:
        """A stage of so many steps begins; the one before has ended."""

    def step(self) -> None:
        """One step of the stage is done."""


class Silent:
    """Says nothing."""

    def start(self, stage: str, steps: int) -> None:
        """Ignore."""

    def step(self) -> None:
        """Ignore."""
