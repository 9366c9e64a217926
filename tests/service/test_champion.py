"""The model that serves: none, the first, another, back again, and one that is broken."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from clv.errors import NotTrainedError, RegistryError
from clv.registry import Registry, open_registry
from clv.service.champion import Champion
from clv.settings import Settings
from clv.training import TrainingResult, release
from conftest import NOW
from support.server import serving

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}


def until(client: httpx.Client, holds: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Ask until the answer is as expected; the service looks at its registry every 0.2 s."""
    for _ in range(600):
        answer = client.post("/api/predict", json=PASSENGER)
        if holds(answer):
            return answer
        time.sleep(0.1)
    raise AssertionError(f"never as expected; last: {answer.status_code} {answer.text}")


def version(number: str) -> Callable[[httpx.Response], bool]:
    return lambda answer: answer.status_code == 200 and answer.json()["model_version"] == number


def test_a_running_service_takes_the_first_model_then_the_next_then_goes_back(
    result: TrainingResult, tmp_path: Path
) -> None:
    registry = open_registry(Settings(home=tmp_path))
    with serving(tmp_path) as server, server.client() as client:
        answer = client.post("/api/predict", json=PASSENGER)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "clv train" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200
        assert client.get("/api/requests/7").json()["count"] == 0

        release(result, registry, tmp_path, now=NOW)
        until(client, version("1"))
        release(result, registry, tmp_path, now=NOW, promote=True)
        until(client, version("2"))
        registry.rollback()
        until(client, version("1"))

        shutil.rmtree(registry.bundle("2"))
        with pytest.raises(RegistryError):
            registry.promote("2", "its artefacts are gone")
        assert version("1")(client.post("/api/predict", json=PASSENGER))
        assert "Traceback" not in server.log()


class FakeRegistry:
    """Names whichever version it is told, of bundles given as folders."""

    def __init__(self, bundles: dict[str, Path]) -> None:
        self.bundles = bundles
        self.named: str | None = None
        self.asked = 0

    def number_of(self, _: str) -> str | None:
        if self.named == "away":
            raise RegistryError("The registry is away.")
        return self.named

    def bundle(self, number: str) -> Path:
        self.asked += 1
        return self.bundles[number]


@pytest.fixture
def fake(registry: Registry, tmp_path: Path) -> FakeRegistry:
    good = registry.bundle("1")
    broken = tmp_path / "broken"
    shutil.copytree(good, broken)
    (broken / "serving.onnx").write_bytes(b"not what it was")
    return FakeRegistry({"1": good, "2": broken, "3": good})


def test_a_broken_bundle_is_refused_and_the_old_model_serves_on(
    fake: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    champion = Champion(fake, poll_interval_s=1)  # type: ignore[arg-type]
    fake.named = "1"
    champion.refresh()
    fake.named = "2"
    champion.refresh()
    assert champion.current().version == "1"
    assert "Version 2 refused" in caplog.text
    asked = fake.asked
    champion.refresh()
    assert fake.asked == asked, "a broken bundle is not read again and again"
    fake.named = "3"
    champion.refresh()
    assert champion.current().version == "3"


def test_a_bundle_that_was_refused_is_looked_at_again_when_it_is_named_again(
    fake: FakeRegistry,
) -> None:
    champion = Champion(fake, poll_interval_s=1)  # type: ignore[arg-type]
    for named in ("1", "2", "1"):
        fake.named = named
        champion.refresh()
    fake.bundles["2"] = fake.bundles["1"]
    fake.named = "2"
    champion.refresh()
    assert champion.current().version == "2"


def test_a_registry_that_is_away_leaves_the_model_in_place(fake: FakeRegistry) -> None:
    champion = Champion(fake, poll_interval_s=1)  # type: ignore[arg-type]
    fake.named = "1"
    champion.refresh()
    fake.named = "away"
    with pytest.raises(RegistryError):
        champion.refresh()
    assert champion.current().version == "1"


def test_without_a_model_the_error_says_what_to_do(fake: FakeRegistry) -> None:
    champion = Champion(fake, poll_interval_s=1)  # type: ignore[arg-type]
    champion.refresh()
    with pytest.raises(NotTrainedError, match="clv train"):
        champion.current()


def test_where_the_only_model_was_refused_the_error_says_so_and_no_path(
    fake: FakeRegistry,
) -> None:
    champion = Champion(fake, poll_interval_s=1)  # type: ignore[arg-type]
    fake.named = "2"
    champion.refresh()
    with pytest.raises(NotTrainedError, match="Version 2 was refused: it cannot be loaded") as said:
        champion.current()
    assert str(fake.bundles["2"]) not in str(said.value)
