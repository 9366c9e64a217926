"""What the tests of whole processes and pages share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from clv.clock import utc_now
from clv.registry import open_registry
from clv.settings import Settings
from clv.tracking import KeyStore, open_database
from clv.training import TrainingResult, release
from conftest import NOW
from support.browser import DESKTOP, Open, Scheme, Visit, Visitors, browse, browser
from support.server import Server, serving
from support.waiting import until

__all__ = ["browser"]

UPLOAD_BYTES = 1_000_000


@pytest.fixture(scope="module")
def home(
    trained_home: Path, result: TrainingResult, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two versions, of which the second is champion."""
    home = tmp_path_factory.mktemp("pages") / "home"
    shutil.copytree(trained_home, home)
    release(result, open_registry(Settings(home=home)), home, now=NOW, promote=True)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    variables = {"CLV_CURRENCY": "EUR", "CLV_MAX_UPLOAD_BYTES": str(UPLOAD_BYTES)}
    with serving(home, environment=variables) as running:
        yield running


@pytest.fixture(scope="module")
def closed(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server with keys."""
    url = f"sqlite:///{tmp_path_factory.mktemp('closed') / 'tracking.sqlite'}"
    with serving(home, database_url=url) as running:
        engine = open_database(url)
        store = KeyStore(engine)
        keys = {
            name: store.create(name, scopes, at=utc_now())[1]
            for name, scopes in (("visitor", ["predict", "read"]), ("narrow", ["predict"]))
        }
        engine.dispose()
        with running.client() as client:
            until(lambda: client.get("/api/models").status_code == httpx.codes.UNAUTHORIZED)
        yield running, keys


@pytest.fixture(scope="module")
def visitors(browser: Browser) -> Visitors:
    return Visitors(browser)


@pytest.fixture
def visit(visitors: Visitors, server: Server) -> Iterator[Open]:
    """`visit(path, ...)`; when the test is over, nothing may have been complained of."""
    opened: list[Visit] = []

    def go(
        path: str,
        *,
        width: int = DESKTOP,
        scheme: Scheme = "light",
        of: Server = server,
        scripts: bool = True,
    ) -> Visit:
        seen = browse(visitors, of.url + path, width=width, scheme=scheme, scripts=scripts)
        opened.append(seen)
        return seen

    yield go
    # A browser writes each refusal into its console, also one that the page shows and expects.
    complaints = [one for seen in opened for one in seen.complaints if "status of 4" not in one]
    own = [url for seen in opened for url in seen.requests]
    visitors.leave()
    assert complaints == []
    here = {url.split("/")[2] for url in own if not url.startswith(("data:", "blob:"))}
    assert all(host.startswith("127.0.0.1:") for host in here), here
