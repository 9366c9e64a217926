"""A batch, the documentation, and one answer for one passenger whichever way it is asked for."""

import asyncio
import csv
import json
from pathlib import Path

import httpx
import numpy as np

from clv.bundle import Predictor, to_cents
from clv.data.checks import History
from clv.data.sources import open_source
from clv.scoring import score
from support.server import Server


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
    batch = client.post("/api/predict/batch", json={"passengers": asked}).json()["predictions"]
    single = [client.post("/api/predict", json=passenger).json() for passenger in asked]

    with open_source(activity_file) as source:
        score(source, predictor, tmp_path / "scored.csv")
    with (tmp_path / "scored.csv").open(newline="") as file:
        scored = [
            {
                "id": int(row["id"]),
                "monetary_30": float(row["monetary_30"]),
                "expected_increment": float(row["expected_increment"]),
                "model_version": row["model_version"],
            }
            for row, _ in zip(csv.DictReader(file), range(1_000), strict=False)
        ]
    predictions = predictor.predict(history.activity[:1_000])

    assert single == batch == scored
    assert [row["monetary_30"] for row in batch] == to_cents(predictions.monetary).tolist()
    assert np.all(predictions.expected_increment >= 0)


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
    document = client.get("/openapi.json").json()
    example = document["components"]["schemas"]["PassengerIn"]["examples"][0]
    answer = client.post("/api/predict", json=example)
    assert answer.status_code == 200
    assert set(answer.json()) == set(
        document["components"]["schemas"]["PredictionOut"]["examples"][0]
    )


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
