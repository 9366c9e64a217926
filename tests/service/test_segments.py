"""Segments over HTTP: a document or a list, the same verdict; and whatever else may be sent."""

import contextlib
import csv
import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from clv.bundle import Predictor
from clv.campaign.offer import Campaign
from clv.campaign.verdict import evaluate
from clv.schema import Activity
from support.server import serving

HEADER = "id,recency_7,frequency_7,monetary_7\n"
TERMS = {"margin": 0.25, "cost": 2.5}
CSV = {"content-type": "text/csv"}


def passengers(n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(7)
    return [
        {
            "id": number,
            "recency_7": int(rng.integers(1, 8)),
            "frequency_7": int(rng.integers(1, 9)),
            "monetary_7": round(float(rng.gamma(2.0, 15.0)), 2),
        }
        for number in range(1, n + 1)
    ]


def as_csv(rows: list[dict[str, Any]]) -> str:
    return HEADER + "".join(",".join(str(value) for value in row.values()) + "\n" for row in rows)


def upload(
    client: httpx.Client, content: bytes | str, path: str = "/api/segments/evaluate", **terms: Any
) -> httpx.Response:
    query = TERMS | terms
    return client.post(path, params=query, content=content, headers=CSV)


def test_a_document_and_a_list_get_the_verdict_of_the_library(
    client: httpx.Client, predictor: Predictor
) -> None:
    rows = passengers(200)
    activity = Activity.of(*np.array([list(row.values())[1:] for row in rows], dtype=float).T)
    found = evaluate(predictor.predict(activity), predictor, Campaign(0.25, 2.5, lift=0.3))
    answer = client.post("/api/segments/evaluate", json={"passengers": rows, **TERMS, "lift": 0.3})
    assert answer.status_code == 200
    said = answer.json()
    assert said == upload(client, as_csv(rows), lift=0.3).json()
    assert (said["n"], said["rows_read"], said["findings"]) == (200, 200, [])
    assert (said["verdict"], said["speaks_of"]) == (found.verdict, "effect")
    assert (said["model_version"], said["campaign"]["lift"]) == ("1", 0.3)
    for name in ("mean", "low", "high", "level"):
        for part in ("expected_increment", "expected_profit"):
            theirs = getattr(getattr(found, part), name)
            assert said[part][name] == pytest.approx(theirs, abs=1e-5)
    assert said["probability_worth_it"] == pytest.approx(found.probability_worth_it, abs=1e-6)
    assert len(said["depths"]) == len(found.depths)
    assert client.get("/api/requests/1").json()["count"] == 0, "nothing of it is tracked"
    assert said["best"]["customers"] == found.best.customers
    assert said["best"]["profit"] == pytest.approx(found.best.gain, abs=1e-5)


def test_without_a_lift_the_answer_is_about_value_and_knows_no_profit(client: httpx.Client) -> None:
    answer = client.post(
        "/api/segments/evaluate",
        json={"passengers": passengers(50), "margin": 0.25, "cost": 0.5},
    )
    assert "profit" not in answer.text
    said = answer.json()
    assert (said["speaks_of"], said["verdict"]) == ("value", "worth it")
    assert said["value_less_cost"]["mean"] == pytest.approx(
        50 * (0.25 * said["expected_increment"]["mean"] - 0.5), abs=1e-3
    )
    assert 0 < said["minimum_lift"] < said["minimum_lift_cautious"]


def test_rows_that_cannot_be_used_stop_it_or_are_counted(client: httpx.Client) -> None:
    content = f"{HEADER}1,3,2,41.5\n2,8,1,8\n1,3,2,41.5\n4,x,1,8\n"
    refused = upload(client, content)
    assert refused.status_code == 422
    detail = refused.json()["detail"]
    assert "row 2 holds '8'" in detail
    assert "row 4 holds 'x'" in detail
    assert "clv-upload" not in detail
    said = upload(client, content, on_invalid="skip").json()
    assert (said["n"], said["rows_read"]) == (1, 4)
    assert {one["code"]: one["rows"] for one in said["findings"]} == {
        "too-large": 1,
        "not-a-number": 1,
        "duplicate": 1,
    }


def test_columns_may_have_other_names(client: httpx.Client) -> None:
    content = "who;last;rides;spent\n1;3;2;41,5\n2;7;1;8,0\n"
    named = ["id=who", "recency_7=last", "frequency_7=rides", "monetary_7=spent"]
    assert upload(client, content, column=named).json()["n"] == 2
    missing = upload(client, content)
    assert missing.status_code == 422
    assert "columns there: who, last, rides, spent" in missing.json()["detail"]
    wrong = upload(client, content, column=["recency_7"])
    assert wrong.status_code == 422
    assert "as in recency_7=last_day" in wrong.json()["detail"]


def test_one_column_for_two_is_422_and_a_sentence(client: httpx.Client) -> None:
    for column in (["recency_7=id"], ["recency_7=id", "frequency_7=id"]):
        answer = upload(client, as_csv(passengers(5)), column=column)
        assert answer.status_code == 422
        assert "is given for both id and recency_7" in answer.json()["detail"]


def test_numbers_that_can_be_read_in_two_ways_are_422_until_the_query_says(
    client: httpx.Client,
) -> None:
    content = HEADER.replace(",", ";") + "1;3;2;1,234\n2;7;1;900\n"
    refused = upload(client, content)
    assert refused.status_code == 422
    assert "'1,234' is 1234" in refused.json()["detail"]
    assert "`decimal` ." in refused.json()["detail"]
    said = upload(client, content, decimal=".").json()
    assert [one["says"] for one in said["findings"]] == [
        "read as 1,234.50: ',' for thousands, '.' as decimal mark"
    ]
    assert upload(client, content, decimal=",", thousands="none").status_code == 200
    assert upload(client, content, decimal=",", thousands=",").status_code == 422


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"decimal": ";"}, "query.decimal"),
        ({"margin": "0"}, "query.margin"),
        ({"margin": "much"}, "query.margin"),
        ({"cost": "-1"}, "query.cost"),
        ({"cost": "nan"}, "query.cost"),
        ({"lift": "0"}, "query.lift"),
        ({"level": "0.2"}, "query.level"),
        ({"on_invalid": "guess"}, "query.on_invalid"),
        ({"budget": "1"}, "query.budget"),
    ],
)
def test_terms_that_mean_nothing_are_422_and_named(
    client: httpx.Client, terms: dict[str, str], field: str
) -> None:
    answer = upload(client, f"{HEADER}1,3,2,41.5\n", **terms)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_numbers_of_a_document_are_numbers(client: httpx.Client) -> None:
    rows = passengers(3)
    for terms in ({"margin": "0.25", "cost": 1}, {"margin": True, "cost": 1}, {"margin": 0.2}):
        answer = client.post("/api/segments/evaluate", json={"passengers": rows, **terms})
        assert answer.status_code == 422
    nobody = client.post("/api/segments/evaluate", json={"passengers": [], **TERMS})
    assert nobody.status_code == 422
    twice = [rows[0], rows[0] | {"recency_7": rows[0]["recency_7"] % 7 + 1}]
    conflict = client.post("/api/segments/evaluate", json={"passengers": twice, **TERMS})
    assert conflict.status_code == 422
    assert "rows of one id that say different things" in conflict.json()["detail"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (bytes(range(256)) * 80, "save the table as 'CSV UTF-8'"),
        (b"PK\x03\x04" + bytes(range(256)) * 9, "Excel workbook"),
        (HEADER.encode(), "holds no rows"),
        (b"1,3,2,41.5\n", "Column 'id'"),
    ],
    ids=["nothing", "noise", "xlsx", "header", "no header"],
)
def test_what_is_no_list_is_told_in_words(client: httpx.Client, content: bytes, says: str) -> None:
    for path in ("/api/segments/evaluate", "/campaign/judge"):
        answer = upload(client, content, path)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
        assert "clv-upload" not in answer.text


