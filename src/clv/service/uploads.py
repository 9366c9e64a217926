"""Uploaded lists: few are held on disk at a time, each waits for its turn, the rest get a 503.

Small lists have turns of their own, so that they never wait behind large ones. While a list waits,
its client may leave and the service may be asked to stop; neither leaves work behind.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request

from clv.aside import Aside
from clv.service.problems import RefusedError
from clv.service.receiving import stored
from clv.service.temporary import locked_folder, sweep

__all__ = ["THREADS", "Uploads"]

_T = TypeVar("_T")

#: The name of the threads in which lists are read and judged.
THREADS = "judging"
_PREFIX = "clv-upload-"
_SMALL_BYTES = 2**20
_SMALL_PER_LARGE = 4
_WAIT_S = 60.0
# A service that is asked to stop ends within 20 s; what is at work then may take most of it.
_LAST_S = 15.0


class _Lane:
    """Lists of one size: at most `most` are held at a time, and one is judged."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self.turn = asyncio.Lock()


class Uploads:
    """The lists that a worker holds.

    Parameters
    ----------
    most : int
        Large lists held at a time, whether they still arrive, wait or are judged. There may be
        four times as many small ones, of at most 1 MiB each.
    most_bytes : int
        Size of the largest list.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._large = _Lane(most)
        self._small = _Lane(most * _SMALL_PER_LARGE)
        self._stopping = asyncio.Event()
        self._over = asyncio.Event()
        self._threads = Aside(THREADS, threads=2)
        sweep(_PREFIX)

    @asynccontextmanager
    async def kept(self, request: Request, suffix: str) -> AsyncIterator[Path]:
        """Store the body in a temporary file, and wait until it is its turn to be judged.

        Parameters
        ----------
        request : Request
        suffix : str
            Of the file's name, such as ".csv".

        Raises
        ------
        RefusedError
            503 if too many lists are held already, if there is no room on the disk, if its turn
            does not come in time or the service is asked to stop; 408 if the client leaves; 413 if
            it is too large.
        """
        with self._admitted(_lane_of(request, self._small, self._large)) as lane:
            try:
                with locked_folder(_PREFIX) as folder:
                    path = folder / f"list{suffix}"
                    await stored(request, path, self._most_bytes)
                    async with self._turn(lane, request):
                        yield path
            except OSError as error:
                raise _unavailable(
                    f"The list could not be stored while it is read: {error.strerror}. Try again "
                    "later.",
                    retry_s=30,
                ) from error

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[None]:
        """Wait until it is the turn of a request whose body is small and read already."""
        with self._admitted(self._small) as lane:
            async with self._turn(lane, request):
                yield

    async def run(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """What the function returns, in a thread that the end of the service does not wait for.

        Raises
        ------
        RefusedError
            503 if it is not done by the time the service ends.
        """
        work = self._threads.start(function, *arguments)
        over = asyncio.create_task(self._over.wait())
        both: set[asyncio.Future[Any]] = {work, over}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
        if not work.done():
            work.cancel()
            raise _shutting_down()
        return work.result()

    def stop(self) -> None:
        """Refuse the lists that wait and those to come; the ones at work have a few seconds."""
        if not self._stopping.is_set():
            self._stopping.set()
            asyncio.get_running_loop().call_later(_LAST_S, self._over.set)

    def close(self) -> None:
        """End the threads that have nothing to do."""
        self._threads.stop(wait_s=0.1)

    @contextlib.contextmanager
    def _admitted(self, lane: _Lane) -> Iterator[_Lane]:
        if self._stopping.is_set():
            raise _shutting_down()
        if lane.held >= lane.most:
            raise _unavailable(
                f"{lane.held} lists are being received or judged already. Try again in a moment.",
                retry_s=10,
            )
        lane.held += 1
        try:
            yield lane
        finally:
            lane.held -= 1

    @asynccontextmanager
    async def _turn(self, lane: _Lane, request: Request) -> AsyncIterator[None]:
        left = asyncio.create_task(_left(request))
        stopping = asyncio.create_task(self._stopping.wait())
        turn = asyncio.create_task(lane.turn.acquire())
        try:
            await asyncio.wait(
                {left, stopping, turn}, timeout=_WAIT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if left.done():
                raise RefusedError(
                    HTTPStatus.REQUEST_TIMEOUT,
                    "The client disconnected before its list was judged.",
                )
            if self._stopping.is_set():
                raise _shutting_down()
            if not turn.done():
                raise _unavailable(
                    f"Other lists took longer than {_WAIT_S:g} s. Try again later.", retry_s=30
                )
            left.cancel()
            yield
        finally:
            for task in (left, stopping, turn):
                task.cancel()
            if turn.done() and not turn.cancelled():
                lane.turn.release()


def _lane_of(request: Request, small: _Lane, large: _Lane) -> _Lane:
    declared = int(request.headers.get("content-length", _SMALL_BYTES + 1))
    return small if declared <= _SMALL_BYTES else large


async def _left(request: Request) -> None:
    """Return once the client is gone; its body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _unavailable(detail: str, *, retry_s: int) -> RefusedError:
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(retry_s)}
    )


def _shutting_down() -> RefusedError:
    return _unavailable("The service is shutting down. Try again.", retry_s=5)
