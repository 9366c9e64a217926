"""Models that change under load, and one that predicts in shadow."""

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clv.bundle import Predictor
from clv.bundle.manifest import MANIFEST
from clv.registry import Registry, RunRecord, open_registry
from clv.settings import Settings
from support.server import serving

REQUESTS = 1_000
CLIENTS = 8


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_home, tmp_path / "home"))


@pytest.fixture
def other(home: Path, tmp_path: Path) -> str:
    """A second version, whose intervals are half as wide again."""
    registry = open_registry(Settings(home=home))
    bundle = Path(shutil.copytree(registry.bundle("1"), tmp_path / "bundle"))
    manifest = json.loads((bundle / MANIFEST).read_text())
    for part in manifest["uncertainty"]["serving"]["calibration"]["bins"]:
        part["ratios"] = [1.5 * ratio for ratio in part["ratios"]]
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    return registry.register(bundle, [], RunRecord("wider", {}, {}), {})


def passenger(number: int) -> dict[str, Any]:
    """Passengers of the highest score bins, where intervals are no points."""
    rides = 3 + number % 4
    money = round(rides * (9 + number % 13), 2)
    return {"id": number, "recency_7": 7, "frequency_7": rides, "monetary_7": money}


def said_by(predictor: Predictor, asked: dict[str, Any]) -> dict[str, Any]:
    said = predictor.predict_one(*list(asked.values())[1:]).in_cents()
    return {
        "monetary_30": said.monetary,
        "expected_increment": said.expected_increment,
        "p_return": pytest.approx(said.p_return, abs=1.1e-4),
        "interval": {"level": said.level, "low": said.low, "high": said.high},
        "score_bin": said.score_bin,
    }


def test_a_swap_under_load_fails_nobody_and_each_answer_is_of_the_version_it_names(
    home: Path, other: str, tmp_path: Path
) -> None:
    registry = open_registry(Settings(home=home))
    predictors = {
        number: Predictor.load(registry.bundle(number), version=number) for number in ("1", other)
    }
    one, two = (said_by(model, passenger(3)) for model in predictors.values())
    assert one != two, "versions that answer alike would prove nothing"

    with serving(home, database_url=f"sqlite:///{tmp_path / 'swap.sqlite'}") as server:

        def ask(numbers: range) -> list[tuple[dict[str, Any], dict[str, Any]]]:
            found = []
            with server.client() as client:
                for number in numbers:
                    asked = [passenger(number)]
                    if number % 10:
                        answer = client.post("/api/predict", json=asked[0])
                        answers = [answer.json()]
                    else:
                        asked += [passenger(number) for _ in range(20)]
                        answer = client.post("/api/predict/batch", json={"passengers": asked})
                        answers = answer.json()["predictions"]
                    assert answer.status_code == 200, answer.text
                    assert len({one["model_version"] for one in answers}) == 1
                    found += zip(asked, answers, strict=True)
            return found

        with ThreadPoolExecutor(CLIENTS) as clients, server.client() as operator:
            share = REQUESTS // CLIENTS
            running = [
                clients.submit(ask, range(k * share, (k + 1) * share)) for k in range(CLIENTS)
            ]
            champion, swaps = "1", 0
            while not all(task.done() for task in running):
                leave = {"1": other, other: "1"}[champion]
                answer = operator.post(f"/api/models/{leave}/promote", json={"reason": "swap"})
                assert answer.status_code == 200, answer.text
                champion, swaps = leave, swaps + 1
            answered = [pair for task in running for pair in task.result()]
    assert swaps >= 2
    assert {answer["model_version"] for _, answer in answered} == {"1", other}
    for asked, answer in answered:
        expected = said_by(predictors[answer["model_version"]], asked)
        assert {name: answer[name] for name in expected} == expected


def rows(file: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(file) as table:
        table.row_factory = sqlite3.Row
        return [dict(row) for row in table.execute("SELECT * FROM requests ORDER BY id")]


@pytest.mark.parametrize("way", ["one by one", "batch"])
def test_the_challenger_is_tracked_beside_the_champion_and_told_to_nobody(
    home: Path, other: str, tmp_path: Path, way: str
) -> None:
    registry: Registry = open_registry(Settings(home=home))
    registry.challenge(other, "to be compared")
    shadow = Predictor.load(registry.bundle(other), version=other)
    file = tmp_path / "shadow.sqlite"
    asked = [passenger(number) for number in range(5)]
    with serving(home, database_url=f"sqlite:///{file}") as server, server.client() as client:
        assert client.get("/ready").json()["challenger_version"] == other
        if way == "batch":
            answer = client.post("/api/predict/batch", json={"passengers": asked})
            answers = answer.json()["predictions"]
        else:
            answers = [client.post("/api/predict", json=one).json() for one in asked]
    assert {answer["model_version"] for answer in answers} == {"1"}
    assert "challenger" not in json.dumps(answers)
    for one, answer, row in zip(asked, answers, rows(file), strict=True):
        would = said_by(shadow, one)
        assert (row["model_version"], row["high"]) == ("1", answer["interval"]["high"])
        assert row["challenger_version"] == other
        assert row["challenger_predicted"] == would["monetary_30"]
        assert row["challenger_p_return"] == would["p_return"]
        assert row["challenger_low"] == would["interval"]["low"]
        assert row["challenger_high"] == would["interval"]["high"] != row["high"]


def test_without_a_challenger_nothing_is_tracked_of_one(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "alone.sqlite"
    with serving(home, database_url=f"sqlite:///{file}") as server, server.client() as client:
        client.post("/api/predict", json=passenger(1)).raise_for_status()
    (row,) = rows(file)
    assert {value for name, value in row.items() if name.startswith("challenger")} == {None}
