"""Bundles for tests, without a training."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from clv.bundle import (
    Calibration,
    DataSummary,
    GoldenRow,
    Histogram,
    Manifest,
    Support,
    Uncertainty,
    write_bundle,
)
from clv.models.estimators import ReturnClassifier
from clv.models.tabulate import tabulate, target_of
from clv.schema import FEATURES, MONETARY, Activity, Window

__all__ = ["UNCERTAINTY", "bundle_of", "manifest_of", "returning_like_anybody"]

_GOLDEN = np.array([[0, 0, 0], [1, 1, 8.5], [4, 2, 45.5], [7, 8, 210.4], [7, 100, 1_000]])


def returning_like_anybody() -> ReturnClassifier:
    """Gives everybody the same chance, two in three."""
    return ReturnClassifier(None).fit(np.ones((1, 3)), [1])


def _uncertainty() -> Uncertainty:
    rng = np.random.default_rng(8)
    expected = rng.exponential(10, 400)
    came = np.where(rng.random(400) < 0.4, expected * rng.exponential(2.5, 400), 0.0)
    rows = rng.integers(1, 8, 400), rng.integers(1, 5, 400), rng.exponential(30, 400)
    return Uncertainty(
        calibration=Calibration.of(expected, came, scores=expected),
        support=Support.of(Activity.of(*rows), Window()),
    )


UNCERTAINTY = _uncertainty()


def manifest_of(model: Any, **changes: Any) -> Manifest:
    """A manifest that is true of a fitted model; `changes` replace fields."""
    said = np.maximum(model.predict(_GOLDEN) - _GOLDEN[:, MONETARY], 0)
    fields: dict[str, Any] = {
        "model": "made for a test",
        "target": target_of(model),
        "features": FEATURES,
        "observation_days": 7,
        "horizon_days": 30,
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
        "parameters": {"depth": 3},
        "metrics": {"test_mse": 1.5},
        "data": DataSummary(
            source="a test",
            generated=True,
            rows=5,
            fingerprint="0" * 64,
            split_seed=42,
            test_share=0.2,
            mean_observed=20.0,
            mean_outcome=30.0,
            share_returning=0.2,
        ),
        "reference": {"monetary": Histogram.of(np.arange(10.0))},
        "golden": [
            GoldenRow(
                recency=row[0],
                frequency=row[1],
                monetary=row[2],
                expected_increment=increment,
                p_return=2 / 3,
            )
            for row, increment in zip(_GOLDEN.tolist(), said.tolist(), strict=True)
        ],
        "uncertainty": {"serving": UNCERTAINTY, "holdout": UNCERTAINTY},
        "versions": {"python": "3"},
    }
    return Manifest(**{**fields, **changes})


def bundle_of(model: Any, folder: Path, **changes: Any) -> Path:
    """Write a bundle that serves a fitted model."""
    cells = tabulate(model, returning_like_anybody())
    write_bundle(folder, manifest_of(model, **changes), {"serving": cells, "holdout": cells})
    return folder
