"""The command line, run in this process: what it ended with, said and complained of."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import clv.training
from clv.cli import main
from clv.training import TrainingResult
from support import quick_candidates


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The error: the last line, and the only one of its kind; nothing is a traceback."""
        assert "Traceback" not in self.err
        assert self.out == ""
        last = self.err.splitlines()[-1]
        assert [line for line in self.err.splitlines() if line.startswith("clv: ")] == [last]
        return last


Clv = Callable[..., Finished]


def _run(*arguments: object, home: Path, **variables: str) -> Finished:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name in list(os.environ):
            if name.startswith("CLV_") or name in ("MLFLOW_TRACKING_URI", "FORCE_COLOR"):
                patch.delenv(name)
        # On GitHub, typer believes that every output is a terminal.
        patch.setattr("typer.rich_utils.FORCE_TERMINAL", None, raising=False)
        patch.setenv("COLUMNS", "100")
        for name, value in {"CLV_HOME": str(home), **variables}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["clv", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def clv_in() -> Clv:
    """`clv_in("models", "list", home=folder)`, as if typed, with that CLV_HOME and no other CLV_*.

    An error that is no `ClvError`, for which a user would see a traceback, fails the test.
    """
    return _run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A CLV_HOME that is not there yet."""
    return tmp_path / "home"


@pytest.fixture(name="clv")
def _clv(clv_in: Clv, home: Path) -> Clv:
    """`clv("models", "list")` in a new home."""
    return lambda *arguments, **variables: clv_in(*arguments, home=home, **variables)


@pytest.fixture(scope="session")
def quickly() -> Callable[[], Any]:
    """`with quickly():` training searches the quick candidates only, and samples are small."""
    real = clv.training.train

    def train(*arguments: Any, **options: Any) -> TrainingResult:
        return real(*arguments, **{**options, "among": quick_candidates(options["seed"])})

    @contextlib.contextmanager
    def patched() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("clv.training.train", train)
            patch.setattr("clv.cli.data._PASSENGERS", 1_000)
            yield

    return patched
