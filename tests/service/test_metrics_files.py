"""The files of the metrics: their room is theirs from the start, and nobody's who is gone."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clv.errors import ServeError
from clv.service.metrics_files import folder_for_metrics

_HOLD = """
import sys
from pathlib import Path
from clv.service.metrics_files import Place
place = Place(Path(sys.argv[1]))
print(place, flush=True)
sys.stdin.read()
"""
_BEGIN = """
import sys
from clv.service.metrics_files import folder_for_metrics
with folder_for_metrics(1) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, here and in processes that are started."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    monkeypatch.setattr(tempfile, "tempdir", None)


def another(program: str, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """A process that lives until it is killed, and the line that it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_what_a_killed_service_left_is_removed_and_that_of_a_living_one_stays(
    temporary: Path,
) -> None:
    killed, left = another(_BEGIN)
    kill(killed)
    living, kept = another(_BEGIN)
    try:
        assert not Path(left).exists()
        os.mkfifo(temporary / "clv-metrics-pipe")  # opening it would wait for who writes into it
        with folder_for_metrics(1) as own:
            assert {one for one in temporary.iterdir() if one.is_dir()} == {Path(kept), own}
    finally:
        kill(living)


def test_every_file_has_its_room_on_the_disk(temporary: Path) -> None:
    with folder_for_metrics(2) as folder:
        files = list(folder.glob("*.db"))
        assert len(files) == 2 * 4
        for file in files:
            assert file.stat().st_blocks * 512 >= file.stat().st_size == 2**20


def test_who_dies_leaves_the_place_to_the_next(temporary: Path) -> None:
    with folder_for_metrics(2) as folder:
        first, said = another(_HOLD, str(folder))
        second, also_said = another(_HOLD, str(folder))
        assert (said, also_said) == ("0", "1")
        try:
            names = {path.name for path in folder.iterdir()}
            assert len(names) == 2 * 4 + 1
            kill(first)
            first, said = another(_HOLD, str(folder))
            assert said == "0"
            assert {path.name for path in folder.iterdir()} == names, "no more room is needed"
            third, said = another(_HOLD, str(folder))  # as if one is started before another ends
            kill(third)
            assert said == "2"
        finally:
            kill(first)
            kill(second)


def test_without_a_folder_for_temporary_files_it_is_said_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    with pytest.raises(ServeError, match="set TMPDIR to another"), folder_for_metrics(1):
        pass
