"""One server for all tests of its answers; each test begins with no tracked requests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.server import Server, serving


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Tell schemathesis' tests apart: pytest 9.2 names all alike; of those xdist runs one."""
    for item in items:
        if label := getattr(item, "operation_label", None):
            item._id = item._id.with_params(label)


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
