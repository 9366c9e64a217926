"""Models that change under load, and one that predicts in shadow."""

import math
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from clv.bundle import Predictor
from clv.bundle.manifest import MANIFEST, TABLES, Manifest, sha256_of
from clv.registry import Registry, RunRecord, open_registry
from clv.schema import Activity
from clv.service.schemas import PassengerIn, tracked
from clv.settings import Settings
from conftest import NOW
from support.server import serving

REQUESTS = 1_000
CLIENTS = 8
BATCH = 20


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_home, tmp_path / "home"))


@pytest.fixture
def models(home: Path) -> Registry:
    return open_registry(Settings(home=home))


@pytest.fixture
def other(models: Registry, tmp_path: Path) -> str:
    """A second version: it serves the table that the first was tested with, of fewer passengers."""
    bundle = Path(shutil.copytree(models.bundle("1"), tmp_path / "bundle"))
    manifest = Manifest.read(bundle)
    holdout = Predictor.load(bundle, role="holdout")
    said = [
        holdout.predict_one(row.recency, row.frequency, row.monetary) for row in manifest.golden
    ]
    golden = [
        row.model_copy(
            update={"expected_increment": one.expected_increment, "p_return": one.p_return}
        )
        for row, one in zip(manifest.golden, said, strict=True)
    ]
    shutil.copyfile(bundle / TABLES["holdout"], bundle / TABLES["serving"])
    changed = manifest.model_copy(
        update={
            "golden": tuple(golden),
            "uncertainty": dict.fromkeys(TABLES, manifest.uncertainty["holdout"]),
            "files": {name: sha256_of(bundle / name) for name in TABLES.values()},
        }
    )
    (bundle / MANIFEST).write_text(changed.model_dump_json())
    return models.register(bundle, [], RunRecord("of fewer passengers", {}, {}), {})


@pytest.fixture
def predictors(models: Registry, other: str) -> dict[str, Predictor]:
    return {n: Predictor.load(models.bundle(n), version=n) for n in ("1", other)}


def passenger(number: int) -> dict[str, Any]:
    rides = 3 + number % 4
    # One in 25 is like nobody.
    money = 3_000.0 if number % 25 == 7 else round(rides * (9 + number % 13), 2)
    return {"id": number, "recency_7": 7, "frequency_7": rides, "monetary_7": money}


def asked_of(number: int) -> list[dict[str, Any]]:
    """Who is asked about in a request: one, or in every tenth several."""
    if number % 10:
        return [passenger(number)]
    return [passenger(number + REQUESTS * k) for k in range(BATCH)]


def ask(
    client: httpx.Client, passengers: list[dict[str, Any]], **level: float
) -> list[dict[str, Any]]:
    if len(passengers) == 1:
        answer = client.post("/api/predict", json=passengers[0] | level)
    else:
        answer = client.post("/api/predict/batch", json={"passengers": passengers} | level)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    found: list[dict[str, Any]] = said.get("predictions", [said])
    return found


def said_by(
    model: Predictor, passengers: list[dict[str, Any]], **level: float
) -> list[dict[str, Any]]:
    """What is to be answered, in all fields."""
    activity = [list(one.values())[1:] for one in passengers]
    if len(activity) == 1:
        said = [model.predict_one(*activity[0], **level).in_cents()]
    else:
        said = model.predict(Activity.of(*np.array(activity).T), **level).in_cents().rows()
    return [
        {
            "id": asked["id"],
            "monetary_30": one.monetary,
            "expected_increment": one.expected_increment,
            "p_return": one.p_return,
            "interval": {"level": one.level, "low": one.low, "high": one.high},
            "score_bin": one.score_bin,
            "in_support": one.in_support,
            "support_note": None if one.in_support else model.why_out_of_support(*row),
            "model_version": model.version,
        }
        for asked, row, one in zip(passengers, activity, said, strict=True)
    ]


