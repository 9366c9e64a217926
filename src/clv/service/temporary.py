"""Folders for temporary files that do not outlive the process that made them, however it ends."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["AT_ONCE", "SHARED", "locked", "locked_folder", "sweep"]

#: How to lock: alone or beside others of the kind, without waiting.
AT_ONCE = fcntl.LOCK_EX | fcntl.LOCK_NB
SHARED = fcntl.LOCK_SH | fcntl.LOCK_NB


@contextlib.contextmanager
def locked_folder(prefix: str) -> Iterator[Path]:
    """A new folder, readable by its owner alone, until the block ends.

    Its lock holds as long as this process lives: `sweep` removes those of dead ones.
    """
    parent = Path(tempfile.gettempdir())
    # It gets its name once it is locked: another process may sweep just now.
    unnamed = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=parent))
    with locked(unnamed, SHARED):
        folder = unnamed.rename(parent / unnamed.name.removeprefix("."))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(prefix: str) -> None:
    """Remove the folders that killed processes left behind."""
    for left in filter(Path.is_dir, Path(tempfile.gettempdir()).glob(f"{prefix}*")):
        with contextlib.suppress(OSError), locked(left, AT_ONCE):
            shutil.rmtree(left)


@contextlib.contextmanager
def locked(path: Path, how: int) -> Iterator[int]:
    """Hold the lock of a file or folder; OSError if it is held elsewhere and `how` says so.

    Yields its descriptor.
    """
    opened = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(opened, how)
        yield opened
    finally:
        os.close(opened)
