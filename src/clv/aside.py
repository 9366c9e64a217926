"""Threads for work that may hang, so that nobody else waits for it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

__all__ = ["Aside"]

_T = TypeVar("_T")


class Aside:
    """Runs functions in threads of its own, whoever calls from an event loop.

    The threads are daemons: no loop and no process waits for one that hangs when it ends, as both
    would for those of the standard library's executors.

    Parameters
    ----------
    name : str
        Of the threads.
    threads : int
        Functions at a time; others wait for their turn.
    limit_s : float, optional
        Seconds until `run` gives a function up, the wait for its turn included.
    late : callable, optional
        Makes the error that `run` raises then; a `TimeoutError` by default.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        limit_s: float | None = None,
        late: Callable[[], Exception] = TimeoutError,
    ) -> None:
        self._name = name
        self._most = threads
        self._limit_s = limit_s
        self._late = late
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._starting = Lock()

    async def run(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """What the function returns or raises; one that is given up in its turn runs on."""
        done = self.start(function, *arguments)
        try:
            async with asyncio.timeout(self._limit_s):
                return await done
        except TimeoutError as error:
            raise self._late() from error

    def start(self, function: Callable[..., _T], *arguments: Any) -> "asyncio.Future[_T]":
        """Begin a function, which is waited for without limit."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()
        self._waiting.put(partial(_work, loop, done, function, arguments))
        if len(self._threads) < self._most:
            self._one_more()
        return done

    def stop(self, wait_s: float) -> None:
        """End the threads once what was begun is done; waits at most so long for each. Blocks."""
        with self._starting:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._waiting.put(None)
        for thread in threads:
            thread.join(wait_s)

    def _one_more(self) -> None:
        thread = Thread(target=self._take, name=self._name, daemon=True)
        with self._starting:
            self._threads.append(thread)
        thread.start()

    def _take(self) -> None:
        while (work := self._waiting.get()) is not None:
            work()
            del work  # a finished result must not live until the next


def _work(
    loop: asyncio.AbstractEventLoop,
    done: "asyncio.Future[_T]",
    function: Callable[..., _T],
    arguments: tuple[Any, ...],
) -> None:
    """In a thread: run the function and tell the loop."""
    if done.cancelled():  # given up before its turn came
        return
    settle: Callable[[], None]
    try:
        settle = partial(done.set_result, function(*arguments))
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
        # A panic of an extension in Rust is no `Exception`. Whatever it is, its caller is told, and
        # neither the thread nor the loop ends by it.
        known = error if isinstance(error, Exception) else RuntimeError(repr(error))
        settle = partial(done.set_exception, known)
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(_unless_done, done, settle)


def _unless_done(done: "asyncio.Future[_T]", settle: Callable[[], None]) -> None:
    if not done.done():
        settle()
