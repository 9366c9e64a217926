"""The files in which the workers of a service keep their metrics.

Each worker has a place among them, a number in the names of its files. Who dies leaves the place to
whoever is started instead, so that however many die, the files need no more room than at the start.

Importing this decides nothing of how they are kept, as importing `metrics` does.
"""

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from clv.errors import ServeError
from clv.service.temporary import AT_ONCE, SHARED, locked, locked_folder, sweep

__all__ = ["Place", "folder_for_metrics", "forget_the_dead"]

# What `prometheus_client` calls the files of a process, by kind of metric; and the room to reserve
# in each, for some 7,000 values. A place is held by the lock of its last file.
_STATES = ("gauge_livesum", "gauge_livemax")
_KINDS = (*_STATES, "histogram", "counter")
_FILE_BYTES = 2**20
_PREFIX = "clv-metrics-"
_DOOR = "places"


@contextlib.contextmanager
def folder_for_metrics(workers: int) -> Iterator[Path]:
    """A folder for the workers that this process starts; those that others left are removed.

    Raises
    ------
    ServeError
        Where there is no room for them.
    """
    with _room_in("the folder for temporary files"), contextlib.ExitStack() as held:
        sweep(_PREFIX)
        folder = held.enter_context(locked_folder(_PREFIX))
        with _room_in(folder):
            for place in range(workers):
                _reserve(folder, place)
        kept = held.pop_all()
    with kept:
        yield folder


class Place:
    """The first place that no living worker has; it is this process's until that ends.

    What a dead worker counted there stays and is counted on; how it stood is forgotten. Two places
    are never equal: after a folder was made again, the same number means other files.

    Parameters
    ----------
    folder : Path
        Made again if it is gone.

    Raises
    ------
    ServeError
        If all places that were reserved are taken, and there is no room for another.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = contextlib.ExitStack()  # locks, as long as this process lives
        with _room_in(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            self._held.enter_context(locked(folder, SHARED))
            (folder / _DOOR).touch()
        with locked(folder / _DOOR, fcntl.LOCK_EX):
            self.number = next(filter(self._take, itertools.count()))

    def __str__(self) -> str:
        """The number, as names of files have it."""
        return str(self.number)

    def _take(self, number: int) -> bool:
        with _room_in(self._folder):
            _reserve(self._folder, number)
        self._lock = _lock_of(self._folder, number)
        try:
            self._file = self._held.enter_context(locked(self._lock, AT_ONCE))
        except BlockingIOError:
            return False
        _forget_state(self._folder, number)
        return True

    @property
    def is_there(self) -> bool:
        """Whether its files are those that were opened: temporary files may be cleaned away."""
        try:
            return os.path.samestat(os.fstat(self._file), self._lock.stat())
        except OSError:
            return False

    def leave(self) -> None:
        """Give it up."""
        self._held.close()


def forget_the_dead(folder: Path) -> None:
    """How a worker stood that died would stay in the sums for ever; what it counted stays."""
    with locked(folder / _DOOR, fcntl.LOCK_EX):  # nobody takes a place meanwhile
        for place in range(len(list(folder.glob(f"{_KINDS[-1]}_*.db")))):
            with contextlib.suppress(BlockingIOError), locked(_lock_of(folder, place), AT_ONCE):
                _forget_state(folder, place)


def _reserve(folder: Path, place: int) -> None:
    """Take the room on the disk that the files of a place need, where they do not have it.

    The library maps files with holes into memory. To write into a hole of a disk that is full by
    then is no error that could be caught: the system ends the process.
    """
    part = folder / "part"
    for kind in _KINDS:
        file = _file(folder, kind, place)
        if not file.exists():
            with part.open("wb") as opened:
                os.posix_fallocate(opened.fileno(), 0, _FILE_BYTES)
            part.rename(file)  # whoever adds all up meanwhile does not meet an empty one


@contextlib.contextmanager
def _room_in(where: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServeError(
            f"There is no room for metrics in '{where}': {error.strerror}. Free "
            f"{len(_KINDS) * _FILE_BYTES // 2**20} MiB a worker there, or set TMPDIR to another "
            "folder."
        ) from error


def _forget_state(folder: Path, place: int) -> None:
    for kind in _STATES:
        with _file(folder, kind, place).open("r+b") as opened:
            opened.write(bytes(8))  # says how much of it is used


def _file(folder: Path, kind: str, place: int) -> Path:
    return folder / f"{kind}_{place}.db"


def _lock_of(folder: Path, place: int) -> Path:
    return _file(folder, _KINDS[-1], place)