def endless() -> Iterator[bytes]:
    yield HEADER.encode()
    for _ in range(100_000):
        yield b"1,3,2,41.5\n" * 1_000


def test_a_list_that_is_too_large_is_413_before_it_is_sent(
    trained_home: Path, tmp_path: Path
) -> None:
    with (
        serving(
            trained_home,
            database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
            environment={"CLV_MAX_UPLOAD_BYTES": "100000", "TMPDIR": str(tmp_path)},
        ) as server,
        server.client() as client,
    ):
        port = int(server.url.rsplit(":", 1)[1])
        head = "POST /api/segments/evaluate?margin=0.25&cost=2.5 HTTP/1.1\r\nHost: localhost\r\n"
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            lines = f"Content-Type: text/csv\r\nContent-Length: {2**30}\r\n\r\n"
            connection.sendall((head + lines).encode())
            said = connection.recv(65536).decode()
        assert said.startswith("HTTP/1.1 413 ")
        with contextlib.suppress(httpx.TransportError):  # it hangs up while a gigabyte is sent
            answer = client.post(
                "/api/segments/evaluate", params=TERMS, content=endless(), headers=CSV
            )
            assert answer.status_code == 413
            assert "100,000 bytes (CLV_MAX_UPLOAD_BYTES)" in answer.json()["detail"]
        assert client.get("/health").status_code == 200
        assert upload(client, f"{HEADER}1,3,2,41.5\n").status_code == 200
        assert list(tmp_path.glob("clv-upload-*")) == []


