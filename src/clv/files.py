"""Outputs: a file appears whole or not at all; a device or a pipe is written to."""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clv.errors import OutputError
from clv.leftovers import claim, new_name, sweep

__all__ = ["is_stream", "replacing", "target_of", "write_text"]

# What the standard streams and process substitution are called: /dev/stdout, /dev/fd/63.
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_NAMED = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def is_stream(path: Path) -> bool:
    """Whether `path` is a device, a pipe or an open descriptor, which cannot be replaced."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:  # not there yet, or not for us to see
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give an empty file to write to; it becomes `path` when the block ends well.

    Otherwise it goes, and what stood at `path` before stays. The file lies beside `path`, has a
    name that nobody can foresee, and keeps the mode and the owner of the file that it replaces. A
    symbolic link is followed: its target is replaced. What a killed process left there of the same
    output is removed first (see `clv.leftovers`). A device, a pipe or a descriptor such as
    /dev/stdout receives what was written once it is complete.

    Raises
    ------
    OutputError
        If the folder does not exist, or a file cannot be made or put there.
    """
    if is_stream(path):
        with tempfile.TemporaryDirectory(prefix="clv-") as folder:
            whole = Path(folder) / "output"
            whole.touch()
            yield whole
            _send(whole, path)
        return
    target = target_of(path)
    sweep(target)
    try:
        part, opened = _create(target)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield part
        try:
            _put(part, target)
        except OSError as error:
            raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):  # it took its place, or its folder is gone
            part.unlink()
        os.close(opened)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, as `replacing` does.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(path) as part:
        try:
            part.write_text(text, encoding="utf-8")
        except OSError as error:
            raise _unwritable(path, error) from error


def target_of(path: Path) -> Path:
    """The file that an output's name leads to, in a folder that exists.

    Raises
    ------
    OutputError
        If there is no such folder, or a folder of that name.
    """
    try:
        target = path.resolve()
        is_folder = target.is_dir()
    except RuntimeError as error:
        raise OutputError(f"'{path}' cannot be written: its symbolic links form a loop.") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    if is_folder:
        raise OutputError(
            f"'{path}' cannot be written: it is a folder. Nothing was changed; give the name of a "
            "file."
        )
    if not target.parent.is_dir():
        raise OutputError(
            f"'{path}' cannot be written: there is no folder '{target.parent}'. Nothing was "
            "changed; make the folder, or write to another one."
        )
    return target


def _create(target: Path) -> tuple[Path, int]:
    """Make the file that will take the place of `target`, readable by nobody else than it.

    Returns its name and its descriptor, which keeps others from removing it while it is open.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    while True:
        part = new_name(target)
        try:
            before = target.stat()
        except FileNotFoundError:
            opened = os.open(part, flags, 0o666)  # less what the umask takes
        else:
            opened = os.open(part, flags, 0o600)
            _take_over(opened, before)
        if claim(opened, target.parent):
            return part, opened
        os.close(opened)


def _take_over(opened: int, before: os.stat_result) -> None:
    """Give a file the owner and the mode of the one that it replaces."""
    try:
        with suppress(PermissionError):  # only root gives files away
            os.fchown(opened, before.st_uid, before.st_gid)
        with suppress(PermissionError):  # not every disk has permissions
            os.fchmod(opened, stat.S_IMODE(before.st_mode))
    except OSError:
        os.close(opened)
        raise


def _put(part: Path, target: Path) -> None:
    """Have the file and its name outlast a loss of power."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    with suppress(OSError):  # not every file system syncs folders
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _send(whole: Path, path: Path) -> None:
    descriptor = _descriptor(path)
    try:
        # A descriptor is written to where it stands; to open its file again would begin at 0.
        opened = os.open(path, os.O_WRONLY) if descriptor is None else os.dup(descriptor)
        with whole.open("rb") as source, os.fdopen(opened, "wb") as sink:
            shutil.copyfileobj(source, sink)
    except OSError as error:
        raise _unwritable(path, error) from error


def _descriptor(path: Path) -> int | None:
    """The number of an open descriptor of this process, if `path` names one."""
    name = os.path.normpath(path)
    if name in _NAMED:
        return _NAMED[name]
    found = _DESCRIPTOR.fullmatch(name)
    return int(found[1]) if found else None


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"'{path}' cannot be written: {error.strerror or error}. Nothing was changed; check the "
        "disk and your permissions, or write somewhere else."
    )
