"""What someone with a browser sees at an address where there is no page."""

import httpx
import pytest

#: As Chromium sends it.
BROWSER = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
}


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/nothing", "/campaign/x", "/static/nothing.js", "/docs/x"]
)
def test_an_unknown_address_is_a_page_for_people(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert '<a class="button" href="/">' in answer.text
    assert path not in answer.text
    assert client.head(path, headers=BROWSER).status_code == 404


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html", ""])
def test_an_unknown_address_is_a_problem_for_programs(client: httpx.Client, accept: str) -> None:
    answer = client.get("/nothing", headers={"accept": accept})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_only_programs_can_ask_says_so_to_people(client: httpx.Client) -> None:
    answer = client.get("/api/predict", headers=BROWSER)
    assert answer.status_code == 405
    assert "for programs" in answer.text
    assert answer.headers["allow"] == "POST"
    posted = client.post("/nothing", headers=BROWSER)
    assert posted.headers["content-type"] == "application/problem+json"


def test_answers_are_the_same_for_people_and_programs(client: httpx.Client) -> None:
    for path in ("/health", "/api/requests/1"):
        assert client.get(path, headers=BROWSER).json() == client.get(path).json()
    wrong = client.get("/api/requests/x", headers=BROWSER)
    assert wrong.headers["content-type"] == "application/problem+json"
