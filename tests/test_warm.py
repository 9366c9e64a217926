"""A process forked from a warm one is like one that was started, and ends with the tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.commands import WARM
from support.waiting import until


def ended(code: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return WARM.run(code, ["program", *arguments], environment={**os.environ, **variables})


def test_it_has_its_arguments_its_environment_and_its_files() -> None:
    code = "import os, sys; print(*sys.argv, os.environ['CLV_HOME']); print('no', file=sys.stderr)"
    done = ended(code, "a", "b c", CLV_HOME="here")
    assert (done.returncode, done.stdout, done.stderr) == (0, "program a b c here\n", "no\n")


def test_nothing_of_the_environment_of_another_is_left(tmp_path: Path) -> None:
    code = "import os, tempfile; print('CLV_HOME' in os.environ, tempfile.gettempdir())"
    ended(code, CLV_HOME="here")
    done = ended(code, TMPDIR=str(tmp_path))
    assert done.stdout == f"False {tmp_path}\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('a reason')", 1),
        ("raise ValueError('unexpected')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGHUP)", -signal.SIGHUP),
    ],
)
def test_it_ends_as_a_process_does(code: str, status: int) -> None:
    assert ended(code).returncode == status


def test_what_is_to_run_at_the_end_runs() -> None:
    code = "import atexit, threading; atexit.register(print, 'last')\n"
    code += "threading.Timer(0.05, print, ['first']).start()"
    assert ended(code).stdout.split() == ["first", "last"]


def test_it_can_be_waited_for_and_told_to_end(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = WARM.start(
            "import threading; threading.Event().wait()",
            ["program"],
            environment=os.environ,
            stdout=log,
            stderr=log,
        )
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.terminate()
    assert process.wait(30) == process.poll() == process.returncode == -signal.SIGTERM
    process.kill()  # it is gone, and nobody else is met


def gone(pid: int) -> bool:
    """Whether there is no such process, or only what is left of it until somebody asks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


_TESTS = """
import os, sys
from support.warm import Warm
forked = Warm("").start(
    "import threading; threading.Event().wait()", ["program"], environment=os.environ,
    stdout=sys.stdout.buffer, stderr=sys.stderr.buffer,
)
print(forked.pid, int(open(f"/proc/{forked.pid}/stat").read().rpartition(")")[2].split()[1]))
sys.stdout.flush()
sys.stdin.readline()
"""


@pytest.mark.parametrize(
    "end",
    [lambda tests: tests.communicate(b"end\n"), lambda tests: tests.kill()],
    ids=["well", "killed"],
)
def test_the_warm_process_and_whoever_was_forked_end_with_the_tests(
    end: Callable[["subprocess.Popen[bytes]"], object],
) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-c", _TESTS]
    with subprocess.Popen(command, cwd=Path(__file__).parent, **pipes) as tests:
        assert tests.stdout is not None
        forked, warm = map(int, tests.stdout.readline().split())
        assert warm != tests.pid
        end(tests)
    until(lambda: gone(forked) and gone(warm))
