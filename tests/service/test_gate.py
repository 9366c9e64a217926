"""The one middleware alone: what a request sees where even the gate fails."""

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from clv.service.anonymous import AnonymousAccess
from clv.service.middleware import Gate


async def known() -> None:
    """The models are known already."""


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nothing passes a gate that failed")


class Broken:
    """Keys that cannot be checked for a reason that nobody thought of."""

    required = True

    async def admit(self, *_: Any) -> None:
        raise ValueError("secret")


@pytest.mark.parametrize("path", ["/", "/api/predict"])
def test_what_fails_within_the_gate_is_a_problem_like_any_and_is_logged(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    counted: list[tuple[Any, ...]] = []
    metrics = SimpleNamespace(answered=lambda *what: counted.append(what))
    worker = SimpleNamespace(keyring=Broken(), metrics=metrics, knows_models=known)
    gate = Gate(never, {}, access_log=False, anonymous=AnonymousAccess(True, False, ()))

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await gate({**scope, "state": {"worker": worker}}, receive, send)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text
    assert "ValueError: secret" in caplog.text
    assert [status for _, _, status, _ in counted] == [500]
