"""Mutated requests over all routes: no fault, no hang, no leak, no growing memory."""

import io
import sys
from pathlib import Path

import pytest

from clv.cli import main
from support.fuzz import fuzz
from support.server import serving

SCOPES = ("predict", "read", "outcomes", "admin")


def make_keys(monkeypatch: pytest.MonkeyPatch, database: str) -> list[str]:
    monkeypatch.setenv("CLV_DATABASE_URL", database)
    """A key of each scope."""
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


@pytest.mark.parametrize("closed", [False, True], ids=["open", "with keys"])
@pytest.mark.parametrize(
    "requests", [300, pytest.param(25_000, marks=pytest.mark.acceptance)], ids=["some", "many"]
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
        assert findings.faults == []
        assert findings.statuses[200] > requests / 20
        if requests > 10_000:  # fewer do not end the warming up
            assert findings.end_kib <= findings.warm_kib * 1.1
        assert server.process.poll() is None
    assert "Traceback" not in server.log()
