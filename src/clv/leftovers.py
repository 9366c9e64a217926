"""Unfinished outputs of killed processes: who writes one holds its lock, so that others can tell.

The lock is the kernel's and ends with the process, in whatever container it runs. A network disk
may not show it to other machines: there nothing is locked and nothing removed.
"""

import fcntl
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["claim", "new_name", "sweep"]

# Earlier versions, which locked nothing, took 16 digits: theirs are not recognised.
_RANDOM_BYTES = 10
_MOUNTS = Path("/proc/self/mountinfo")
# What SQLite keeps beside a database that it writes, as for a backup.
_BESIDE = ("-journal", "-wal", "-shm")
#: File systems of one machine alone.
_LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})


def new_name(target: Path) -> Path:
    """A name beside `target` for its unfinished content, which nobody can foresee."""
    return target.with_name(f"{_beginning(target)}{secrets.token_hex(_RANDOM_BYTES)}.part")


def claim(opened: int, folder: Path) -> bool:
    """Lock a file that was just made, for as long as `opened` is open.

    Returns False if `sweep` was faster and removed it; make another one then.
    """
    if not _is_local(folder):
        return True
    with suppress(OSError):  # without its lock, it is removed by nobody who has none either
        fcntl.flock(opened, fcntl.LOCK_EX)
    return os.fstat(opened).st_nlink > 0


def sweep(target: Path) -> None:
    """Remove what killed processes left of `target`, and nothing that anybody may still write."""
    if not _is_local(target.parent):
        return
    pattern = re.compile(rf"{re.escape(_beginning(target))}[0-9a-f]{{{2 * _RANDOM_BYTES}}}\.part")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for left in [entry.path for entry in entries if pattern.fullmatch(entry.name)]:
            with suppress(OSError):
                _remove_if_left(left, target)


def _beginning(target: Path) -> str:
    return f".{target.name[:40]}."


def _remove_if_left(left: str, target: Path) -> None:
    # Neither a link is followed, nor a pipe waited for.
    opened = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            return
        if found.st_uid not in _owners(target):
            return
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have become the output meanwhile.
        if os.path.samestat(found, os.stat(left, follow_symlinks=False)):  # noqa: PTH116
            os.unlink(left)  # noqa: PTH108
            for beside in _BESIDE:
                with suppress(FileNotFoundError):
                    os.unlink(left + beside)  # noqa: PTH108
    finally:
        os.close(opened)


def _owners(target: Path) -> set[int]:
    """Whose an unfinished output is: its writer's, or already that of the file to replace."""
    owners = {os.geteuid()}
    with suppress(OSError):
        owners.add(target.stat().st_uid)
    return owners


def _is_local(folder: Path) -> bool:
    """Whether all processes that can write to a folder see the same locks; False if unknown."""
    try:
        device = folder.stat().st_dev
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        mount, _, kind = line.partition(" - ")
        fields = mount.split(" ", 3)
        if len(fields) > 2 and fields[2] == wanted:
            return kind.split(" ", 1)[0] in _LOCAL
    return False
