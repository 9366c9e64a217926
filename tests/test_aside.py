"""What hangs is given up, and holds up neither others nor the end."""

import asyncio
import subprocess
import sys
import threading

import pytest

from clv.aside import Aside
from clv.errors import ClvError


def late() -> ClvError:
    return ClvError("too late")


def test_what_is_returned_and_raised_arrives() -> None:
    async def ask() -> None:
        aside = Aside("test", 1, 30, late)
        assert await aside.run(divmod, 17, 5) == (3, 2)
        with pytest.raises(ZeroDivisionError):
            await aside.run(divmod, 1, 0)
        assert await asyncio.gather(*(aside.run(abs, -k) for k in range(20))) == list(range(20))

    asyncio.run(ask())


def test_what_is_no_exception_is_told_too_and_the_thread_goes_on() -> None:
    class Panic(BaseException):
        """As an extension in Rust raises it."""

    def panic() -> None:
        raise Panic("index out of bounds")

    async def ask() -> None:
        aside = Aside("test", 1, 30, late)
        for fail in (panic, lambda: sys.exit(3)):
            with pytest.raises(RuntimeError, match=r"index out of bounds|SystemExit\(3\)"):
                await aside.run(fail)
        assert await aside.run(abs, -1) == 1

    asyncio.run(ask())


def test_what_hangs_is_given_up_and_keeps_its_place_until_it_returns() -> None:
    async def ask() -> None:
        aside = Aside("test", 2, 0.05, late)
        go = threading.Event()
        with pytest.raises(ClvError, match="too late"):
            await aside.run(go.wait)
        assert await aside.run(abs, -1) == 1  # one place is left
        with pytest.raises(ClvError, match="too late"):
            await aside.run(go.wait)
        with pytest.raises(ClvError, match="too late"):
            await aside.run(abs, -1)  # waits for a place as long as it may, and is given up
        go.set()
        patient = Aside("test", 1, 30, late)
        assert await patient.run(abs, -1) == 1
        for _ in range(1_000):
            try:
                assert await aside.run(abs, -2) == 2
                return
            except ClvError:
                continue
        raise AssertionError("the places were never given back")

    asyncio.run(ask())


def test_no_process_waits_for_what_hangs_when_it_ends() -> None:
    code = """
import asyncio, threading
from clv.aside import Aside

async def main():
    try:
        await Aside("test", 1, 0.05, lambda: ValueError("late")).run(threading.Event().wait)
    except ValueError as error:
        print(error)

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "late\n"
    assert ended.stderr == ""


def test_stopping_waits_for_what_was_begun_and_no_longer_than_it_may() -> None:
    async def ask() -> None:
        aside, go, ended = Aside("test", 1), threading.Event(), []
        begun = aside.start(lambda: ended.append(go.wait(30)))
        aside.stop(wait_s=0.0)
        go.set()
        await begun
        again = aside.start(ended.append, 2)  # a thread is made again for whoever comes later
        await again
        aside.stop(wait_s=30)
        assert ended == [True, 2]

    asyncio.run(ask())


def test_who_is_cancelled_before_its_turn_is_not_begun() -> None:
    async def ask() -> None:
        aside, go = Aside("test", 1), threading.Event()
        begun: list[int] = []
        first, second = aside.start(go.wait, 30), aside.start(begun.append, 2)
        second.cancel()
        go.set()
        assert await first
        await aside.run(begun.append, 3)
        assert begun == [3]

    asyncio.run(ask())
