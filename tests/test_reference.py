"""The generated reference names what a reader must type, and how much of it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import typer

from clv.cli import app
from clv.service.schemas.predictions import MAX_BATCH

GENERATOR = Path(__file__).parent.parent / "tools" / "reference.py"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The generator, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("reference", GENERATOR)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_argument_has_a_name(reference: ModuleType) -> None:
    lines = list(reference.commands())
    promote = lines[lines.index("### `clv models promote`\n") :]
    assert any(line.startswith("| `VERSION` |") for line in promote)
    assert any(line.startswith("| `INPUT` |") for line in lines)
    assert all("None" not in line.partition(" |")[0] for line in lines if line.startswith("| "))


def test_every_command_is_in_it(reference: ModuleType) -> None:
    text = "\n".join(reference.commands())
    for name in getattr(typer.main.get_command(app), "commands", {}):
        assert f"### `clv {name}" in text


def test_a_list_says_of_what_and_how_many(reference: ModuleType) -> None:
    lines = list(reference.http())
    assert any(
        line.startswith(f"| `passengers` | array of 1 to {MAX_BATCH:,} PassengerIn |")
        for line in lines
    )
    assert any(line.startswith("| `predictions` | array of PredictionOut |") for line in lines)


def test_a_range_keeps_its_decimals(reference: ModuleType) -> None:
    level = [line for line in reference.http() if line.startswith("| `level` ")]
    assert any("0.5 to 0.99" in line for line in level)
    assert not any("0 to 1 " in line for line in level)
