"""The files in which the workers of a service keep their metrics.

Importing this decides nothing of how they are kept, as importing `metrics` does.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clv.errors import ServeError

__all__ = ["folder_for_metrics", "reserve"]

# What `prometheus_client` calls the files of a process, by kind of metric; and the room to reserve
# in each, for some 7,000 values.
_KINDS = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
_FILE_BYTES = 2**20
_PREFIX = "clv-metrics-"


@contextlib.contextmanager
def folder_for_metrics() -> Iterator[Path]:
    """A folder for the workers that this process starts; those that others left are removed.

    Raises
    ------
    ServeError
        Where there is no room for them.
    """
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{_PREFIX}*"):
        # Whose process lives holds the lock of its folder, however others end.
        with contextlib.suppress(OSError), _locked(left):
            shutil.rmtree(left)
    # It gets its name once it is locked: somebody else may look through them just now.
    unnamed = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    with _locked(unnamed):
        folder = unnamed.rename(parent / unnamed.name.removeprefix("."))
        try:
            for trial in reserve(folder, 0):
                trial.unlink()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def reserve(folder: Path, process: int) -> list[Path]:
    """Take the room on the disk that the values of a process need; says which files have it.

    The library maps files with holes into memory. To write into a hole of a disk that is full by
    then is no error that could be caught: the system ends the process.

    Raises
    ------
    ServeError
        Where there is no room.
    """
    files = [folder / f"{kind}_{process}.db" for kind in _KINDS]
    try:
        for file in files:
            with file.open("ab") as opened:
                os.posix_fallocate(opened.fileno(), 0, _FILE_BYTES)
    except OSError as error:
        raise ServeError(
            f"There is no room for metrics in '{folder}': {error.strerror}. Free "
            f"{len(files) * _FILE_BYTES // 2**20} MiB a worker there, or set TMPDIR to another "
            "folder."
        ) from error
    return files


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; OSError where somebody else does."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)
