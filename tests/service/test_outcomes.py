"""Outcomes over HTTP, and what is said of the predictions then."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from clv.clock import utc_now
from clv.errors import QueueFullError
from clv.service import reality
from clv.tracking import Outcome, open_database, upgrade
from clv.tracking.database import one_writer
from support.waiting import until

PASSENGER = {"id": 1234, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
LONG_AGO = timedelta(days=40)
NONE = {"accepted": 0, "corrected": 0, "unchanged": 0, "outdated": 0, "unmatched": 0, "early": 0}


def ask(client: httpx.Client, *ids: int) -> list[float]:
    passengers = [PASSENGER | {"id": one} for one in ids]
    answer = client.post("/api/predict/batch", json={"passengers": passengers})
    answer.raise_for_status()
    return [one["monetary_30"] for one in answer.json()["predictions"]]


def send(client: httpx.Client, *outcomes: dict[str, Any]) -> dict[str, int]:
    answer = client.post("/api/outcomes", json={"outcomes": outcomes})
    assert answer.status_code == 200, answer.text
    said: dict[str, int] = answer.json()
    return said


def look(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/api/monitoring")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def long_ago(tracking_file: Path) -> Any:
    """Have all requests be asked 40 days ago: their horizon has passed."""

    def move() -> None:
        engine = create_engine(f"sqlite:///{tracking_file}")
        with engine.begin() as connection:
            at = datetime.now(UTC) - LONG_AGO
            stamp = at.strftime("%Y-%m-%d %H:%M:%S.%f")
            connection.execute(text("UPDATE requests SET requested_at = :at"), {"at": stamp})
        engine.dispose()

    return move


def test_an_outcome_is_held_against_what_was_promised(client: httpx.Client, long_ago: Any) -> None:
    promised = ask(client, 1234)[0]
    long_ago()
    assert send(client, {"id": 1234, "monetary_30": 31.5}) == NONE | {"accepted": 1}
    found = look(client)
    assert found["champion"] == "1"
    assert found["outcomes"] == {"judged": 1, "early": 0, "unmatched": 0, "corrections": 0}
    (version,) = found["versions"]
    quality = version["quality"]
    assert (version["version"], version["is_champion"]) == ("1", True)
    assert (quality["promised"], quality["judged"], quality["label_coverage"]) == (1, 1, 1.0)
    assert quality["predicted"] == pytest.approx(promised)
    assert quality["actual"] == 31.5
    assert quality["bias"] == pytest.approx(promised / 31.5 - 1)
    assert quality["mse"] == pytest.approx((promised - 31.5) ** 2)
    assert found["alarms"] == []


def test_what_is_sent_is_counted_as_the_document_says(client: httpx.Client, long_ago: Any) -> None:
    ask(client, 1, 2)
    assert send(client, {"id": 1, "monetary_30": 20}) == NONE | {"accepted": 1, "early": 1}
    long_ago()
    assert send(client, {"id": 1, "monetary_30": 20.0}) == NONE | {"unchanged": 1}
    assert send(client, {"id": 1, "monetary_30": 21}) == NONE | {"corrected": 1}
    assert send(client, {"id": 7, "monetary_30": 1}) == NONE | {"accepted": 1, "unmatched": 1}
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    older = {"id": 1, "monetary_30": 20, "as_of": yesterday}
    assert send(client, older) == NONE | {"outdated": 1}


def test_fifty_predictions_of_a_passenger_are_one_promise(
    client: httpx.Client, long_ago: Any
) -> None:
    ask(client, *[1234] * 50)
    long_ago()
    send(client, {"id": 1234, "monetary_30": 31.5})
    quality = look(client)["versions"][0]["quality"]
    assert (quality["promised"], quality["judged"]) == (1, 1)


def test_without_anything_there_is_nothing_to_say(client: httpx.Client) -> None:
    found = look(client)
    assert (found["versions"], found["shadows"], found["drift"]) == ([], [], [])
    ask(client, 1)
    until(lambda: look(client)["versions"])  # what was seen may be a moment old
    quality = look(client)["versions"][0]["quality"]
    assert quality["judged"] == 0
    assert quality["bias"] is None  # null, not NaN
    assert quality["label_coverage"] is None


def test_a_clock_that_is_a_little_ahead_is_put_up_with(client: httpx.Client) -> None:
    ahead = [(utc_now() + timedelta(seconds=seconds)).isoformat() for seconds in (50, 600)]
    for field in ("as_of", "registered_at"):
        outcome = {"id": 1, "monetary_30": 1}
        sent = {"outcomes": [outcome | {field: ahead[0]}]}
        assert client.post("/api/outcomes", json=sent).status_code == 200
        refused = client.post("/api/outcomes", json={"outcomes": [outcome | {field: ahead[1]}]})
        assert refused.status_code == 422
        assert "up to a minute ahead counts as now" in refused.text


@pytest.mark.parametrize(
    ("outcome", "field", "says"),
    [
        ({"id": 1}, "outcomes.0.monetary_30", "required"),
        ({"monetary_30": 1}, "outcomes.0.id", "required"),
        ({"id": 1, "monetary_30": -0.01}, "outcomes.0.monetary_30", "at least 0"),
        ({"id": 1, "monetary_30": "12"}, "outcomes.0.monetary_30", "number"),
        ({"id": 1, "monetary_30": 1e10}, "outcomes.0.monetary_30", "at most 1,000,000,000"),
        ({"id": 1.5, "monetary_30": 1}, "outcomes.0.id", "whole number"),
        ({"id": 2**63, "monetary_30": 1}, "outcomes.0.id", "less than"),
        ({"id": 1, "monetary_30": 1, "frequency_30": -1}, "outcomes.0.frequency_30", "at least"),
        ({"id": 1, "monetary_30": 1, "as_of": "2999-01-01"}, "outcomes.0.as_of", "up to now"),
        ({"id": 1, "monetary_30": 1, "as_of": 1700000000}, "outcomes.0.as_of", "text"),
        ({"id": 1, "monetary_30": 1, "as_of": "soon"}, "outcomes.0.as_of", "date and time"),
        (
            {"id": 1, "monetary_30": 1, "registered_at": "2026-02-01", "as_of": "2026-01-01"},
            "outcomes.0",
            "registered after",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    client: httpx.Client, outcome: dict[str, Any], field: str, says: str
) -> None:
    good = {"id": 5, "monetary_30": 1}
    for outcomes in ([outcome], [outcome, good]):
        answer = client.post("/api/outcomes", json={"outcomes": outcomes})
        assert answer.status_code == 422
        errors = answer.json()["errors"]
        assert any(field in one["field"] and says in one["message"] for one in errors), errors
    assert look(client)["outcomes"]["unmatched"] == 0


def test_different_outcomes_of_one_passenger_in_one_request_are_refused(
    client: httpx.Client,
) -> None:
    day = "2026-01-01T00:00:00Z"
    sent = [
        {"id": 7, "monetary_30": 10},
        {"id": 8, "monetary_30": 3, "as_of": day},
        {"id": 9, "monetary_30": 3},
        {"id": 8, "monetary_30": 4, "as_of": "2026-01-01T01:00:00+01:00"},
        {"id": 7, "monetary_30": 12.5},
    ]
    answer = client.post("/api/outcomes", json={"outcomes": sent})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["code"] == "contradiction"
    assert "id 7 (outcomes 0, 4); id 8 (outcomes 1, 3)" in error["message"]
    assert "as_of" in error["message"]
    assert look(client)["outcomes"]["unmatched"] == 0
    # One that stands there twice counts once; a later one corrects the one before.
    sent[3], sent[4] = {"id": 8, "monetary_30": 4, "as_of": "2026-01-02"}, sent[0]
    said = {"accepted": 3, "unchanged": 1, "corrected": 1, "unmatched": 3}
    assert send(client, *sent) == NONE | said


def test_numbers_that_are_none_are_refused(client: httpx.Client) -> None:
    for body in ('{"outcomes": [{"id": 1, "monetary_30": NaN}]}', '{"outcomes": []}', "{}"):
        answer = client.post(
            "/api/outcomes", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 422
    too_many = [{"id": number, "monetary_30": 1} for number in range(10_001)]
    assert client.post("/api/outcomes", json={"outcomes": too_many}).status_code == 422


def test_ten_thousand_at_once(client: httpx.Client) -> None:
    many = [{"id": number, "monetary_30": 1} for number in range(10_000)]
    assert send(client, *many) == NONE | {"accepted": 10_000, "unmatched": 10_000}
    assert send(client, *many) == NONE | {"unchanged": 10_000, "unmatched": 10_000}


def test_a_reset_forgets_outcomes_as_well(client: httpx.Client) -> None:
    send(client, {"id": 1, "monetary_30": 1})
    assert client.post("/reset").json() == {"message": "Deleted 0 tracked requests."}
    assert look(client)["outcomes"]["unmatched"] == 0
    assert send(client, {"id": 1, "monetary_30": 1})["accepted"] == 1


def test_metrics_tell_of_outcomes_and_live_quality(client: httpx.Client, long_ago: Any) -> None:
    ask(client, 1, 2)
    long_ago()
    send(client, {"id": 1, "monetary_30": 20.0})
    look(client)
    said = client.get("/metrics").text

    def value(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", said, re.MULTILINE)
        assert found, name
        return float(found[1])

    assert value('clv_outcomes_total{result="accepted"}') >= 1
    assert value('clv_live_judged{model_version="1"}') == 1
    assert value('clv_live_promised{model_version="1"}') == 2
    assert value('clv_live_label_coverage{model_version="1"}') == 0.5
    assert value('clv_alarms{kind="bias"}') == 0


def test_more_outcomes_than_may_wait_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reality, "_MOST_WAITING", 30)
    engine = open_database(f"sqlite:///{tmp_path / 'tracking.sqlite'}")

    async def flood() -> None:
        many = [Outcome(n, 1.0) for n in range(20)]
        nobody: Any = None
        store = reality.Reality(engine, nobody, nobody, nobody)
        with one_writer(engine):  # nothing can be stored just now
            waiting = asyncio.ensure_future(store.record(many))
            await asyncio.sleep(0)
            with pytest.raises(QueueFullError, match="20 outcomes wait"):
                await store.record(many[:11])
        assert (await waiting).accepted == 20
        assert (await store.record(many[:11])).unchanged == 11
        store.close()

    try:
        upgrade(engine)
        asyncio.run(flood())
    finally:
        engine.dispose()
