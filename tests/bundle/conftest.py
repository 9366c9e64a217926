"""One fitted model, and a fresh bundle of it for each test to spoil."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMRegressor

from bundle.making import bundle_of
from clv.models.estimators import IncrementRegressor


@pytest.fixture(scope="session")
def model() -> Any:
    """Boosted trees on the increment of 600 made-up passengers."""
    rng = np.random.default_rng(4)
    spent = np.round(rng.exponential(30, 600), 2)
    X = np.column_stack((rng.integers(1, 8, 600), rng.integers(1, 5, 600), spent)).astype(float)
    y = spent + np.where(rng.random(600) < X[:, 0] / 10, 20 + spent / 2, 0)
    return IncrementRegressor(LGBMRegressor(n_estimators=15, n_jobs=1, verbose=-1)).fit(X, y)


@pytest.fixture
def bundle(model: Any, tmp_path: Path) -> Path:
    return bundle_of(model, tmp_path / "bundle")