def rows(file: Path) -> dict[int, dict[str, Any]]:
    """What is kept of each passenger, one row each."""
    with sqlite3.connect(file) as table:
        table.row_factory = sqlite3.Row
        found = [dict(row) for row in table.execute("SELECT * FROM requests")]
    by_passenger = {row["passenger_id"]: row for row in found}
    assert len(by_passenger) == len(found)
    for row in found:
        del row["id"], row["requested_at"], row["counts"]
    return by_passenger


def row_of(
    asked: dict[str, Any],
    said: dict[str, Any],
    shadow: dict[str, Any] | None,
    *,
    in_batch: bool = False,
) -> dict[str, Any]:
    """What is to be kept of an answer, and of what a challenger would have answered."""
    would = shadow or {"interval": {}}
    return {
        "passenger_id": asked["id"],
        "recency": asked["recency_7"],
        "frequency": asked["frequency_7"],
        "monetary": asked["monetary_7"],
        "predicted": said["monetary_30"],
        "expected_increment": said["expected_increment"],
        "p_return": said["p_return"],
        **said["interval"],
        "score_bin": said["score_bin"],
        "in_support": said["in_support"],
        "model_version": said["model_version"],
        "challenger_version": would.get("model_version"),
        "challenger_predicted": would.get("monetary_30"),
        "challenger_p_return": would.get("p_return"),
        "challenger_low": would["interval"].get("low"),
        "challenger_high": would["interval"].get("high"),
        "source": "batch" if in_batch else "api",
    }


def test_a_swap_under_load_fails_nobody_and_each_answer_is_of_the_version_it_names(
    home: Path, other: str, predictors: dict[str, Predictor], tmp_path: Path
) -> None:
    requests = [asked_of(number) for number in range(REQUESTS)]
    expected = {n: [said_by(model, asked) for asked in requests] for n, model in predictors.items()}
    alike = [
        one == two
        for both in zip(expected["1"], expected[other], strict=True)
        for one, two in zip(*map(_of_money, both), strict=True)
    ]
    assert not any(alike), "versions that answer alike would prove nothing"
    assert {one["in_support"] for said in expected["1"] for one in said} == {True, False}

    file = tmp_path / "swap.sqlite"
    with serving(home, database_url=f"sqlite:///{file}") as server:

        def ask_all(numbers: range) -> list[list[dict[str, Any]]]:
            with server.client() as client:
                return [ask(client, requests[number]) for number in numbers]

        with ThreadPoolExecutor(CLIENTS) as clients, server.client() as operator:
            running = [clients.submit(ask_all, range(k, REQUESTS, CLIENTS)) for k in range(CLIENTS)]
            champion, swaps = "1", 0
            while not all(task.done() for task in running):
                champion, swaps = {"1": other, other: "1"}[champion], swaps + 1
                answer = operator.post(f"/api/models/{champion}/promote", json={"reason": "swap"})
                assert answer.status_code == 200, answer.text
            answered: list[list[dict[str, Any]]] = [[]] * REQUESTS
            for k, task in enumerate(running):
                answered[k::CLIENTS] = task.result()
            (now,) = ask(operator, [passenger(-1)])
    assert swaps >= 2
    assert now["model_version"] == champion, "who promoted is answered by what was promoted"

    versions = [said[0]["model_version"] for said in answered]
    assert set(versions) == {"1", other}
    table = rows(file)
    for number, version in enumerate(versions):
        assert answered[number] == expected[version][number]
        for asked, said in zip(requests[number], answered[number], strict=True):
            assert table[asked["id"]] == row_of(
                asked, said, shadow=None, in_batch=len(requests[number]) > 1
            )


def _of_money(said: list[dict[str, Any]]) -> list[float]:
    return [one["monetary_30"] for one in said]


