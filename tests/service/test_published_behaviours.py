"""The 14 behaviours of the published system's tests, each over real HTTP."""

import httpx
import pytest

PASSENGER = {"id": 1234, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}


def ask(client: httpx.Client, **changes: object) -> httpx.Response:
    return client.post("/api/predict", json=PASSENGER | changes)


def count(client: httpx.Client, passenger_id: int) -> int:
    return int(client.get(f"/api/requests/{passenger_id}").json()["count"])


def test_health_says_healthy(client: httpx.Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, "healthy")


def test_a_passenger_gets_a_prediction(client: httpx.Client) -> None:
    answer = ask(client)
    assert answer.status_code == 200
    assert answer.json()["monetary_30"] >= 8.5


def test_a_prediction_has_the_agreed_fields(client: httpx.Client) -> None:
    body = ask(client).json()
    assert set(body) == {
        "id",
        "monetary_30",
        "expected_increment",
        "p_return",
        "interval",
        "score_bin",
        "in_support",
        "support_note",
        "model_version",
    }
    assert body["id"] == 1234
    assert body["model_version"] == "1"
    assert body["monetary_30"] == pytest.approx(8.5 + body["expected_increment"], abs=0.011)
    assert round(body["monetary_30"], 2) == body["monetary_30"]
    assert set(body["interval"]) == {"level", "low", "high"}


def test_a_passenger_who_has_not_ridden_yet_is_valid(client: httpx.Client) -> None:
    answer = ask(client, recency_7=0, frequency_7=0, monetary_7=0)
    assert answer.status_code == 200
    assert answer.json()["monetary_30"] >= 0


def test_a_passenger_who_rides_and_spends_a_lot_is_valid(client: httpx.Client) -> None:
    answer = ask(client, recency_7=7, frequency_7=100, monetary_7=1000)
    assert answer.status_code == 200
    assert answer.json()["monetary_30"] >= 1000


@pytest.mark.parametrize("field", PASSENGER)
def test_a_missing_field_is_named(client: httpx.Client, field: str) -> None:
    answer = client.post("/api/predict", json={k: v for k, v in PASSENGER.items() if k != field})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"body.{field}"


@pytest.mark.parametrize("field", PASSENGER)
def test_a_field_of_the_wrong_type_is_named(client: httpx.Client, field: str) -> None:
    answer = ask(client, **{field: "many"})
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert (error["field"], error["value"]) == (f"body.{field}", "many")


def test_the_same_passenger_can_be_asked_about_again(client: httpx.Client) -> None:
    answers = [ask(client) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_different_passengers_get_their_own_predictions(client: httpx.Client) -> None:
    answers = [ask(client, id=passenger).json() for passenger in (1, 2, 3)]
    assert [answer["id"] for answer in answers] == [1, 2, 3]
    better = ask(client, id=4, recency_7=7, frequency_7=4, monetary_7=80).json()
    assert better["expected_increment"] > answers[0]["expected_increment"]


def test_a_passenger_never_asked_about_counts_zero(client: httpx.Client) -> None:
    assert count(client, 99) == 0


def test_one_request_counts_one(client: httpx.Client) -> None:
    ask(client)
    assert count(client, 1234) == 1


def test_three_requests_count_three_and_a_reset_makes_it_zero(client: httpx.Client) -> None:
    for _ in range(3):
        ask(client)
    assert count(client, 1234) == 3
    answer = client.post("/reset")
    assert answer.status_code == 200
    assert "3" in answer.json()["message"]
    assert count(client, 1234) == 0


def test_a_count_has_the_agreed_fields(client: httpx.Client) -> None:
    ask(client)
    assert client.get("/api/requests/1234").json() == {"id": 1234, "count": 1}


def test_another_passengers_requests_do_not_count(client: httpx.Client) -> None:
    ask(client)
    ask(client, id=5)
    ask(client)
    assert (count(client, 1234), count(client, 5)) == (2, 1)
