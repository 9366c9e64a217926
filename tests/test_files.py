"""Outputs appear whole or not at all, and disturb nobody else's files."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clv.errors import OutputError
from clv.files import replacing, write_text


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_file_takes_its_place_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert (part.parent, path.read_text()) == (tmp_path, "old")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_was_there_stays_if_writing_fails(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_number_never_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"  # one process is as two containers are: one number, one volume
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_was_planted_is_never_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    monkeypatch.setattr("clv.leftovers.secrets.token_hex", lambda _: "guessed")
    for name in (f".out.csv.{os.getpid()}.part", ".out.csv.guessed.part"):
        (tmp_path / name).symlink_to(precious)
    with pytest.raises(OutputError, match="exists"):
        write_text(tmp_path / "out.csv", "new")
    assert precious.read_text() == "precious"
    monkeypatch.undo()
    write_text(tmp_path / "out.csv", "new")
    assert precious.read_text() == "precious"
    assert not (tmp_path / "out.csv").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_file_that_is_replaced_keeps_its_mode_from_the_first_byte(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    path.chmod(mode)
    with replacing(path) as part:
        assert mode_of(part) == mode
        if mode & stat.S_IWUSR:
            part.write_text("new")
    assert mode_of(path) == mode


def test_a_file_that_is_replaced_keeps_its_owner(tmp_path: Path) -> None:
    owner = (12_345, 12_346) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    path = tmp_path / "out.csv"
    path.write_text("old")
    os.chown(path, *owner)
    write_text(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    for umask, expected in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        os.umask(umask)
        path = tmp_path / f"{umask}.csv"
        write_text(path, "new")
        assert mode_of(path) == expected


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path, *, exists: bool) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = tmp_path / "out.csv"
    link.symlink_to(folder / "real.csv")
    if exists:
        (folder / "real.csv").write_text("old")
    write_text(link, "new")
    assert link.is_symlink()
    assert (folder / "real.csv").read_text() == "new"
    assert [path.name for path in folder.iterdir()] == ["real.csv"]


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "a", "new")


def test_a_missing_folder_is_said_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder '.*missing'.*make the folder, or"):
        write_text(tmp_path / "missing" / "out.csv", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        write_text(tmp_path / "out.csv", "new")


@pytest.mark.parametrize("length", [200, 255])
def test_the_longest_name_can_be_written(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("ö" * (length // 2 - 2) + ".csv")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_file_and_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.csv"
    synced: list[tuple[bool, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))
        real(descriptor)

    monkeypatch.setattr("clv.files.os.fsync", fsync)
    write_text(path, "new")
    assert synced == [(False, False), (True, True)], "the file before the rename, its folder after"


# ---------------------------------------------------------------- devices, pipes, descriptors


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    folder = Path("/dev")
    if os.geteuid() == 0:  # who could replace those of the machine has some of their own
        folder = tmp_path
        for name, minor in (("null", 3), ("full", 7)):
            os.mknod(folder / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
    write_text(folder / "null", "gone")
    with pytest.raises(OutputError, match="No space left on device"):
        write_text(folder / "full", "too much")
    for name in ("null", "full"):
        assert stat.S_ISCHR((folder / name).stat().st_mode)


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join()
    assert read == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_nothing_is_sent_if_writing_fails(tmp_path: Path) -> None:
    read, write = os.pipe()

    def fail() -> None:
        with replacing(Path(f"/dev/fd/{write}")) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    os.close(write)
    assert os.read(read, 10) == b""
    os.close(read)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_continued_where_it_stands(tmp_path: Path, name: str) -> None:
    script = (
        "import sys, pathlib, clv.files\n"
        "print('before', flush=True)\n"
        f"clv.files.write_text(pathlib.Path({name!r}), 'between\\n')\n"
        "print('after')"
    )
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nbetween\nafter\n"
    piped = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert piped.stdout == b"before\nbetween\nafter\n"
