"""The pages over HTTP: who sees them, what they may load, and how one signs in."""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import httpx
import pytest

from clv.clock import utc_now
from clv.monitoring.drift import Status
from clv.service.pages.forms import typed_amount
from clv.service.pages.signin import local
from clv.tracking import KeyStore, open_database, upgrade
from support.server import Server, serving
from support.waiting import until

PAGES = ("/", "/predict", "/model", "/monitoring", "/activity")
PASSENGER = {"id": 77_001, "recency_7": 5, "frequency_7": 3, "monetary_7": 60.0}
ASKED = {name: PASSENGER[name] for name in ("recency_7", "frequency_7", "monetary_7")}
POLICY = (
    "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class Tags(HTMLParser):
    """Tags with their attributes, and the text inside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - as the parser calls it
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.inline += data.strip()


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def closed(
    trained_home: Path, tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]
) -> Iterator[Server]:
    """A server with a key of each scope, which logs all it can."""
    url = f"sqlite:///{tmp_path_factory.mktemp('pages') / 'tracking.sqlite'}"
    engine = open_database(url)
    upgrade(engine)
    store = KeyStore(engine)
    for scope in ("predict", "read", "admin"):
        _, keys[scope] = store.create(f"of {scope}", [scope], at=utc_now())
    gone, keys["revoked"] = store.create("gone", ["admin"], at=utc_now())
    store.revoke(gone.id, at=utc_now() + timedelta(seconds=1))
    engine.dispose()
    chatty = {"CLV_LOG_LEVEL": "DEBUG", "CLV_ACCESS_LOG": "true"}
    with serving(trained_home, database_url=url, environment=chatty) as running:
        yield running
        log = running.log()
    assert '"route": "/signin"' in log
    assert not [key for key in keys.values() if key.split("_", 2)[2] in log]
    assert "Traceback" not in log


@pytest.fixture
def visitor(closed: Server) -> Iterator[httpx.Client]:
    """Somebody who has not signed in yet."""
    with closed.client() as visitor:
        yield visitor


def sign_in(visitor: httpx.Client, key: str, way: str = "/") -> httpx.Response:
    return visitor.post("/signin", data={"key": key, "next": way})


# -------------------------------------------------------------------- without keys


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_and_loads_nothing_from_elsewhere(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers.get_list("content-security-policy") == [POLICY]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"
    page = Tags(answer.text)
    assert page.inline == ""
    for tag, attributes in page.tags:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), (tag, attributes)
            assert not (attributes.get(name) or "").startswith("//")
    current = [one for tag, one in page.tags if tag == "a" and one.get("aria-current") == "page"]
    assert [one["href"] for one in current] == [path]
    assert "Model version 1" in answer.text


@pytest.mark.parametrize("path", ["/model", "/model/report"])
def test_no_page_names_the_folders_of_the_machine(
    client: httpx.Client, activity_file: Path, path: str
) -> None:
    until(lambda: client.get("/ready").status_code == 200)
    answer = client.get(path)
    assert answer.status_code == 200
    assert activity_file.name in answer.text
    assert str(activity_file.parent) not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_what_a_page_loads_is_there_and_kept_for_ever(client: httpx.Client, path: str) -> None:
    page = Tags(client.get(path).text)
    loads = {
        one.get("src") or one.get("href") for tag, one in page.tags if tag in ("script", "link")
    }
    assert len(loads) >= 3
    for address in loads:
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers.get_list("cache-control") == ["public, max-age=31536000, immutable"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        other = client.get(address.split("?")[0] + "?v=other")
        assert other.headers["cache-control"] == "no-cache", "an old page may ask a new service"
    assert client.get("/static/nothing.js").status_code == 404
    for name in ("..%2Froutes.py", "%2e%2e%2froutes.py", "%2fetc%2fpasswd", "static", ".css"):
        assert client.get(f"/static/{name}").status_code == 404, name


def test_the_plotting_library_is_compressed_for_those_who_take_it_so(client: httpx.Client) -> None:
    plain = client.get("/static/plotly.min.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", "/static/plotly.min.js") as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "accept-encoding"
        sent = b"".join(answer.iter_raw())
    assert len(sent) < len(plain.content) / 3
    assert gzip.decompress(sent) == plain.content


def test_other_answers_are_still_no_pages(client: httpx.Client) -> None:
    for path in ("/health", "/api/models", "/static/app.css", "/nothing"):
        policy = client.get(path).headers.get_list("content-security-policy")
        assert policy == ["default-src 'none'; frame-ancestors 'none'"], path


def test_the_report_is_shown_as_if_it_came_from_nowhere(client: httpx.Client) -> None:
    answer = client.get("/model/report")
    assert answer.status_code == 200
    assert "Training report" in answer.text
    (policy,) = answer.headers.get_list("content-security-policy")
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy


def test_the_page_of_the_model_says_what_is_known_of_it(client: httpx.Client) -> None:
    text = client.get("/model").text
    for said in ("Versions", "Checks", "Leaderboard", "Predicted and actual", "Limits", "champion"):
        assert said in text
    assert "Roll back" not in text, "there is nothing to return to"
    assert "Only admins" not in text, "without keys everybody is admin"


def test_without_keys_there_is_nothing_to_sign_in_to(client: httpx.Client) -> None:
    answer = client.get("/signin?next=/model")
    assert (answer.status_code, answer.headers["location"]) == (303, "/model")
    assert "Sign out" not in client.get("/").text


def test_campaign_is_the_home_page_and_its_old_address_leads_there(client: httpx.Client) -> None:
    assert "<title>Campaign" in client.get("/").text
    assert "<title>Predict" in client.get("/predict").text
    answer = client.get("/campaign?next=//elsewhere.example")
    assert (answer.status_code, answer.headers["location"]) == (308, "/?next=//elsewhere.example")


def test_where_nothing_was_trained_the_pages_say_what_to_run(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.client() as client:
        assert "clv train --data" in client.get("/").text
        model = client.get("/model").text
        assert "No model yet" in model
        assert "clv train --data" in model
        assert client.get("/model/report").status_code == 404
        assert client.get("/predict").status_code == client.get("/activity").status_code == 200


# -------------------------------------------------------------------- what pages ask


def test_an_explanation_is_consistent_with_the_prediction_and_is_not_tracked(
    client: httpx.Client,
) -> None:
    said = client.post("/api/predict", json=PASSENGER).json()
    behind = client.get("/api/explain", params=ASKED).json()
    assert behind["monetary_30"] == said["monetary_30"]
    assert [one["level"] for one in behind["intervals"]] == [0.5, 0.8, 0.9, 0.99]
    assert behind["intervals"][2] == said["interval"]
    for narrow, wide in zip(behind["intervals"], behind["intervals"][1:], strict=False):
        assert narrow["high"] - narrow["low"] <= wide["high"] - wide["low"]
    assert 1 <= said["score_bin"] <= behind["score_bins"]
    for other in behind["what_if"]:
        again = {name: other[name] for name in ASKED}
        assert (
            client.get("/api/explain", params=again).json()["monetary_30"] == other["monetary_30"]
        )
        assert other["difference"] == round(other["monetary_30"] - said["monetary_30"], 2)
    assert [one["change"] for one in behind["what_if"]] == [
        "one more ride", "a day more recent", "10 more spent",
    ]  # fmt: skip
    assert (behind["what_if"][0]["frequency_7"], behind["what_if"][0]["monetary_7"]) == (4, 80)
    assert client.get(f"/api/requests/{PASSENGER['id']}").json()["count"] == 1


def test_what_cannot_be_is_no_what_if(client: httpx.Client) -> None:
    def changes(recency: int, frequency: int, monetary: float) -> list[str]:
        asked = {"recency_7": recency, "frequency_7": frequency, "monetary_7": monetary}
        return [one["change"] for one in client.get("/api/explain", params=asked).json()["what_if"]]

    assert changes(7, 1, 8.5) == ["one more ride", "10 more spent"]
    assert changes(0, 0, 0) == []
    assert changes(1, 10_000, 8.5) == ["a day more recent", "10 more spent"]
    assert changes(1, 1, 1e9) == ["a day more recent"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"recency_7": "8"}, "query.recency_7"),
        ({"recency_7": "1.0"}, "query.recency_7"),
        ({"frequency_7": "x"}, "query.frequency_7"),
        ({"monetary_7": "nan"}, "query.monetary_7"),
        ({"monetary_7": "1e999"}, "query.monetary_7"),
        ({"frequency_7": "0"}, "query"),
    ],
)
def test_what_cannot_be_explained_is_422(client: httpx.Client, asked: dict, field: str) -> None:
    answer = client.get("/api/explain", params=ASKED | asked)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_what_was_asked_is_listed_newest_first(client: httpx.Client) -> None:
    assert client.get("/api/activity").json()["latest"] == []
    for passenger in (5, 6, 5):
        said = client.post("/api/predict", json=PASSENGER | {"id": passenger}).json()
    found = client.get("/api/activity").json()
    assert (found["total"], found["period"], len(found["over_time"])) == (3, "hour", 48)
    assert sum(bucket["requests"] for bucket in found["over_time"]) == 3
    assert [row["id"] for row in found["latest"]] == [5, 6, 5]
    latest = client.get("/api/requests/5/latest").json()
    assert (latest["id"], latest["count"], len(latest["latest"])) == (5, 2, 2)
    for name in ("monetary_30", "p_return", "score_bin", "model_version"):
        assert latest["latest"][0][name] == said[name]
    assert client.get("/api/requests/8/latest").json() == {"id": 8, "count": 0, "latest": []}


# -------------------------------------------------------------------- with keys


@pytest.mark.parametrize("path", [*PAGES, "/model/report", "/activity?passenger=5"])
def test_a_visitor_without_a_key_is_sent_to_sign_in_and_back(
    visitor: httpx.Client, keys: dict[str, str], path: str
) -> None:
    asked = visitor.get(path)
    assert asked.status_code == 303
    form = visitor.get(asked.headers["location"])
    assert form.status_code == 200
    assert form.headers["content-security-policy"] == POLICY
    (hidden,) = [one for tag, one in Tags(form.text).tags if one.get("type") == "hidden"]
    assert hidden == {"type": "hidden", "name": "next", "value": path}
    signed_in = sign_in(visitor, keys["admin"], path)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, path)
    assert visitor.get(path).status_code == 200


@pytest.mark.parametrize("kind", ["revoked", "unknown", "none", "no key", "far too long"])
def test_a_key_that_cannot_be_used_signs_nobody_in(
    visitor: httpx.Client, keys: dict[str, str], kind: str
) -> None:
    key = {
        "revoked": keys["revoked"], "unknown": "clv_00000000_" + "A" * 43, "none": "",
        "no key": "pässwörd <script>", "far too long": "x" * 3000,
    }[kind]  # fmt: skip
    answer = sign_in(visitor, key)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert not key or key not in answer.text
    assert "<script>" not in answer.text
    assert visitor.get("/").status_code == 303


def test_signing_out_ends_it(visitor: httpx.Client, keys: dict[str, str]) -> None:
    sign_in(visitor, keys["admin"])
    assert "Sign out" in visitor.get("/").text
    left = visitor.post("/signout")
    assert (left.status_code, left.headers["location"]) == (303, "/signin")
    assert visitor.get("/").status_code == 303


@pytest.mark.parametrize(
    "way",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "/%2f/evil.example", "javascript:alert(1)", "/docs", "/activity\r\nx: y", "http:/model",
        "///evil.example", "/model/../..//evil.example", "[", "//[", "",
    ],
)  # fmt: skip
def test_nobody_is_sent_anywhere_else_after_signing_in(
    visitor: httpx.Client, keys: dict[str, str], way: str
) -> None:
    answer = sign_in(visitor, keys["admin"], way)
    assert answer.status_code == 303
    assert answer.headers["location"] in {"/", "/activity"}
    assert local(way) in {"/", "/activity"}
    (field,) = [
        one
        for _, one in Tags(visitor.get("/signin", params={"next": way}).text).tags
        if one.get("name") == "next"
    ]
    assert field["value"] in {"/", "/activity"}


def test_a_query_survives_signing_in_and_cannot_break_out(visitor: httpx.Client) -> None:
    assert local("/activity?passenger=-5") == "/activity?passenger=-5"
    assert local('/activity?passenger="><script>') == "/activity?passenger=%22%3E%3Cscript%3E"
    text = visitor.get("/signin", params={"next": '/activity?"><script>'}).text
    assert "<script>" not in text


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ("predict", {"/", "/predict"}),
        ("read", {"/model", "/monitoring", "/activity"}),
        ("admin", set(PAGES)),
    ],
)
def test_a_key_shows_what_its_scope_allows_and_says_what_else_takes(
    visitor: httpx.Client, keys: dict[str, str], scope: str, seen: set[str]
) -> None:
    sign_in(visitor, keys[scope])
    for path in PAGES:
        answer = visitor.get(path)
        assert answer.status_code == (200 if path in seen else 403), path
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers.get_list("content-security-policy") == [POLICY]
        if path not in seen:
            needed = "read" if scope == "predict" else "predict"
            assert f"scope &#39;{needed}&#39;" in answer.text
            assert f'href="/signin?next=%2F{path[1:]}"' in answer.text


def test_who_is_no_admin_is_told_that_only_admins_promote(
    visitor: httpx.Client, keys: dict[str, str]
) -> None:
    for scope, is_told in (("read", True), ("admin", False)):
        sign_in(visitor, keys[scope])
        assert ("Only admins can promote" in visitor.get("/model").text) == is_told


def test_the_cookie_is_as_good_as_the_header_for_the_api_and_gives_way_to_it(
    visitor: httpx.Client, keys: dict[str, str]
) -> None:
    sign_in(visitor, keys["predict"])
    assert visitor.post("/api/predict", json=PASSENGER).status_code == 200
    assert visitor.get("/api/activity").status_code == 403
    for other, status in ((keys["read"], 200), (keys["revoked"], 401), ("x", 401)):
        sent = {"authorization": f"Bearer {other}"}
        assert visitor.get("/api/activity", headers=sent).status_code == status


def test_a_page_of_another_origin_cannot_use_the_cookie(
    visitor: httpx.Client, keys: dict[str, str], closed: Server
) -> None:
    sign_in(visitor, keys["admin"])
    for foreign in (
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
    ):
        assert visitor.post("/reset", headers=foreign).status_code == 403, foreign
        assert visitor.post("/signout", headers=foreign).status_code == 403, foreign
    for own in ({"sec-fetch-site": "same-origin"}, {"origin": closed.url}, {}):
        answer = visitor.post("/reset", headers=own)
        assert answer.status_code == 200, (own, answer.text)


def test_a_form_that_is_none_or_too_large_is_refused(visitor: httpx.Client) -> None:
    assert visitor.post("/signin", json={"key": "x"}).status_code == 415
    assert visitor.post("/signin", data={"key": "x" * 5000}).status_code == 413
    many = "&".join(f"f{n}=1" for n in range(50))
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor.post("/signin", content=many, headers=form).status_code == 401


def test_a_currency_is_named_on_every_page(trained_home: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    for given in ("EUR", '"><b>'):
        with (
            serving(
                trained_home, database_url=database, environment={"CLV_CURRENCY": given}
            ) as server,
            server.client() as client,
        ):
            (tag,) = [one for name, one in Tags(client.get("/").text).tags if name == "html"]
            assert tag["data-currency"] == given


def test_the_pictures_of_the_model_are_data_and_not_script(client: httpx.Client) -> None:
    tags = Tags(client.get("/model").text).tags
    figures = [json.loads(one["data-figure"] or "") for _, one in tags if "data-figure" in one]
    assert len(figures) == 7
    assert all(
        re.fullmatch("bar|scatter", trace["type"]) for one in figures for trace in one["data"]
    )
    assert {one["layout"]["height"] for one in figures} == {380}, "what app.css reserves"


def test_what_is_loaded_needs_no_key(visitor: httpx.Client) -> None:
    until(lambda: visitor.get("/health").status_code == 200)
    assert visitor.get("/static/app.css").status_code == 200
    assert visitor.post("/static/app.css").status_code == 401


@pytest.mark.parametrize("path", [*PAGES, "/health", "/ready", "/static/app.css", "/nowhere"])
def test_head_tells_what_get_would_without_its_body(client: httpx.Client, path: str) -> None:
    whole, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    for name in ("content-type", "content-length", "content-security-policy"):
        assert head.headers.get(name) == whole.headers.get(name)


# -------------------------------------------------------------------- the form of Predict

TYPED = {"recency_7": "5", "frequency_7": "2", "monetary_7": "30", "id": ""}


def test_the_form_of_predict_is_answered_on_the_page_by_post_alone(client: httpx.Client) -> None:
    (form,) = [one for tag, one in Tags(client.get("/predict").text).tags if tag == "form"]
    assert (form["method"], form["action"]) == ("post", "/predict")
    answer = client.post("/predict", data=TYPED)
    assert answer.status_code == 200
    said = client.get("/api/explain", params=ASKED | {"frequency_7": 2, "monetary_7": 30}).json()
    assert f'value="{said["monetary_30"]}"' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert 'id="what-if"' not in client.get("/predict", params=TYPED).text, "an address is no form"


def test_what_is_tried_out_is_listed_as_such_and_counted_nowhere(client: httpx.Client) -> None:
    client.post("/reset").raise_for_status()
    client.post("/predict", data=TYPED)
    client.post("/predict", data=TYPED | {"id": "12"})
    latest = client.get("/api/activity").json()["latest"]
    assert [(row["id"], row["source"]) for row in latest] == [(12, "page"), (None, "page")]
    for passenger in (0, 12):
        assert client.get(f"/api/requests/{passenger}").json()["count"] == 0
    assert client.get("/api/monitoring").json()["versions"] == []


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"monetary_7": "1.234"}, "can be read as 1234 or as 1.234"),
        ({"monetary_7": "-1"}, "-1 is less than 0"),
        ({"monetary_7": "<b>"}, "“&lt;b&gt;” is not an amount"),
        ({"frequency_7": "1.5"}, "“1.5” is not a whole number"),
        ({"recency_7": ""}, "Enter a whole number from 0 to 7."),
        ({"id": "x"}, "Enter a whole number, or leave this empty."),
        ({"id": "9" * 50}, "longer than 40 characters"),
        ({"frequency_7": "0"}, "No ride was counted"),
    ],
)
def test_an_error_of_the_form_is_said_in_words(
    client: httpx.Client, typed: dict[str, str], says: str
) -> None:
    answer = client.post("/predict", data=TYPED | typed)
    assert answer.status_code == 422
    assert says in answer.text
    assert "recency_7=" not in answer.text


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8,50", 8.5), ("8.5", 8.5), ("€ 8,50", 8.5), ("1 234,50", 1234.5), ("1,234.50", 1234.5),
        ("1.234,50", 1234.5), ("1,234,567", 1234567.0), ("0,125", 0.125), ("1234.567", 1234.567),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_it_was_meant(text: str, amount: float) -> None:
    assert typed_amount(text) == amount


@pytest.mark.parametrize("text", ["1,234", "12.345", "1e5", "nan", "8,5,0", "1.23.4", "--1", "٣"])
def test_an_amount_that_can_mean_two_things_or_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        typed_amount(text)


def test_without_a_model_the_form_says_so_and_keeps_what_was_typed(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.client() as client:
        answer = client.post("/predict", data=TYPED)
        assert answer.status_code == 503
        assert "There is no model yet" in answer.text
        assert 'value="30"' in answer.text


def test_the_form_sends_who_is_not_signed_in_to_sign_in(visitor: httpx.Client) -> None:
    answer = visitor.post("/predict", data=TYPED)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=%2Fpredict")


def test_the_former_address_of_monitoring_leads_there(client: httpx.Client) -> None:
    answer = client.get("/reality")
    assert (answer.status_code, answer.headers["location"]) == (308, "/monitoring")


def test_the_page_calls_drift_what_the_command_and_the_api_call_it(client: httpx.Client) -> None:
    script = client.get("/static/monitoring.js").text
    (known,) = re.findall(r"const STATUS = \{(.*?)\};", script)
    kinds = dict(re.findall(r'"?([a-z ]+)"?: "(good|unsure|bad)"', known))
    assert {one.strip() for one in kinds} == set(get_args(Status))
    assert "}` }, one.status)" in script  # the word itself is shown
    assert "stable" not in script
