"""Waiting for what happens by itself; no test asserts how long that takes."""

import threading
from collections.abc import Callable

__all__ = ["PAUSE", "until"]

#: Its `wait` is a pause; nobody sets it.
PAUSE = threading.Event()


def until(holds: Callable[[], bool], *, minutes: float = 2) -> None:
    """Return once it holds; so many minutes of answers to the contrary are a failure."""
    for _ in range(int(minutes * 1_200)):
        if holds():
            return
        PAUSE.wait(0.05)
    raise AssertionError("never as expected")
