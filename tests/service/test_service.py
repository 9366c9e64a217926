"""A batch, the documentation, and one answer for one passenger whichever way it is asked for."""

import asyncio
import csv
import itertools
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx

from clv.bundle import Predictor
from clv.data.checks import History
from clv.data.sources import open_source
from clv.scoring import score
from support.server import Server

LEVEL = 0.8


def passengers_of(history: History, rows: int) -> list[dict[str, object]]:
    return [
        {
            "id": int(name),
            "recency_7": int(recency),
            "frequency_7": int(frequency),
            "monetary_7": float(monetary),
        }
        for name, (recency, frequency, monetary) in zip(
            history.ids[:rows], history.activity.matrix()[:rows], strict=True
        )
    ]


def test_api_batch_score_and_predictor_agree_to_the_cent_on_a_thousand_passengers(
    client: httpx.Client,
    history: History,
    predictor: Predictor,
    activity_file: Path,
    tmp_path: Path,
) -> None:
    asked = passengers_of(history, 1_000)
    batch = client.post("/api/predict/batch", json={"passengers": asked, "level": LEVEL}).json()
    single = [
        client.post("/api/predict", json={**passenger, "level": LEVEL}).json()
        for passenger in asked
    ]
    with open_source(activity_file) as source:
        score(source, predictor, tmp_path / "scored.csv", level=LEVEL)
    in_python = predictor.predict(history.activity[:1_000], level=LEVEL).in_cents()

    assert single == batch["predictions"]
    told = [without_note(answer) for answer in single]
    assert told == as_told(tmp_path / "scored.csv", 1_000)
    assert told == [
        {
            "id": passenger["id"],
            "monetary_30": said.monetary,
            "expected_increment": said.expected_increment,
            "p_return": said.p_return,
            "interval": {"level": LEVEL, "low": said.low, "high": said.high},
            "score_bin": said.score_bin,
            "in_support": said.in_support,
            "model_version": "1",
        }
        for passenger, said in zip(asked, in_python, strict=True)
    ]


def without_note(answer: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in answer.items() if name != "support_note"}


def as_told(scored: Path, rows: int) -> list[dict[str, object]]:
    """The rows of a file of `clv score` as the service would answer them."""
    with scored.open(newline="") as file:
        return [
            {
                "id": int(row["id"]),
                "monetary_30": float(row["monetary_30"]),
                "expected_increment": float(row["expected_increment"]),
                "p_return": float(row["p_return"]),
                "interval": {
                    "level": LEVEL,
                    "low": float(row["low"]),
                    "high": float(row["high"]),
                },
                "score_bin": int(row["score_bin"]),
                "in_support": row["in_support"] == "true",
                "model_version": row["model_version"],
            }
            for row in itertools.islice(csv.DictReader(file), rows)
        ]


def test_the_level_is_09_unless_another_is_asked_for(
    client: httpx.Client, history: History, predictor: Predictor
) -> None:
    asked = passengers_of(history, 200)
    for given, level in (({}, 0.9), ({"level": 0.5}, 0.5), ({"level": 0.99}, 0.99)):
        batch = client.post("/api/predict/batch", json={"passengers": asked, **given}).json()
        said = predictor.predict(history.activity[:200], level=level).in_cents()
        expected = [{"level": level, "low": one.low, "high": one.high} for one in said]
        assert [answer["interval"] for answer in batch["predictions"]] == expected
        alone = client.post("/api/predict", json={**asked[0], **given}).json()
        assert alone["interval"] == expected[0]


def test_a_surer_interval_changes_nothing_else(client: httpx.Client, history: History) -> None:
    asked = passengers_of(history, 200)
    answers = [
        client.post("/api/predict/batch", json={"passengers": asked, "level": level}).json()
        for level in (0.5, 0.99)
    ]
    low, high = (
        [answer | {"interval": None} for answer in batch["predictions"]] for batch in answers
    )
    assert low == high


def test_what_is_said_of_a_passenger_holds_together(client: httpx.Client, history: History) -> None:
    for passenger in passengers_of(history, 100):
        said = client.post("/api/predict", json=passenger).json()
        assert 0 <= said["interval"]["low"] <= said["interval"]["high"]
        assert 0 < said["p_return"] < 1
        assert said["p_return"] == round(said["p_return"], 4)
        for money in (*said["interval"].values(), said["expected_increment"]):
            assert money == round(money, 2)
        assert 1 <= said["score_bin"] <= 10
        assert (said["support_note"] is None) == said["in_support"]


def test_a_passenger_who_has_not_ridden_yet_gets_all_that_others_get(client: httpx.Client) -> None:
    zeros = {"id": 1, "recency_7": 0, "frequency_7": 0, "monetary_7": 0}
    said = client.post("/api/predict", json=zeros).json()
    assert said["monetary_30"] == said["expected_increment"]
    assert said["interval"]["low"] >= 0
    assert 0 < said["p_return"] < 1


