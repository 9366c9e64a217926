"""Mutated requests over all routes: no fault, no hang, no leak, no growing memory."""

import io
import re
import sys
from pathlib import Path

import pytest

from clv.cli import main
from clv.service.app import create_api
from clv.settings import Settings
from support.fuzz import TARGETS, fuzz
from support.routes import routes_of
from support.server import serving

SCOPES = ("predict", "read", "outcomes", "admin")


def make_keys(monkeypatch: pytest.MonkeyPatch, database: str) -> list[str]:
    """A key of each scope."""
    monkeypatch.setenv("CLV_DATABASE_URL", database)
    keys = []
    for scope in SCOPES:
        out = io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "argv", ["clv", "keys", "create", scope, "--scope", scope])
        with pytest.raises(SystemExit):
            main()
        keys.append(out.getvalue().split()[-1])
    monkeypatch.undo()
    return keys


def test_every_route_is_among_those_that_are_mutated() -> None:
    known = {(method, path) for method, path in routes_of(create_api(Settings()).routes)}
    missing = [
        (method, path)
        for method, path in known
        if method != "HEAD" and not any(method == tried and fits(path, to) for tried, to in TARGETS)
    ]
    assert len(known) > 20
    assert missing == []


def fits(path: str, target: str) -> bool:
    """Whether a target is one of a route, such as /api/requests/{passenger_id}."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), target) is not None


@pytest.mark.parametrize("closed", [False, True], ids=["open", "with keys"])
@pytest.mark.parametrize(
    "requests", [300, pytest.param(25_000, marks=pytest.mark.nightly)], ids=["some", "many"]
)
def test_mutated_requests_are_answered_or_refused(
    trained_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    requests: int,
    *,
    closed: bool,
) -> None:
    database = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    keys = make_keys(monkeypatch, database) if closed else []
    with serving(
        trained_home,
        database_url=database,
        environment={"CLV_READ_TIMEOUT_S": "1", "TMPDIR": str(tmp_path)},
    ) as server:
        port = int(server.url.rsplit(":", 1)[1])
        findings = fuzz(port, server.process.pid, requests, keys=keys)
        assert not findings.faults, "\n".join(findings.faults[:20])
        assert findings.statuses[200] > requests / 20
        if requests > 10_000:  # fewer do not end the warming up
            assert findings.end_kib <= findings.warm_kib * 1.1
        assert server.process.poll() is None
    assert "Traceback" not in server.log()
