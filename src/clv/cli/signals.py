"""Being told to end: what was begun is taken away first."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["end_at_once", "ending_tidily"]

# How each is handled where nobody has said otherwise, as nohup does.
_USUAL: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


class _Told(BaseException):
    """Told to end: no error, so nothing that handles errors may keep it."""


_told: list[int] = []


@contextmanager
def ending_tidily() -> Iterator[None]:
    """Have a signal to end run what `finally` says, so that no half-written file is left.

    For the command line only: the signals of a program that uses `clv` are its own.
    """
    _told.clear()
    if threading.current_thread() is threading.main_thread():
        for number, usual in _USUAL.items():
            if signal.getsignal(number) == usual:
                signal.signal(number, _tell)
    try:
        yield
    except BaseException:
        # DuckDB makes an error of its own of whatever interrupts it.
        if _told:
            sys.exit(128 + _told[0])
        raise
    finally:
        end_at_once()


def end_at_once() -> None:
    """Leave the signals to the system again, or to whoever listens to them next."""
    for number, usual in _USUAL.items():
        if signal.getsignal(number) is _tell:
            signal.signal(number, usual)


def _tell(number: int, _: FrameType | None) -> None:
    end_at_once()  # told twice, the program ends where it is
    _told.append(number)
    raise _Told