def test_the_challenger_is_tracked_beside_the_champion_and_told_to_nobody(
    home: Path, models: Registry, other: str, predictors: dict[str, Predictor], tmp_path: Path
) -> None:
    models.challenge(other, "to be compared")
    file = tmp_path / "shadow.sqlite"
    alone, several = [passenger(7)], [passenger(number) for number in range(8, 60)]
    with serving(home, database_url=f"sqlite:///{file}") as server, server.client() as client:
        assert client.get("/ready").json()["challenger_version"] == other
        for asked, level in ((alone, {}), (several, {"level": 0.8})):
            said, would = (said_by(model, asked, **level) for model in predictors.values())
            assert ask(client, asked, **level) == said
            table = rows(file)
            for one, by_champion, in_shadow in zip(asked, said, would, strict=True):
                assert table[one["id"]] == row_of(
                    one, by_champion, in_shadow, in_batch=len(asked) > 1
                )
                assert by_champion["monetary_30"] != in_shadow["monetary_30"]

        client.post(f"/api/models/{other}/promote", json={"reason": "better"}).raise_for_status()
        (now,) = ask(client, [passenger(100)])
    assert now["model_version"] == other
    assert rows(file)[100] == row_of(passenger(100), now, shadow=None)


def test_without_a_challenger_nothing_is_tracked_of_one(
    client: httpx.Client, tracking_file: Path, predictor: Predictor
) -> None:
    for asked in ([passenger(1)], [passenger(2), passenger(3)]):
        said = said_by(predictor, asked)
        assert ask(client, asked) == said
        table = rows(tracking_file)
        for one, answer in zip(asked, said, strict=True):
            assert table[one["id"]] == row_of(one, answer, shadow=None, in_batch=len(asked) > 1)


# A service asks for a level; a bundle is looked over as it is loaded without one.
_FAILS = """
from clv.bundle import Predictor
def failing(really):
    def ask(self, *activity, **level):
        if self.version == {version!r} and level:
            raise RuntimeError("out of order")
        return really(self, *activity, **level)
    return ask
Predictor.predict, Predictor.predict_one = map(failing, (Predictor.predict, Predictor.predict_one))
"""


def test_a_challenger_that_fails_changes_nothing(
    home: Path, models: Registry, other: str, predictors: dict[str, Predictor], tmp_path: Path
) -> None:
    models.challenge(other, "to be compared")
    file = tmp_path / "failing.sqlite"
    prelude = _FAILS.format(version=other)
    with (
        serving(home, database_url=f"sqlite:///{file}", prelude=prelude) as server,
        server.client() as client,
    ):
        for asked in ([passenger(1)], [passenger(2), passenger(3)]):
            said = said_by(predictors["1"], asked)
            assert ask(client, asked) == said
            table = rows(file)
            for one, answer in zip(asked, said, strict=True):
                assert table[one["id"]] == row_of(one, answer, shadow=None, in_batch=len(asked) > 1)
        ready = client.get("/ready")
        metrics = client.get("/metrics").text
    assert (ready.status_code, ready.json()["challenger_version"]) == (200, other)
    (warning,) = ready.json()["warnings"]
    assert f"Challenger version {other} failed to predict 2 times" in warning
    assert f'clv_shadow_failures_total{{model_version="{other}"}} 2.0' in metrics
    assert server.log().count(f"Version {other} failed in shadow") == 1
    assert server.log().count("out of order") == 1


@pytest.mark.parametrize("field", ["monetary", "p_return", "low", "high"])
def test_absurd_numbers_of_a_challenger_keep_no_answer_back(
    predictors: dict[str, Predictor], field: str
) -> None:
    said = predictors["1"].predict_one(3, 2, 41.5)
    asked = PassengerIn(id=7, recency_7=3, frequency_7=2, monetary_7=41.5)
    for absurd in (math.inf, -math.inf, math.nan):
        shadow = said._replace(**{field: absurd})
        row = tracked(asked, said, "1", NOW, shadow, "2").checked()
        assert row.challenger_version is None
        assert row == tracked(asked, said, "1", NOW, None, None)
