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