def test_the_page_gets_its_verdict_as_html_and_the_chosen_as_csv(client: httpx.Client) -> None:
    content = as_csv(passengers(300)).replace("1,", "<b>1</b>,", 1)
    part = upload(client, content, "/campaign/judge", cost=4)
    assert part.status_code == 200
    assert part.headers["content-type"].startswith("text/html")
    assert "<script>" not in part.text
    assert "style=" not in part.text
    best = upload(client, content, cost=4, lift=0.9).json()["best"]["customers"]
    assert 0 < best < 300
    answer = upload(client, content, "/campaign/chosen", cost=4, lift=0.9)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == best
    # Without a lift nobody can tell whom it pays for: all of them, as on the page and in `clv`.
    everyone = upload(client, content, "/campaign/chosen", cost=4)
    assert len(list(csv.DictReader(io.StringIO(everyone.text)))) == 300
    assert [int(row["rank"]) for row in rows] == list(range(1, best + 1))
    increments = [float(row["expected_increment"]) for row in rows]
    assert increments == sorted(increments, reverse=True)
    few = upload(client, content, "/campaign/chosen", customers=3, cap=1)
    assert [row["value"] for row in csv.DictReader(io.StringIO(few.text))] == ["0.25"] * 3
    many = upload(client, content, "/campaign/chosen", customers=301)
    assert many.status_code == 422
    assert "expected 0 to 300" in many.json()["detail"]
    for wrong in ({"customers": "all"}, {"customers": -1}, {"cap": "1,5"}, {"cap": "inf"}):
        refused = upload(client, content, "/campaign/chosen", **wrong)
        assert refused.status_code == 422
        ((name, _),) = wrong.items()
        assert refused.json()["errors"][0]["field"] == f"query.{name}"


@pytest.mark.parametrize("value", ["inf", "99999-01-01", "1e400", "NaN", "5877642-06-25"])
def test_a_number_that_is_none_is_told_with_its_row(client: httpx.Client, value: str) -> None:
    for rows in (f"1,3,2,{value}\n", f"1,3,2,41.5\n2,3,2,{value}\n"):
        refused = upload(client, HEADER + rows)
        assert refused.status_code == 422
        assert "monetary_7" in refused.json()["detail"]


def test_what_stands_in_a_list_is_text_on_the_page(client: httpx.Client) -> None:
    content = f"{HEADER}1,3,2,41.5\n2,<script>alert(1)</script>,1,8\n"
    part = upload(client, content, "/campaign/judge", on_invalid="skip")
    assert part.status_code == 200
    assert "<script>alert" not in part.text
    assert "&lt;script&gt;alert(1)" in part.text


def test_without_a_model_it_is_503(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.client() as client:
        answer = upload(client, f"{HEADER}1,3,2,41.5\n")
        assert answer.status_code == 503
        assert "clv train" in answer.json()["detail"]
