"""Work that may hang, kept from holding up anybody else."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any, TypeVar

__all__ = ["Aside"]

_T = TypeVar("_T")


class Aside:
    """Runs functions in threads of its own, and waits only so long for each.

    The threads are daemons: no loop and no process waits for one that hangs when it ends. A
    function that is given up runs on, and counts until it returns.

    Parameters
    ----------
    most : int
        Functions at a time; others wait for their turn.
    limit_s : float
        Seconds until a function is given up, its wait for its turn included.
    late : callable
        Makes the error that is raised then.
    """

    def __init__(self, most: int, limit_s: float, late: Callable[[], Exception]) -> None:
        self._free = asyncio.Semaphore(most)
        self._limit_s = limit_s
        self._late = late

    async def run(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """What the function returns or raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()
        try:
            async with asyncio.timeout(self._limit_s):
                await self._free.acquire()
                work = (loop, done, function, arguments)
                Thread(target=self._work, args=work, name="aside", daemon=True).start()
                return await done
        except TimeoutError as error:
            raise self._late() from error

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        done: "asyncio.Future[_T]",
        function: Callable[..., _T],
        arguments: tuple[Any, ...],
    ) -> None:
        settle: Callable[[], None]
        try:
            settle = partial(done.set_result, function(*arguments))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            settle = partial(done.set_exception, error)

        def tell() -> None:
            self._free.release()
            if not done.done():  # nobody waits for it any more
                settle()

        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell)
