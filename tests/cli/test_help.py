"""Help, wrong usage and broken settings; what is said is plain text where there is no terminal."""

import shlex
import subprocess
import sys

import pytest

from clv import __version__
from clv.cli import app
from clv.cli.export import app as export
from clv.cli.keeping import app as keeping
from clv.cli.models import app as models
from clv.cli.outcomes import app as outcomes

COMMANDS = [
    "train",
    "features",
    "export sql",
    "serve",
    "score",
    "segment",
    "lift",
    "validate",
    "report",
    "sample-data",
    "retrain",
    "monitor",
    "prune",
    "backup",
    "restore",
    "models history",
    "models list",
    "models history",
    "models promote",
    "models rollback",
    "outcomes import",
    "passenger export",
    "passenger erase",
]
GROUPS = {"export": export, "models": models, "outcomes": outcomes, "passenger": keeping}


def test_these_are_all_commands():
    named = {command.name or command.callback.__name__ for command in app.registered_commands}
    for group, commands in GROUPS.items():
        named |= {
            f"{group} {one.name or one.callback.__name__}" for one in commands.registered_commands
        }
    assert named == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, clv, home):
    shown = clv(*command.split(), "--help")
    assert shown.code == 0
    assert f"Usage: clv {command}" in shown.out
    assert f"Example: clv {command}" in shown.out
    assert shown.err == ""
    assert not home.exists()


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["models", "-h"]], ids=" ".join)
def test_the_groups_list_their_commands(arguments, clv):
    shown = clv(*arguments)
    assert shown.code == 0
    group = "models " if "models" in arguments else ""
    for command in COMMANDS:
        if command.startswith(group):
            assert command.removeprefix(group).split()[0] in shown.out


@pytest.mark.parametrize("group", [[], ["models"]], ids=["clv", "clv models"])
def test_a_group_alone_shows_its_help_and_is_wrong_usage(group, clv):
    shown = clv(*group)
    assert shown.code == 2
    assert "Usage: clv" in shown.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("fly", "No such command 'fly'"),
        ("models fly", "No such command 'fly'"),
        ("train --fast", "No such option: --fast"),
        ("train --seed x", "Invalid value for '--seed'"),
        ("train --seed -1", "Invalid value for '--seed'"),
        ("train --seed 4294967296", "Invalid value for '--seed'"),
        ("train --jobs 0", "Invalid value for '--jobs'"),
        ("train --test-share 0.9", "Invalid value for '--test-share'"),
        ("score", "Missing argument 'INPUT'"),
        ("score in.csv", "Missing option '--output'"),
        ("score in.csv --output o.csv --on-invalid skip", "Invalid value for '--on-invalid'"),
        ("validate", "Missing option '--data'"),
        ("sample-data --passengers 0", "Invalid value for '--passengers'"),
        ("sample-data --format xlsx", "Invalid value for '--format'"),
        ("serve --port 70000", "Invalid value for '--port'"),
        ("serve --workers 0", "Invalid value for '--workers'"),
        ("models promote", "Missing argument"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments, says, clv, home):
    refused = clv(*arguments.split())
    assert refused.code == 2
    assert says in refused.err
    assert "Traceback" not in refused.err
    assert refused.out == ""
    assert not home.exists()


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "serve",
        "score in.csv --output out.csv",
        "validate --data in.csv",
        "sample-data",
        "models list",
        "models promote 1",
        "models rollback",
        "outcomes import in.csv",
        "passenger export 1",
        "passenger erase 1 --yes",
        "retrain",
        "monitor",
        "prune --days 60",
    ],
)
@pytest.mark.parametrize(
    ("variable", "value"), [("CLV_PORT", "http"), ("CLV_LOG_LEVEL", "loud")], ids=str
)
def test_a_broken_setting_ends_with_2_and_names_the_variable(variable, value, command, clv, home):
    refused = clv(*command.split(), **{variable: value})
    assert refused.code == 2
    assert refused.complaint.startswith(f"clv: {variable} is '{value}': ")
    assert refused.complaint.endswith("Correct the variable or unset it.")
    assert not home.exists()


def test_a_home_that_is_a_file_ends_with_2(clv, tmp_path):
    (tmp_path / "file").touch()
    refused = clv("models", "list", CLV_HOME=str(tmp_path / "file"))
    assert refused.code == 2
    assert refused.complaint.startswith(f"clv: CLV_HOME is '{tmp_path}/file': expected a folder")


def test_who_interrupts_gets_130_and_no_traceback(clv, monkeypatch):
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("clv.cli.models._registry", interrupt)
    stopped = clv("models", "list")
    assert stopped.code == 130
    assert "Traceback" not in stopped.err


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "train --help",
        "models list",
        "fly",
        "models rollback",
        "outcomes import",
        "passenger export",
        "passenger erase",
        "sample-data --passengers 5",
    ],
)
def test_nothing_is_coloured_where_there_is_no_terminal(arguments, clv):
    shown = clv(*arguments.split())
    assert "\x1b" not in shown.out + shown.err


def test_the_version_is_shown(clv):
    shown = clv("--version")
    assert (shown.code, shown.out, shown.err) == (0, f"clv {__version__}\n", "")


def test_shells_complete_commands(clv):
    # The shell is the one that `clv` is typed in; the tests need not have been.
    typed = f"{shlex.quote(sys.executable)} -m clv --show-completion; exit $?"
    shown = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=True)
    assert "_CLV_COMPLETE=complete_bash" in shown.stdout
    completing = {"_CLV_COMPLETE": "complete_bash", "COMP_WORDS": "clv mod", "COMP_CWORD": "1"}
    assert clv(**completing).out.split() == ["models"]


def test_a_misspelt_variable_is_warned_of_beside_the_answer(clv):
    shown = clv("keys", "list", "--json", CLV_PROT="1")
    assert (shown.code, shown.out) == (0, "[]\n")
    assert shown.err == "CLV_PROT is not a setting and is ignored. Did you mean CLV_PORT?\n"
