"""`clv` as a process of its own: its exit code, and what it says where."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = {
    "done": (["sample-data", "--passengers", "40", "--json"], {}),
    "failed": (["models", "rollback"], {}),
    "misused": (["sample-data"], {"CLV_PORT": "http"}),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> dict[str, tuple[int, str, str]]:
    """All of them at once, for each takes seconds to start."""
    folder = tmp_path_factory.mktemp("processes")
    usual = {name: value for name, value in os.environ.items() if not name.startswith("CLV_")}
    started = {
        name: subprocess.Popen(
            [Path(sys.executable).with_name("clv"), *arguments],
            env={**usual, "CLV_HOME": "home", **variables},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (arguments, variables) in COMMANDS.items()
    }
    ends = {}
    for name, process in started.items():
        out, err = process.communicate()
        ends[name] = (process.returncode, out, err)
    return ends


def test_what_is_done_ends_with_0_and_the_answer_alone(finished):
    code, out, err = finished["done"]
    assert (code, err) == (0, "")
    assert json.loads(out)["activity_rows"] == 40


def test_what_failed_ends_with_1_and_one_line_that_says_why(finished):
    assert finished["failed"] == (
        1,
        "",
        "clv: There is no champion yet. Train one: clv train --data SOURCE\n",
    )


def test_what_was_misused_ends_with_2_and_one_line_that_says_why(finished):
    code, out, err = finished["misused"]
    assert (code, out) == (2, "")
    assert err.startswith("clv: CLV_PORT is 'http': input should be a valid integer")
    assert err.count("\n") == 1


# ---------------------------------------------------------------- two processes, one output

#: As the first process of each of two containers: both have the same number.
SAME_NUMBER = "import os\nos.getpid = lambda: 4242\n"
#: Two that write at the same time: neither goes on until the other has come as far.
TOGETHER = """
import pathlib, time, pyarrow.csv
me, other = os.environ["ME"], os.environ["OTHER"]
def meet(where):
    pathlib.Path(f"{me}.{where}").touch()
    for _ in range(3000):
        if pathlib.Path(f"{other}.{where}").exists():
            return
        time.sleep(0.1)
    raise SystemExit("the other did not come")
opening, syncing = pyarrow.csv.CSVWriter, os.fsync
def opened(*arguments):
    writer = opening(*arguments)
    meet("opened")
    return writer
def synced(descriptor):
    meet("written")
    syncing(descriptor)
pyarrow.csv.CSVWriter, os.fsync = opened, synced
"""
GUESSED = "import secrets\nsecrets.token_hex = lambda *_: 'guessed'\n"
CLV = "\nfrom clv.cli import main\nmain()\n"


def started(script: str, folder: Path, home: Path, *arguments: str, **variables: str):
    usual = {name: value for name, value in os.environ.items() if not name.startswith("CLV_")}
    return subprocess.Popen(
        [sys.executable, "-c", script + CLV, *arguments],
        env={**usual, "CLV_HOME": str(home), **variables},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def passengers(file: Path, beginning: str, rows: int) -> None:
    lines = [f"{beginning}{number},1,1,8.5\n" for number in range(rows)]
    file.write_text("id,recency_7,frequency_7,monetary_value_7\n" + "".join(lines))


def test_two_processes_of_one_number_do_not_mix_their_rows(trained_home: Path, tmp_path: Path):
    rows = {"a": 40_000, "b": 30_000}
    for name, count in rows.items():
        passengers(tmp_path / f"{name}.csv", name, count)
    both = [
        started(SAME_NUMBER + TOGETHER, tmp_path, trained_home,
                "score", f"{name}.csv", "--output", "out.csv", ME=name, OTHER=other)
        for name, other in (("a", "b"), ("b", "a"))
    ]  # fmt: skip
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0, err
    header, *lines = (tmp_path / "out.csv").read_text().splitlines()
    assert header.startswith('"id"')
    beginnings = {line[1] for line in lines}
    assert len(beginnings) == 1
    assert len(lines) == rows[beginnings.pop()]
    assert {path.name for path in tmp_path.iterdir()} - {"a.csv", "b.csv", "out.csv"} == {
        f"{name}.{where}" for name in "ab" for where in ("opened", "written")
    }


@pytest.mark.parametrize(("guess", "code"), [("", 0), (GUESSED, 1)])
def test_a_link_at_a_foreseeable_name_is_not_followed(
    trained_home: Path, tmp_path: Path, guess: str, code: int
):
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    passengers(tmp_path / "ids.csv", "", 1)
    links = [tmp_path / f".pred.csv.{token}.part" for token in ("4242", "guessed")]
    for link in links:
        link.symlink_to("precious.txt")
    process = started(
        SAME_NUMBER + guess, tmp_path, trained_home, "score", "ids.csv", "--output", "pred.csv"
    )
    _, err = process.communicate()
    assert process.returncode == code, err
    assert precious.read_text() == "precious"
    assert all(link.is_symlink() for link in links)
    output = tmp_path / "pred.csv"
    assert not output.is_symlink()
    assert output.exists() == (code == 0)


def test_what_a_killed_process_left_is_removed_by_the_next_one(trained_home: Path, tmp_path: Path):
    passengers(tmp_path / "ids.csv", "", 1)
    killing = "import os, signal\nos.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
    for script, code in ((killing, -9), ("", 0)):
        process = started(script, tmp_path, trained_home,
                          "score", "ids.csv", "--output", "pred.csv")  # fmt: skip
        _, err = process.communicate()
        assert process.returncode == code, err
        left = list(tmp_path.glob(".pred.csv.*.part"))
        assert (len(left), (tmp_path / "pred.csv").exists()) == ((1, False) if code else (0, True))
