"""What a page of another site, another program of this machine and a lost network can do."""

import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from support.browser import ACCESSIBLE, DESKTOP, PHONE, Open, browse, shot
from support.server import REACHABLE, Server, serving

ASKED = (
    ("GET", "/api/activity"),
    ("GET", "/api/models"),
    ("GET", "/api/requests/9"),
    ("GET", "/metrics"),
    ("POST", "/reset"),
    ("POST", "/api/models/1/promote"),
    ("POST", "/api/predict"),
)
FETCH = """async asked => {
    const statuses = [];
    for (const [method, path] of asked) statuses.push((await fetch(path, {method})).status);
    return statuses;
}"""


@pytest.fixture(scope="module")
def composed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service as Compose runs it: bound to all of its container, and opened on purpose."""
    url = f"sqlite:///{tmp_path_factory.mktemp('composed') / 'tracking.sqlite'}"
    environment = {"CLV_ALLOW_ANONYMOUS": "true"}
    with serving(home, database_url=url, environment=environment, prelude=REACHABLE) as running:
        yield running


@contextmanager
def rebound(browser: Browser) -> Iterator[Browser]:
    """A browser for which evil.example leads to this machine, as after DNS rebinding."""
    other = browser.browser_type.launch(
        executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
        args=[
            *("--headless", "--no-sandbox", "--disable-gpu"),
            "--host-resolver-rules=MAP evil.example 127.0.0.1",
        ],
    )
    with closing(other):
        yield other


def test_a_page_whose_name_was_made_to_lead_here_reads_and_changes_nothing(
    browser: Browser, composed: Server
) -> None:
    port = httpx.URL(composed.url).port
    with composed.client() as client:
        assert client.get("/api/activity").status_code == 200
    with rebound(browser) as other:
        # The policy of this answer would stop the page; that of the attacker's own server does not.
        page = other.new_context(bypass_csp=True).new_page()
        page.goto(f"http://evil.example:{port}/health")
        assert page.evaluate("location.origin") == f"http://evil.example:{port}"
        assert page.evaluate(FETCH, ASKED) == [403] * len(ASKED)
        page.goto(f"http://localhost:{port}/health")
        assert page.evaluate(FETCH, [["GET", "/api/activity"], ["POST", "/reset"]]) == [200, 200]


def test_another_program_on_this_machine_never_gets_the_key(
    browser: Browser, closed: tuple[Server, dict[str, str]]
) -> None:
    running, keys = closed
    cookies: list[str] = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cookies.append(self.headers.get("cookie", ""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"{running.url}/signin?next=/activity")
        page.fill("#key", keys["visitor"])
        page.press("#key", "Enter")
        page.wait_for_url("**/activity")
        page.goto(f"http://127.0.0.1:{other.server_port}/")
        other.shutdown()
        page.context.close()
    # Browsers do not tell ports apart: it gets the session, which says nothing of the key.
    assert any("clv_session=" in one for one in cookies)
    assert not [one for one in cookies if "clv_key" in one or keys["visitor"][4:] in one]


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_api_documentation_works_without_internet(visit: Open, width: int) -> None:
    """`visit` fails on a request to elsewhere, a refusal by the policy or an error in a script."""
    seen = visit("/docs", width=width)
    page = seen.page
    page.wait_for_selector(".opblock")
    shown = set(page.locator(".opblock-summary-path").all_inner_texts())
    assert {"/api/predict", "/reset", "/api/segments/evaluate"} <= {
        one.replace("\u200b", "") for one in shown
    }
    page.click("#operations-predictions-predict .opblock-summary-control")
    page.click(".try-out__btn")
    page.click(".execute")
    status = ".live-responses-table .response .response-col_status"
    page.wait_for_selector(status)
    assert page.inner_text(status).startswith("200")
    shot(seen, f"docs-{width}")
    page.goto(page.url.replace("/docs", "/redoc"))
    page.wait_for_selector(".opblock")
    assert page.url.split("#")[0].endswith("/docs")


def test_an_unknown_address_shows_a_page_with_a_way_back(visit: Open) -> None:
    seen = visit("/nothing", width=PHONE, scheme="dark")
    assert seen.page.inner_text("h1") == "Not Found"
    assert seen.page.evaluate(ACCESSIBLE) == []
    assert seen.overflow() == 0
    shot(seen, "not-found-dark-360")
    seen.page.click("main >> text=Go to the start page")
    seen.page.wait_for_selector("h1")
    assert httpx.URL(seen.page.url).path == "/"


def test_a_visitor_without_a_session_may_sign_in_from_an_unknown_address(
    browser: Browser, closed: tuple[Server, dict[str, str]]
) -> None:
    running, _ = closed
    seen = browse(browser, f"{running.url}/nothing", width=DESKTOP)
    assert seen.page.inner_text("h1") == "Sign in"
    seen.page.click("main >> text=Sign in >> visible=true >> nth=-1")
    seen.page.wait_for_selector("#key")
    seen.page.context.close()
