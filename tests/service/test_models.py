"""The models that serve: none, the first, another, back again, a broken one, a challenger."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from clv.bundle import Predictor
from clv.errors import BundleError, NotTrainedError, RegistryError
from clv.registry import LastServed, Registry, open_registry
from clv.service.models import Models
from clv.service.schemas import WINDOW
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
        with pytest.raises(BundleError):
            registry.promote("2", "its artefacts are gone")
        assert version("1")(client.post("/api/predict", json=PASSENGER))
        assert "Traceback" not in server.log()


class FakeRegistry:
    """Names whichever version it is told, of bundles given as folders."""

    def __init__(self, bundles: dict[str, Path]) -> None:
        self.bundles = bundles
        self.named: str | None = None
        self.challenger: str | None = None
        self.asked = 0

    def aliases(self) -> dict[str, str]:
        if self.named == "away":
            raise RegistryError("The registry is away.")
        found = {"champion": self.named, "challenger": self.challenger}
        return {alias: number for alias, number in found.items() if number}

    def bundle(self, number: str) -> Path:
        self.asked += 1
        return self.bundles[number]


class FakeLast:
    """Keeps nothing but the last; nothing is known of changes to `registry` while it is empty."""

    def __init__(self) -> None:
        self.kept: tuple[str, Path] | None = None
        self.registry = self.confirmed = ""

    def keep(self, number: str, bundle: Path) -> None:
        self.kept = number, bundle

    def find(self) -> tuple[str, Path] | None:
        return self.kept

    def mark(self) -> str:
        return self.registry

    def confirm(self, number: str, mark: str) -> None:
        assert self.kept is not None
        self.confirmed = mark if self.kept[0] == number else self.confirmed

    def is_champion(self) -> bool:
        return self.registry != "" and self.registry == self.confirmed


def models_of(fake: FakeRegistry, last: FakeLast | None = None) -> Models:
    return Models(fake, last or FakeLast(), poll_interval_s=0.01)


@pytest.fixture
def fake(registry: Registry, tmp_path: Path) -> FakeRegistry:
    good = registry.bundle("1")
    broken = tmp_path / "broken"
    shutil.copytree(good, broken)
    (broken / "serving.npz").write_bytes(b"not what it was")
    return FakeRegistry({"1": good, "2": broken, "3": good})


def test_a_broken_bundle_is_refused_and_the_old_model_serves_on(
    fake: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    models = models_of(fake)
    fake.named = "1"
    models.refresh()
    fake.named = "2"
    models.refresh()
    assert models.current().champion.version == "1"
    assert "Version 2 (champion) refused, 1 stays" in caplog.text
    asked = fake.asked
    models.refresh()
    assert fake.asked == asked, "a broken bundle is not read again and again"
    fake.named = "3"
    models.refresh()
    assert models.current().champion.version == "3"


def test_a_bundle_that_was_refused_is_looked_at_again_when_it_is_named_again(
    fake: FakeRegistry,
) -> None:
    models = models_of(fake)
    for named in ("1", "2", "1"):
        fake.named = named
        models.refresh()
    fake.bundles["2"] = fake.bundles["1"]
    fake.named = "2"
    models.refresh()
    assert models.current().champion.version == "2"


def test_a_bundle_that_could_not_be_read_is_tried_again(fake: FakeRegistry, tmp_path: Path) -> None:
    """What a network disk did not give this time, it may give the next."""
    table = fake.bundles["2"] / "serving.npz"
    table.unlink()
    table.symlink_to(table)  # opening it is an OSError
    models = models_of(fake)
    for named in ("1", "2"):
        fake.named = named
        models.refresh()
    assert models.versions() == {"champion": "1"}
    table.unlink()
    shutil.copy(fake.bundles["1"] / table.name, table)
    models.refresh()
    assert models.versions() == {"champion": "2"}


def test_a_registry_that_is_away_leaves_the_model_in_place(fake: FakeRegistry) -> None:
    models = models_of(fake)
    fake.named = "1"
    models.refresh()
    fake.named = "away"
    with pytest.raises(RegistryError):
        models.refresh()
    assert models.current().champion.version == "1"


def test_without_a_model_the_error_says_what_to_do(fake: FakeRegistry) -> None:
    models = models_of(fake)
    models.refresh()
    with pytest.raises(NotTrainedError, match="clv train"):
        models.current()


def test_where_the_only_model_was_refused_the_error_says_so_and_no_path(
    fake: FakeRegistry,
) -> None:
    models = models_of(fake)
    fake.named = "2"
    models.refresh()
    with pytest.raises(NotTrainedError, match="Version 2 was refused: it cannot be loaded") as said:
        models.current()
    assert str(fake.bundles["2"]) not in str(said.value)


def test_a_challenger_predicts_beside_the_champion_and_goes_with_its_alias(
    fake: FakeRegistry,
) -> None:
    models = models_of(fake)
    fake.named, fake.challenger = "1", "3"
    models.refresh()
    serving = models.current()
    assert (serving.champion.version, serving.shadow_version) == ("1", "3")
    assert models.versions() == {"champion": "1", "challenger": "3"}
    fake.challenger = None
    models.refresh()
    assert models.current().challenger is None
    assert serving.shadow_version == "3", "a request keeps the models that it began with"


def test_a_broken_challenger_changes_nothing_for_the_champion(fake: FakeRegistry) -> None:
    models = models_of(fake)
    fake.named, fake.challenger = "1", "2"
    models.refresh()
    assert models.current().champion.version == "1"
    assert models.current().challenger is None
    assert models.warnings() == ["Version 2 is challenger and was refused: it cannot be loaded."]


def test_what_is_refused_is_a_warning_until_another_is_named(fake: FakeRegistry) -> None:
    models = models_of(fake)
    for named in ("1", "2"):
        fake.named = named
        models.refresh()
    assert models.warnings() == ["Version 2 is champion and was refused: it cannot be loaded."]
    fake.named = "3"
    models.refresh()
    assert models.warnings() == []


def test_a_start_without_the_registry_serves_what_served_last(fake: FakeRegistry) -> None:
    last = FakeLast()
    fake.named = "1"
    models_of(fake, last).refresh()
    fake.named = "away"
    restarted = models_of(fake, last)
    restarted.start()
    restarted.wait(first_look_s=30)
    try:
        assert restarted.current().champion.version == "1"
        assert restarted.warnings() == ["The registry is away: nobody is told of a new champion."]
    finally:
        restarted.stop()


def test_a_registry_that_hangs_does_not_hold_up_the_start(fake: FakeRegistry) -> None:
    last, hangs = FakeLast(), threading.Event()
    fake.named = "1"
    models_of(fake, last).refresh()

    class Hanging(FakeRegistry):
        def aliases(self) -> dict[str, str]:
            assert hangs.wait(60)
            return {"champion": "3"}

    restarted = models_of(Hanging(fake.bundles), last)
    restarted.start()
    restarted.wait(first_look_s=0.01)
    try:
        assert restarted.current().champion.version == "1"
        hangs.set()
        for _ in range(600):
            if restarted.current().champion.version == "3":
                break
            time.sleep(0.05)
        assert restarted.current().champion.version == "3"
        assert restarted.warnings() == []
    finally:
        restarted.stop()


class Unanswering(FakeRegistry):
    """Is asked, and does not answer until it may."""

    def __init__(self, bundles: dict[str, Path]) -> None:
        super().__init__(bundles)
        self.may = threading.Event()

    def aliases(self) -> dict[str, str]:
        assert self.may.wait(60)
        return super().aliases()


def test_a_champion_of_a_registry_that_nobody_wrote_to_serves_before_it_answers(
    fake: FakeRegistry,
) -> None:
    last = FakeLast()
    last.registry, fake.named = "as it was", "1"
    models_of(fake, last).refresh()
    asked = Unanswering(fake.bundles)
    asked.named, asked.challenger = "1", "3"
    restarted = models_of(asked, last)
    restarted.start()
    try:
        assert restarted.current().champion.version == "1"
        assert restarted.warnings() == ["The registry has not answered since the start."]
        asked.may.set()
        restarted.wait(first_look_s=60)
        assert restarted.versions() == {"champion": "1", "challenger": "3"}
        assert restarted.warnings() == []
    finally:
        asked.may.set()
        restarted.stop()


def test_a_registry_that_was_written_to_is_asked_before_anybody_is_answered(
    fake: FakeRegistry,
) -> None:
    last = FakeLast()
    last.registry, fake.named = "as it was", "1"
    models_of(fake, last).refresh()
    last.registry = "written to"
    asked = Unanswering(fake.bundles)
    asked.named = "3"
    restarted = models_of(asked, last)
    restarted.start()
    try:
        assert not restarted.serves
        asked.may.set()
        restarted.wait(first_look_s=60)
        assert restarted.current().champion.version == "3"
    finally:
        asked.may.set()
        restarted.stop()


def test_a_registry_whose_bundle_was_spoilt_while_nobody_served_is_warned_of(
    fake: FakeRegistry,
) -> None:
    last = FakeLast()
    last.registry, fake.named = "as it was", "1"
    models_of(fake, last).refresh()
    fake.bundles["1"] = fake.bundles["2"]
    last.kept = "1", fake.bundles["3"]
    restarted = models_of(fake, last)
    restarted.start()
    restarted.wait(first_look_s=60)
    restarted.stop()
    assert restarted.current().champion.version == "1"
    assert restarted.warnings() == ["Version 1 is champion and was refused: it cannot be loaded."]


def test_whoever_writes_to_a_registry_in_a_file_makes_it_be_asked_again(
    trained_home: Path, tmp_path: Path
) -> None:
    settings = Settings(home=Path(shutil.copytree(trained_home, tmp_path / "home")))
    registry, last = open_registry(settings), LastServed(settings)
    last.keep("1", registry.bundle("1"))
    assert not last.is_champion(), "nobody has said so yet"
    last.confirm("2", last.mark())
    assert not last.is_champion(), "another version is kept"
    last.confirm("1", last.mark())
    assert last.is_champion()
    assert LastServed(settings).is_champion()
    assert registry.versions()[0].number == "1"
    assert last.is_champion(), "reading changes nothing"
    registry.explain("1", "written to")
    assert not last.is_champion()
    last.confirm("1", last.mark())
    assert last.is_champion()
    log = settings.root / "mlflow.sqlite-wal"
    log.write_bytes(b"rows that are not in the file yet")
    assert not last.is_champion()
    log.unlink()
    (settings.root / "mlflow.sqlite").unlink()
    assert not last.is_champion()


def test_a_registry_that_is_no_file_is_always_asked(tmp_path: Path) -> None:
    last = LastServed(Settings(home=tmp_path, MLFLOW_TRACKING_URI="http://127.0.0.1:9"))
    assert last.mark() == ""


def test_what_was_kept_and_altered_since_is_not_served(fake: FakeRegistry) -> None:
    last = FakeLast()
    last.kept = "2", fake.bundles["2"]
    fake.named = "away"
    models = models_of(fake, last)
    models.start()
    models.wait(first_look_s=30)
    models.stop()
    with pytest.raises(NotTrainedError, match="The registry is away"):
        models.current()


def test_the_last_served_bundle_is_kept_whole_and_alone(registry: Registry, tmp_path: Path) -> None:
    last = LastServed(Settings(home=tmp_path))
    assert last.find() is None
    for number in ("1", "2", "2"):
        last.keep(number, registry.bundle("1"))
    found = last.find()
    assert found is not None
    number, folder = found
    assert number == "2"
    assert Predictor.load(folder).window == WINDOW
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]
    other = LastServed(Settings(home=tmp_path, model_name="other"))
    assert other.find() is None, "another model's bundle is nobody else's"


@pytest.mark.parametrize("harm", ["altered", "missing"])
def test_a_copy_that_was_damaged_is_made_anew(
    registry: Registry, tmp_path: Path, harm: str
) -> None:
    last = LastServed(Settings(home=tmp_path))
    last.keep("1", registry.bundle("1"))
    _, folder = last.find() or pytest.fail("nothing was kept")
    if harm == "altered":
        (folder / "serving.npz").write_bytes(b"?")
    else:
        (folder / "serving.npz").unlink()
    last.keep("1", registry.bundle("1"))
    assert last.find() == ("1", folder)
    assert Predictor.load(folder).window == WINDOW


def test_another_bundle_of_the_same_number_takes_the_place_of_the_one_kept(
    fake: FakeRegistry, tmp_path: Path
) -> None:
    last = LastServed(Settings(home=tmp_path))
    last.keep("1", fake.bundles["2"])
    last.keep("1", fake.bundles["1"])
    _, folder = last.find() or pytest.fail("nothing was kept")
    assert Predictor.load(folder).window == WINDOW
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]
