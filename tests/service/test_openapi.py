"""What the OpenAPI document promises holds for whatever it allows, and for what it forbids."""

import contextlib
import io
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import settings
from schemathesis.checks import CheckContext
from schemathesis.openapi import from_dict

from clv.cli import main
from clv.registry import open_registry
from clv.schema import CONTRADICTIONS
from clv.service.app import create_api
from clv.settings import Settings
from clv.training import TrainingResult, release
from conftest import NOW
from support.server import Server, serving

DOCUMENT = create_api(Settings(home=Path("nowhere"))).openapi()
# For each server its own: schemathesis keeps what it learnt from answers with the schema.
OPEN, KEYED = from_dict(DOCUMENT), from_dict(DOCUMENT)


@dataclass
class Asked:
    """A server, how to ask it, and the statuses that it answered each operation with."""

    server: Server
    session: requests.Session
    statuses: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def ask(self, case: schemathesis.Case) -> None:
        answer = case.call(base_url=self.server.url, session=self.session)
        excluded = ["positive_data_acceptance"]
        if answer.status_code == 413:
            excluded.append("negative_data_rejection")  # too large to be looked at is refused, too
        case.validate_response(
            answer,
            additional_checks=[
                refused_for_a_reason_that_no_schema_can_tell,
                problems_tell_no_secret,
            ],
            excluded_checks=[schemathesis.checks.CHECKS.get_one(name) for name in excluded],
        )
        self.statuses[case.operation.label].add(answer.status_code)


#: A schema can tell neither what time it is nor which of two moments comes first.
MOMENTS = ("expected a moment from 1970 up to now", "registered after the amount was drawn up")
#: Nor can it tell that two entries of a list are of the same passenger.
SAME = ("different outcomes of the same passenger, drawn up at the same time",)


def refused_for_a_reason_that_no_schema_can_tell(
    _: CheckContext, answer: schemathesis.Response, case: schemathesis.Case
) -> None:
    """What the schema allows is refused only where its fields contradict one another."""
    if case.meta and case.meta.generation.mode.is_positive and answer.status_code == 422:
        errors = answer.json().get("errors", [])
        assert errors or "rows of one id that say different" in answer.json()["detail"]
        for error in errors:
            allowed = (*(one.says for one in CONTRADICTIONS), *MOMENTS, *SAME)
            assert error["message"].startswith(allowed), error


def problems_tell_no_secret(
    _: CheckContext, answer: schemathesis.Response, case: schemathesis.Case
) -> None:
    if answer.status_code >= 400:
        assert "Traceback" not in answer.text
        assert "site-packages" not in answer.text


@pytest.fixture(scope="module")
def without_keys(server: Server) -> Iterator[Asked]:
    yield from asked(server)


@pytest.fixture(scope="module")
def with_keys(
    trained_home: Path, result: TrainingResult, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    """A server with a key, of three versions, as the document's example is the third."""
    home = tmp_path_factory.mktemp("openapi") / "home"
    shutil.copytree(trained_home, home)
    for _ in range(2):
        release(result, open_registry(Settings(home=home)), home, now=NOW, promote=True)
    open_registry(Settings(home=home)).rollback()
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(SystemExit),
    ):
        patch.setenv("CLV_HOME", str(home))
        patch.setattr(sys, "argv", ["clv", "keys", "create", "schemathesis", "--scope", "admin"])
        main()
    with serving(home) as server:
        yield from asked(server, Authorization=f"Bearer {printed.getvalue().strip()}")


def asked(server: Server, **headers: str) -> Iterator[Asked]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(headers)
        yield Asked(server, session)
    assert "Traceback" not in server.log()


@OPEN.parametrize()
@settings(max_examples=25)
def test_no_500_and_no_undocumented_answer_without_keys(
    case: schemathesis.Case, without_keys: Asked
) -> None:
    without_keys.ask(case)


@KEYED.parametrize()
@settings(max_examples=25)
def test_no_500_and_no_undocumented_answer_with_keys(
    case: schemathesis.Case, with_keys: Asked
) -> None:
    with_keys.ask(case)


def test_every_operation_was_also_answered_well_and_every_input_also_refused(
    without_keys: Asked, with_keys: Asked
) -> None:
    """What is asked above is made up by a library: without this it could be nothing but refused."""
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert set(without_keys.statuses) == set(with_keys.statuses) == set(operations)
    for name, operation in operations.items():
        # Of the first server version 1 is champion, and the first.
        assert 200 in with_keys.statuses[name] | without_keys.statuses[name], name
        for statuses in (with_keys.statuses[name], without_keys.statuses[name]):
            assert 401 not in statuses
            assert ("422" in operation["responses"]) == (422 in statuses), name
    assert {404, 409} <= with_keys.statuses["POST /api/models/{version}/promote"]


def test_the_document_is_the_one_that_the_service_shows(server: Server) -> None:
    shown = requests.get(f"{server.url}/openapi.json", timeout=30)
    assert shown.json() == DOCUMENT
