"""Waiting for what happens by itself; no test asserts how long that takes."""

import threading
from collections.abc import Callable

__all__ = ["PAUSE", "until"]

#: Its `wait` is a pause; nobody sets it.
PAUSE = threading.Event()


def until(holds: Callable[[], bool]) -> None:
    """Return once it holds; half a minute of answers to the contrary is a failure."""
    for _ in range(600):
        if holds():
            return
        PAUSE.wait(0.05)
    raise AssertionError("never as expected")
