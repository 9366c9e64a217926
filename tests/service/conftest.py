"""One server for all tests of its answers; each test begins with no tracked requests."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.server import Server, serving


@pytest.fixture(scope="session")
def tracking_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracking") / "tracking.sqlite"


@pytest.fixture(scope="session")
def server(trained_home: Path, tracking_file: Path) -> Iterator[Server]:
    with serving(trained_home, database_url=f"sqlite:///{tracking_file}") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        client.post("/reset").raise_for_status()
        yield client