def test_a_passenger_like_no_other_is_out_of_support_and_told_why(
    client: httpx.Client, predictor: Predictor
) -> None:
    rare = {"id": 1, "recency_7": 7, "frequency_7": 5_000, "monetary_7": 1e6}
    ordinary = {"id": 2, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    batch = client.post("/api/predict/batch", json={"passengers": [rare, ordinary, rare]}).json()
    first, second, third = batch["predictions"]
    assert first == third == client.post("/api/predict", json=rare).json()
    assert first["in_support"] is False
    assert first["support_note"] == predictor.why_out_of_support(7, 5_000, 1e6)
    assert "0 training customers were like this one" in first["support_note"]
    assert (second["in_support"], second["support_note"]) == (True, None)


def test_what_was_answered_is_what_is_tracked(client: httpx.Client, tracking_file: Path) -> None:
    ordinary = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5, "level": 0.75}
    rare = {"id": 2, "recency_7": 7, "frequency_7": 5_000, "monetary_7": 1e6}
    answers = [
        client.post("/api/predict", json=ordinary).json(),
        *client.post("/api/predict/batch", json={"passengers": [rare]}).json()["predictions"],
    ]
    with closing(sqlite3.connect(tracking_file)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM requests ORDER BY id").fetchall()
    assert [
        {
            "id": row["passenger_id"],
            "monetary_30": row["predicted"],
            "expected_increment": row["expected_increment"],
            "p_return": row["p_return"],
            "interval": {"level": row["level"], "low": row["low"], "high": row["high"]},
            "score_bin": row["score_bin"],
            "in_support": bool(row["in_support"]),
            "model_version": row["model_version"],
        }
        for row in rows
    ] == [without_note(answer) for answer in answers]


def test_the_source_of_each_prediction_is_kept_and_those_of_the_page_do_not_count(
    client: httpx.Client, tracking_file: Path
) -> None:
    asked = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    nobody = {name: asked[name] for name in asked if name != "id"}
    told = client.post("/api/predict", json=asked).json()
    client.post("/api/predict/batch", json={"passengers": [asked]})
    assert client.post("/api/predict/tryout", json=asked).json() == told
    assert client.post("/api/predict/tryout", json=nobody).json() == told | {"id": None}
    assert client.post("/api/predict", json=nobody).status_code == 422

    with closing(sqlite3.connect(tracking_file)) as connection:
        rows = connection.execute("SELECT passenger_id, source FROM requests ORDER BY id")
        assert rows.fetchall() == [(1, "api"), (1, "batch"), (1, "page"), (None, "page")]
    assert client.get("/api/requests/1").json() == {"id": 1, "count": 2}
    latest = client.get("/api/activity").json()["latest"]
    assert [(row["id"], row["source"]) for row in latest] == [
        (None, "page"), (1, "page"), (1, "batch"), (1, "api"),
    ]  # fmt: skip


def test_every_passenger_of_a_batch_is_tracked(client: httpx.Client, history: History) -> None:
    asked = passengers_of(history, 50)
    answers = client.post("/api/predict/batch", json={"passengers": [*asked, asked[0]]}).json()
    assert [answer["id"] for answer in answers["predictions"]] == [
        *(passenger["id"] for passenger in asked),
        asked[0]["id"],
    ]
    assert client.get(f"/api/requests/{asked[0]['id']}").json()["count"] == 2
    assert client.get(f"/api/requests/{asked[49]['id']}").json()["count"] == 1


def test_the_documentation_shows_examples_that_work(client: httpx.Client) -> None:
    assert client.get("/docs").status_code == 200
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    shown, out_of_support = schemas["PredictionOut"]["examples"]
    for example in schemas["PredictIn"]["examples"]:
        answer = client.post("/api/predict", json=example)
        assert answer.status_code == 200
        assert answer.json().keys() == out_of_support.keys() == {*shown, "support_note"}
        assert answer.json()["interval"].keys() == shown["interval"].keys()
        assert answer.json()["interval"]["level"] == example.get("level", 0.9)
    for example in schemas["BatchIn"]["examples"]:
        answer = client.post("/api/predict/batch", json=example)
        assert len(answer.json()["predictions"]) == len(example["passengers"])


def test_every_field_of_an_answer_is_explained(client: httpx.Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in ("PredictIn", "PredictionOut", "IntervalOut"):
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description"), f"{name}.{field}"
    level = schemas["PredictIn"]["properties"]["level"]
    assert (level["minimum"], level["maximum"], level["default"]) == (0.5, 0.99, 0.9)


def test_every_route_documents_its_problems(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    for path, status in (
        ("/api/predict", "422"),
        ("/api/predict", "503"),
        ("/api/predict/batch", "422"),
        ("/api/requests/{passenger_id}", "422"),
    ):
        method = next(iter(document["paths"][path].values()))
        assert list(method["responses"][status]["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in json.dumps(document)


def test_a_thousand_requests_at_once_are_all_answered_and_counted(server: Server) -> None:
    async def ask_all() -> list[int]:
        limits = httpx.Limits(max_connections=32)
        async with httpx.AsyncClient(
            base_url=server.url, limits=limits, timeout=60, trust_env=False
        ) as client:
            await client.post("/reset")
            body = {"id": 77, "recency_7": 2, "frequency_7": 1, "monetary_7": 12}
            answers = await asyncio.gather(
                *(client.post("/api/predict", json=body) for _ in range(1_000))
            )
            counted = await client.get("/api/requests/77")
            return [*(answer.status_code for answer in answers), counted.json()["count"]]

    *statuses, counted = asyncio.run(ask_all())
    assert set(statuses) == {200}
    assert counted == 1_000
