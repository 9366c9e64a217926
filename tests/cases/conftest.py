"""The command line as in the tests of commands; here also with a champion."""

from functools import partial
from pathlib import Path

import pytest

from cli.conftest import Clv, clv_in, home, quickly
from cli.conftest import _clv as clv_fixture

__all__ = ["clv_fixture", "clv_in", "home", "quickly"]


@pytest.fixture
def champion(clv_in: Clv, trained_home: Path) -> Clv:
    """`champion("score", ...)` in a home with a champion."""
    return partial(clv_in, home=trained_home)
