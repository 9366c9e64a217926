"""Sums of simulated passengers and what a model promised them, without a database."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np

from clv.bundle import Predictor
from clv.data.simulate import SampleModel, simulate
from clv.monitoring.sums import Sums
from clv.schema import Activity
from clv.tracking import AMOUNTS, COUNTS, KEYS

FIRST = date(2026, 1, 5)
CHUNK = 20_000


class Crowd:
    """Passengers as many as are asked for, and what a predictor promises them."""

    def __init__(self, predictor: Predictor, model: SampleModel, seed: int) -> None:
        self._predictor, self._model, self._seed = predictor, model, seed
        self._left: dict[str, np.ndarray] = {}
        self._chunks = 0

    def take(self, number: int) -> dict[str, np.ndarray]:
        """So many of them: what they spent, what they were promised, and how surely."""
        while not self._left or len(self._left["actual"]) < number:
            more = self._draw()
            self._left = {
                name: np.concatenate((self._left[name], values)) if self._left else values
                for name, values in more.items()
            }
        taken = {name: values[:number] for name, values in self._left.items()}
        self._left = {name: values[number:] for name, values in self._left.items()}
        return taken

    def _draw(self) -> dict[str, np.ndarray]:
        seed = 100_000 * self._seed + self._chunks
        self._chunks += 1
        table = next(iter(simulate(CHUNK, seed=seed, model=self._model))).activity
        names = ("recency_7", "frequency_7", "monetary_value_7")
        activity = Activity.of(*(table.column(name).to_numpy() for name in names))
        actual = table.column("monetary_value_30").to_numpy()
        said = self._predictor.predict(activity).in_cents()
        return {
            "actual": actual,
            "predicted": said.monetary,
            "score_bin": said.score_bin,
            "covered": said.holds(actual),
        }


def year_of(weeks: Iterator[dict[str, np.ndarray]] | list[dict[str, np.ndarray]]) -> Sums:
    """Weeks of judged passengers, each by score bin; what is not needed is 0."""
    columns: dict[str, list[Any]] = {name: [] for name in (*KEYS, *COUNTS, *AMOUNTS)}
    for number, week in enumerate(weeks):
        monday = (FIRST + timedelta(weeks=number)).isoformat()
        for score_bin in np.unique(week["score_bin"]):
            rows = week["score_bin"] == score_bin
            error = week["actual"][rows] - week["predicted"][rows]
            values = {
                "model_version": "1",
                "beside": "",
                "cohort": monday,
                "known": monday,
                "score_bin": int(score_bin),
                "customers": int(rows.sum()),
                "predicted": week["predicted"][rows].sum(),
                "actual": week["actual"][rows].sum(),
                "squared_error": (error**2).sum(),
                "covered": int(week["covered"][rows].sum()),
                "level": 0.9 * rows.sum(),
                "level_variance": 0.09 * rows.sum(),
            }
            for name, column in columns.items():
                column.append(values.get(name, 0))
    return Sums.of(zip(*columns.values(), strict=True))
