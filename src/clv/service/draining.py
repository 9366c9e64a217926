"""Being asked to stop: readiness fails first, and only then does the service stop accepting."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from clv.service.worker import Worker

__all__ = ["draining", "ending_signals"]

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def draining(worker: Worker, seconds: float) -> Iterator[None]:
    """Put `seconds` between a SIGTERM and what uvicorn does at it, and fail readiness meanwhile.

    uvicorn closes its socket at once, while a load balancer still sends requests to it. A SIGHUP,
    as of a terminal that is closed, is taken for a SIGTERM unless it is ignored, as by `nohup`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can listen to signals
        return
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)

    def begin(_: int, frame: FrameType | None) -> None:
        if worker.draining or not callable(stop):
            return
        worker.draining = True
        loop.call_soon_threadsafe(worker.uploads.stop)
        _log.info("Asked to stop: not ready any more, accepting for another %g s", seconds)
        if seconds:
            loop.call_soon_threadsafe(loop.call_later, seconds, stop, signal.SIGTERM, frame)
        else:
            stop(signal.SIGTERM, frame)

    before = {number: signal.signal(number, begin) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ending_signals() -> list[signal.Signals]:
    """The signals that ask this process to end."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM] if ignored else [signal.SIGTERM, signal.SIGHUP]
