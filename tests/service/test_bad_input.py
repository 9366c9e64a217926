"""Whatever is sent, the answer is a problem that names it; never a 500, and never a tracked row."""

import httpx
import pytest

GOOD = '{"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}'

BAD_BODIES = {
    "NaN": GOOD.replace("8.5", "NaN"),
    "Infinity": GOOD.replace("8.5", "Infinity"),
    "minus Infinity": GOOD.replace("8.5", "-Infinity"),
    "a number that overflows": GOOD.replace("8.5", "1e400"),
    "a lone surrogate": GOOD.replace("8.5", r'"\ud800"'),
    "a lone surrogate as a name": GOOD.replace('"id"', r'"\udfff"'),
    "a lone surrogate as bytes": GOOD.replace("8.5", '"\ud800"').encode("utf-8", "surrogatepass"),
    "a lone surrogate as an id": GOOD.replace('"id": 1', r'"id": "\udc00"'),
    "an overflow below": GOOD.replace("8.5", "-1e400"),
    "an id that overflows": GOOD.replace('"id": 1', '"id": 1e400'),
    "an id that is NaN": GOOD.replace('"id": 1', '"id": NaN'),
    "frequency that is Infinity": GOOD.replace('"frequency_7": 1', '"frequency_7": Infinity'),
    "frequency in quotes": GOOD.replace('"frequency_7": 1', '"frequency_7": "12"'),
    "money in quotes": GOOD.replace("8.5", '"12"'),
    "an id in quotes": GOOD.replace('"id": 1', '"id": "12"'),
    "an id below 64 bits": GOOD.replace('"id": 1', f'"id": {-(2**63) - 1}'),
    "an id of 2**64": GOOD.replace('"id": 1', f'"id": {2**64}'),
    "an id that a float cannot hold": GOOD.replace('"id": 1', '"id": 9007199254740993.0'),
    "an id just beyond 64 bits, as a float": GOOD.replace('"id": 1', f'"id": {float(2**63)!r}'),
    "UTF-16": GOOD.encode("utf-16"),
    "a NUL behind it": GOOD + "\0",
    "two bodies": GOOD + GOOD,
    "a boolean as a number": GOOD.replace("8.5", "true"),
    "a boolean as an id": GOOD.replace('"id": 1', '"id": true'),
    "a number in quotes": GOOD.replace('"recency_7": 1', '"recency_7": "1"'),
    "null": GOOD.replace("8.5", "null"),
    "a list": GOOD.replace("8.5", "[8.5]"),
    "half a ride": GOOD.replace('"frequency_7": 1', '"frequency_7": 1.5'),
    "an id beyond 64 bits": GOOD.replace('"id": 1', f'"id": {2**63}'),
    "an id of 5,000 digits": GOOD.replace('"id": 1', '"id": ' + "9" * 5_000),
    "recency beyond the window": GOOD.replace('"recency_7": 1', '"recency_7": 8'),
    "negative recency": GOOD.replace('"recency_7": 1', '"recency_7": -1'),
    "negative frequency": GOOD.replace('"frequency_7": 1', '"frequency_7": -1'),
    "an absurd frequency": GOOD.replace('"frequency_7": 1', '"frequency_7": 10001'),
    "negative money": GOOD.replace("8.5", "-0.01"),
    "absurd money": GOOD.replace("8.5", "1.1e9"),
    "money without rides": '{"id":1,"recency_7":0,"frequency_7":0,"monetary_7":5}',
    "recency without rides": '{"id":1,"recency_7":3,"frequency_7":0,"monetary_7":0}',
    "rides without recency": '{"id":1,"recency_7":0,"frequency_7":2,"monetary_7":9}',
    "a level below a half": GOOD.replace("}", ', "level": 0.49}'),
    "a level above 0.99": GOOD.replace("}", ', "level": 0.991}'),
    "a level in percent": GOOD.replace("}", ', "level": 90}'),
    "a level in quotes": GOOD.replace("}", ', "level": "0.9"}'),
    "a level that is a boolean": GOOD.replace("}", ', "level": true}'),
    "a level that is null": GOOD.replace("}", ', "level": null}'),
    "a level that is NaN": GOOD.replace("}", ', "level": NaN}'),
    "no JSON": "{",
    "nothing": "",
    "no object": "[]",
    "a string": '"passenger"',
    "deep nesting": "[" * 10_000,
    "bytes that are no UTF-8": b"\xff\xfe{}",
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_a_problem_that_says_where(client: httpx.Client, name: str) -> None:
    answer = client.post(
        "/api/predict", content=BAD_BODIES[name], headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["detail"]
    assert client.get("/api/requests/1").json()["count"] == 0


@pytest.mark.parametrize("name", [name for name, body in BAD_BODIES.items() if body])
def test_a_bad_passenger_of_a_batch_is_a_problem_too(client: httpx.Client, name: str) -> None:
    one = BAD_BODIES[name]
    raw = one if isinstance(one, bytes) else one.encode()
    answer = client.post(
        "/api/predict/batch",
        content=b'{"passengers": [' + GOOD.encode() + b", " + raw + b"]}",
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("body")
    assert client.get("/api/requests/1").json()["count"] == 0


@pytest.mark.parametrize(
    "reason",
    [
        '""', '"' + "x" * 501 + '"', "null", "5", "true", "NaN", "1e400", "[]",
        r'"\ud800"', '"\xff"',
    ],
)  # fmt: skip
def test_a_bad_reason_for_a_promotion_is_a_problem(client: httpx.Client, reason: str) -> None:
    answer = client.post(
        "/api/models/1/promote",
        content=f'{{"reason": {reason}}}'.encode("latin-1"),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_said_to_be_json_is_refused(client: httpx.Client, kind: str) -> None:
    """A page of another site may send these without asking first."""
    for path in ("/api/predict", "/api/predict/batch", "/api/models/1/promote"):
        answer = client.post(path, content=GOOD, headers={"Content-Type": kind})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "header.content-type"
    assert client.get("/api/requests/1").json()["count"] == 0


@pytest.mark.parametrize("number", ["1.0", "1e0"])
def test_a_whole_number_may_be_written_with_a_point(client: httpx.Client, number: str) -> None:
    body = GOOD.replace('"frequency_7": 1', f'"frequency_7": {number}')
    answer = client.post("/api/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    ["abc", "1.0", "1_000", "%201", "-", str(2**63), str(2**64), "9" * 400, "%ED%A0%80", "1;DROP"],
)
def test_a_path_that_is_no_integer_is_a_problem(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/api/requests/{path}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("passenger", [2**63 - 1, -(2**63), 0, -1])
def test_every_integer_of_64_bits_is_an_id(client: httpx.Client, passenger: int) -> None:
    body = {"id": passenger, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    assert client.post("/api/predict", json=body).json()["id"] == passenger
    assert client.get(f"/api/requests/{passenger}").json() == {"id": passenger, "count": 1}


def test_unknown_routes_and_methods_are_problems_too(client: httpx.Client) -> None:
    for answer, status in (
        (client.get("/nothing"), 404),
        (client.get("/api/predict"), 405),
        (client.delete("/reset"), 405),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_problem_says_how_many_fields_are_wrong(client: httpx.Client) -> None:
    problem = client.post("/api/predict", json={"id": "x", "recency_7": 9}).json()
    assert [error["field"] for error in problem["errors"]] == [
        "body.id",
        "body.recency_7",
        "body.frequency_7",
        "body.monetary_7",
    ]
    assert "3 more" in problem["detail"]


def test_a_long_bad_value_is_not_sent_back_whole(client: httpx.Client) -> None:
    answer = client.post(
        "/api/predict",
        json={"id": "x" * 100_000, "recency_7": 1, "frequency_7": 1, "monetary_7": 1},
    )
    assert answer.status_code == 422
    assert len(answer.text) < 2_000


def test_one_bad_passenger_fails_the_whole_batch_and_is_named(client: httpx.Client) -> None:
    good = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    answer = client.post(
        "/api/predict/batch", json={"passengers": [good, good | {"recency_7": 99}, good]}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body.passengers.1.recency_7"
    assert client.get("/api/requests/1").json()["count"] == 0


@pytest.mark.parametrize("level", [0.49, 0.991, 0, 90, "0.9", True, None, [0.9]])
def test_a_level_out_of_range_is_named_whether_for_one_or_for_many(
    client: httpx.Client, level: object
) -> None:
    good = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    for path, body in (("/api/predict", good), ("/api/predict/batch", {"passengers": [good]})):
        answer = client.post(path, json={**body, "level": level})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["field"], error["value"]) == ("body.level", level)
    assert client.get("/api/requests/1").json()["count"] == 0


def test_a_level_in_a_row_of_a_batch_is_refused_rather_than_ignored(client: httpx.Client) -> None:
    good = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    answer = client.post(
        "/api/predict/batch", json={"passengers": [good, good | {"level": 0.8}], "level": 0.8}
    )
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error == {
        "field": "body.passengers.1.level",
        "code": "misplaced",
        "value": 0.8,
        "message": "a batch has one level for all; put it next to 'passengers'",
    }
    assert client.get("/api/requests/1").json()["count"] == 0


@pytest.mark.parametrize("passengers", [None, 1, "level", {"level": 1}, [1, "level", ["level"]]])
def test_passengers_that_are_no_list_of_objects_are_a_problem(
    client: httpx.Client, passengers: object
) -> None:
    answer = client.post("/api/predict/batch", json={"passengers": passengers})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("body.passengers")


def test_messages_are_words_and_values_are_json(client: httpx.Client) -> None:
    """Not as pydantic and Python have them."""
    good = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    expected: dict[str, tuple[dict[str, object], str, object]] = {
        "text": ({"id": "u-1"}, "expected a whole number", "u-1"),
        "a boolean": ({"frequency_7": True}, "expected a whole number", True),
        "null": ({"monetary_7": None}, "expected a number", None),
        "a list": ({"monetary_7": [8.5]}, "expected a number", [8.5]),
        "beyond": ({"recency_7": 8}, "expected at most 7", 8),
        "far beyond": ({"frequency_7": 10_001}, "expected at most 10,000", 10_001),
        "below": ({"monetary_7": -0.5}, "expected at least 0", -0.5),
        "a small limit": ({"level": 0.2}, "expected at least 0.5", 0.2),
    }
    for name, (change, message, value) in expected.items():
        (error,) = client.post("/api/predict", json=good | change).json()["errors"]
        assert (error["message"], error["value"]) == (message, value), name
    umlauts = client.post("/api/predict", json=good | {"id": "Größe"}).json()["errors"][0]
    assert umlauts["value"] == "Größe"
    for body in BAD_BODIES.values():
        said = client.post(
            "/api/predict", content=body, headers={"Content-Type": "application/json"}
        ).text
        for alien in ("Input should", "Field required", "b'", "_7=", "datetime.", "ValueError"):
            assert alien not in said, body


def test_a_contradiction_is_told_in_words(client: httpx.Client) -> None:
    body = {"id": 1, "recency_7": 3, "frequency_7": 0, "monetary_7": 0}
    (error,) = client.post("/api/predict", json=body).json()["errors"]
    assert error == {
        "field": "body",
        "code": "contradiction",
        "message": "no ride was counted, yet there is a day of the last ride "
        "(last ride on day 3, rides: 0, money spent: 0.00)",
    }


@pytest.mark.parametrize(
    ("query", "field", "message", "bounds"),
    [
        ({"margin": "250"}, "margin", "expected at most 1", {"maximum": 1}),
        ({"margin": "0"}, "margin", "expected at least 0.0001", {"minimum": 0.0001}),
        ({"margin": ""}, "margin", "expected a number", None),
        ({"cost": "-1"}, "cost", "expected at least 0", {"minimum": 0}),
        ({"level": "99"}, "level", "expected at most 0.99", {"maximum": 0.99}),
        ({"on_invalid": "go on"}, "on_invalid", "expected stop or skip", None),
        ({"lifd": "1"}, "lifd", "unknown field; remove it or correct its name", None),
    ],
    ids=str,
)
def test_the_terms_of_a_campaign_are_told_in_words_and_limits_as_data(
    client: httpx.Client, query: dict[str, str], field: str, message: str, bounds: object
) -> None:
    """A page that asks for percent shows the limit in percent."""
    answer = client.post(
        "/api/segments/evaluate",
        params={"margin": "0.25", "cost": "1"} | query,
        content="id,recency_7,frequency_7,monetary_7\n1,1,1,8.5\n",
        headers={"Content-Type": "text/csv"},
    )
    (error,) = answer.json()["errors"]
    assert (error["field"], error["message"]) == (f"query.{field}", message)
    assert error.get("bounds") == bounds


def test_fields_that_nobody_knows_are_ignored(client: httpx.Client) -> None:
    good = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5, "city": "Accra"}
    assert client.post("/api/predict", json=good).status_code == 200
    assert client.post("/api/predict/batch", json={"passengers": [good]}).status_code == 200


def test_an_empty_batch_and_one_too_large_are_refused(client: httpx.Client) -> None:
    good = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    for passengers in ([], [good] * 10_001):
        answer = client.post("/api/predict/batch", json={"passengers": passengers})
        assert answer.status_code == 422
    assert client.get("/api/requests/1").json()["count"] == 0


@pytest.mark.parametrize(
    ("sent", "meant"),
    [("monetary_value_7", "monetary_7"), ("recency", "recency_7"), ("frequncy_7", "frequency_7")],
)
def test_a_misspelt_field_is_named_beside_the_one_that_is_missing(
    client: httpx.Client, sent: str, meant: str
) -> None:
    wrong = GOOD.replace(f'"{meant}"', f'"{sent}"')
    headers = {"Content-Type": "application/json"}
    for path, body, place in (
        ("/api/predict", wrong, "body"),
        ("/api/predict/batch", f'{{"passengers": [{GOOD}, {wrong}]}}', "body.passengers.1"),
    ):
        (error,) = client.post(path, content=body, headers=headers).json()["errors"]
        assert error["field"] == f"{place}.{meant}"
        assert error["message"] == f"required, but {sent} was sent; correct the name"


def test_a_field_that_is_missing_is_not_taken_for_another(client: httpx.Client) -> None:
    body = {"id": 1, "recency_7": 1, "monetary_7": 8.5, "x" * 10_000: 1}
    (error,) = client.post("/api/predict", json=body).json()["errors"]
    assert error["message"] == "required"


@pytest.mark.parametrize("path", ["/api/predict", "/api/predict/batch", "/api/segments/evaluate"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"passengers": [' + b",".join([b"{}"] * 1_000_000) + b"]}",
        b"{" + b",".join(b'"k%d": 1' % k for k in range(200_000)) + b"}",
    ],
    ids=["objects", "fields"],
)
def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(
    client: httpx.Client, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert "values" in answer.json()["detail"]
