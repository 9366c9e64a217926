"""What killed processes left of an output is removed; what anybody may still write is not."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clv import leftovers
from clv.files import replacing, write_text

#: Writes to an output and then waits for a line: killed there, or going on.
_WRITES = """
import pathlib, sys
from clv.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as part:
    part.write_text("half")
    print(part.name, flush=True)
    sys.stdin.readline()
    part.write_text("of another process")
"""


def writer(path: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has written half of an output, and where."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITES, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, path.with_name(process.stdout.readline().strip())


def local(folder: Path) -> bool:
    return leftovers._is_local(folder)


def test_the_next_writer_of_an_output_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    if not local(tmp_path):
        pytest.skip("a file system whose locks may be those of one machine alone")
    path = tmp_path / "out.csv"
    process, left = writer(path)
    process.kill()
    process.communicate()
    assert left.read_text() == "half"
    write_text(tmp_path / "another.csv", "new")
    assert left.exists(), "it is of another output"
    write_text(path, "new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["another.csv", "out.csv"]


def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    process, part = writer(path)
    with replacing(path) as own:  # of this process, too
        write_text(path, "new")
        assert (part.exists(), own.exists(), path.read_text()) == (True, True, "new")
    process.communicate("\n")
    assert process.returncode == 0
    assert path.read_text() == "of another process"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_certainly_a_leftover_stays(tmp_path: Path) -> None:
    path, digits = tmp_path / "out.csv", "0123456789abcdef0123"
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    foreign = [
        tmp_path / name
        for name in (
            ".out.csv.part",
            ".out.csv.4242.part",
            f".out.csv.{digits[:16]}.part",  # of a version that locked nothing
            f".out.csv.{digits[:-1]}X.part",
            f".out.csv.{digits}.part~",
            f"out.csv.{digits}.part",
            f".out_csv.{digits}.part",
            f".out.csv.gz.{digits}.part",
        )
    ]
    for file in foreign:
        file.write_text("foreign")
    (tmp_path / f".out.csv.1{digits[1:]}.part").symlink_to(precious)
    (tmp_path / f".out.csv.2{digits[1:]}.part").hardlink_to(precious)
    (tmp_path / f".out.csv.3{digits[1:]}.part").mkdir()
    os.mkfifo(tmp_path / f".out.csv.4{digits[1:]}.part")
    if os.geteuid() == 0:
        strangers = tmp_path / f".out.csv.5{digits[1:]}.part"
        strangers.write_text("of another user")
        os.chown(strangers, 12_345, 12_346)
    before = {one.name for one in tmp_path.iterdir()}
    write_text(path, "new")
    assert {one.name for one in tmp_path.iterdir()} == before | {"out.csv"}
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("mounts", [None, "1 2 {device} / {folder} rw - nfs4 server:/ rw\n", ""])
def test_where_other_machines_may_write_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str | None
) -> None:
    left = leftovers.new_name(tmp_path / "out.csv")
    left.write_text("half")
    said = tmp_path / "mounts"
    if mounts is not None:
        device = tmp_path.stat().st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        said.write_text(mounts.format(device=number, folder=tmp_path))
    monkeypatch.setattr(leftovers, "_MOUNTS", said)
    write_text(tmp_path / "out.csv", "new")
    assert left.exists()


def test_a_new_file_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not local(tmp_path):
        pytest.skip("a file system whose locks may be those of one machine alone")
    path, lock, removed = tmp_path / "out.csv", fcntl.flock, []

    def late(opened: int, how: int) -> None:
        if not removed:  # another process looks for leftovers just now
            removed.extend(tmp_path.glob(".out.csv.*.part"))
            monkeypatch.setattr("clv.leftovers.fcntl.flock", lock)
            leftovers.sweep(path)
        lock(opened, how)

    monkeypatch.setattr("clv.leftovers.fcntl.flock", late)
    write_text(path, "new")
    assert len(removed) == 1
    assert (path.read_text(), list(tmp_path.iterdir())) == ("new", [path])
