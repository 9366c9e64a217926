"""A history in which every passenger can be told by what they spent, and candidates that spy."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from clv.data.checks import History
from clv.schema import Activity, Window
from clv.training import TrainingResult
from clv.training.appraisal import Appraisal, appraise
from training.spies import Knows


@pytest.fixture(scope="session", autouse=True)
def appraised_once() -> Iterator[None]:
    """A training that many tests release is appraised for the first of them alone."""
    known: dict[int, tuple[TrainingResult, Appraisal]] = {}

    def once(result: TrainingResult, **options: Any) -> Appraisal:
        if id(result) not in known:
            known[id(result)] = result, appraise(result, **options)
        return known[id(result)][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("clv.training.release"), "appraise", once)
        yield


@pytest.fixture
def told_apart() -> History:
    """400 passengers; no two spent the same, so that the amount names the passenger."""
    rng = np.random.default_rng(9)
    spent = np.round(5 + np.arange(400) * 0.37, 2)
    returned = np.where(rng.random(400) < 0.4, np.round(rng.exponential(25, 400), 2), 0)
    return History(
        ids=np.array([f"passenger {number}" for number in range(400)], dtype=object),
        activity=Activity.of(rng.integers(1, 8, 400), rng.integers(1, 5, 400), spent),
        outcome=spent + returned,
        window=Window(),
        source="a test",
        rows_read=400,
        returned=returned > 0,
    )


@pytest.fixture
def spies() -> type[Knows]:
    """`Knows`, that has seen nothing yet."""
    Knows.fitted, Knows.asked = [], []
    return Knows
