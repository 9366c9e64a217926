"""The registry on a real MLflow: versions, aliases, the way back, and what failures look like."""

import itertools
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow.store.db.utils
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url

from clv.bundle import Predictor
from clv.errors import BundleError, NotTrainedError, RegistryError
from clv.registry import Registry, RunRecord, open_registry
from clv.schema import Window
from clv.settings import Settings
from clv.training import TrainingResult, release
from conftest import NOW

RECORD = RunRecord(
    "boosting",
    {"num_leaves": 7, "seed": 42},
    {"test_mse": 1_763.9, "test_bias": -0.02},
    [RunRecord("mean", {}, {"test_mse": 4_691.0}), RunRecord("boosting", {"num_leaves": 7}, {})],
)
_numbers = itertools.count()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests here (to make its tables takes seconds), in an awkward folder."""
    return tmp_path_factory.mktemp("home") / "ein Ördner mit #"


@pytest.fixture
def registry(home: Path) -> Registry:
    """A model of a name of its own: in the same store, yet without versions."""
    return open_registry(Settings(home=home, model_name=f"model {next(_numbers)}"))


FILES = ["holdout.npz", "manifest.json", "serving.npz"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The registry does not look into a bundle."""
    folder = tmp_path / "draft"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def register(registry: Registry, bundle: Path) -> Callable[[], str]:
    return lambda: registry.register(bundle, [], RunRecord("boosting", {}, {}), {})


@pytest.fixture
def client(registry: Registry) -> MlflowClient:
    """MLflow itself, to see what is really there."""
    return MlflowClient(tracking_uri=registry.uri, registry_uri=registry.uri)


def standing(registry: Registry) -> dict[str, tuple[str, ...]]:
    return {version.number: version.aliases for version in registry.versions() if version.aliases}


# ---------------------------------------------------------------- before the first model


def test_to_look_into_an_empty_home_creates_nothing(tmp_path: Path) -> None:
    registry = open_registry(Settings(home=tmp_path / "new"))
    assert registry.versions() == []
    assert registry.number_of("champion") is None
    assert registry.number_of("challenger") is None
    with pytest.raises(NotTrainedError, match="clv train --data SOURCE"):
        registry.champion()
    with pytest.raises(RegistryError, match="no version '1'"):
        registry.bundle("1")
    with pytest.raises(NotTrainedError):
        registry.rollback()
    with pytest.raises(RegistryError, match="no version '1'"):
        registry.promote("1", "why not")
    assert not (tmp_path / "new").exists()


def test_a_store_in_which_others_are_is_empty_for_us(registry: Registry) -> None:
    assert registry.versions() == []
    with pytest.raises(NotTrainedError):
        registry.champion()
    with pytest.raises(RegistryError, match="no version '1'"):
        registry.bundle("1")


# ---------------------------------------------------------------- versions


def test_a_version_is_read_as_it_was_registered(
    registry: Registry, bundle: Path, tmp_path: Path
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    number = registry.register(bundle, [], RECORD, {"test_mse": "1763.9"})
    (version,) = registry.versions()
    assert (version.number, version.model, version.aliases, version.reason) == (
        number, "boosting", (), "",
    )  # fmt: skip
    assert version.tags == {"test_mse": "1763.9"}
    assert before <= version.created_at <= datetime.now(UTC) + timedelta(seconds=1)
    shutil.rmtree(bundle)  # what is registered does not need the draft
    assert sorted(path.name for path in registry.bundle(number).iterdir()) == FILES


def test_versions_are_counted_up_and_listed_newest_first(
    registry: Registry, register: Callable[[], str]
) -> None:
    assert [register() for _ in range(11)] == [str(number) for number in range(1, 12)]
    assert [version.number for version in registry.versions()] == [
        str(number) for number in range(11, 0, -1)
    ]


def test_two_models_in_one_store_do_not_see_each_other(home: Path, bundle: Path) -> None:
    one, other = (
        open_registry(Settings(home=home, model_name=name)) for name in ("rides", "rides-b")
    )
    one.promote(one.register(bundle, [], RECORD, {}), "first")
    assert other.versions() == []
    assert other.number_of("champion") is None
    other.challenge(other.register(bundle, [], RECORD, {}), "waits")
    assert standing(one) == {"1": ("champion",)}
    assert standing(other) == {"1": ("challenger",)}
    assert one.bundle("1") != other.bundle("1")


def test_everything_about_a_training_is_in_mlflow(
    registry: Registry, client: MlflowClient, bundle: Path, tmp_path: Path
) -> None:
    results, card = tmp_path / "model_results.csv", tmp_path / "model_card.md"
    results.write_text("model,test_mse\n")
    card.write_text("# Model card")
    registry.register(bundle, [results, card], RECORD, {})
    run = client.get_run(client.get_model_version(registry.name, "1").run_id)
    assert run.info.run_name == "boosting"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"num_leaves": "7", "seed": "42"}
    assert run.data.metrics == {"test_mse": 1_763.9, "test_bias": -0.02}
    kept = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert kept == {"bundle", "model_results.csv", "model_card.md"}
    below = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    assert {child.info.run_name: child.data.metrics for child in below} == {
        "mean": {"test_mse": 4_691.0},
        "boosting": {},
    }
    assert {child.info.status for child in below} == {"FINISHED"}
    assert client.get_experiment(run.info.experiment_id).name == registry.name


# ---------------------------------------------------------------- champions


def test_a_new_version_serves_only_once_it_is_promoted(
    registry: Registry, register: Callable[[], str]
) -> None:
    registry.promote(register(), "first model")
    assert (register(), registry.champion()) == ("2", "1")
    registry.challenge("2", "not shown to be better")
    assert standing(registry) == {"1": ("champion",), "2": ("challenger",)}
    assert [version.reason for version in registry.versions()] == [
        "not shown to be better",
        "first model",
    ]


def test_a_challenger_that_is_promoted_challenges_no_longer(
    registry: Registry, register: Callable[[], str]
) -> None:
    registry.promote(register(), "first model")
    registry.challenge(register(), "waits")
    registry.promote("2", "better")
    assert standing(registry) == {"2": ("champion",)}
    assert registry.number_of("challenger") is None


def test_who_is_champion_already_is_not_promoted_again(
    registry: Registry, register: Callable[[], str]
) -> None:
    registry.promote(register(), "first model")
    with pytest.raises(RegistryError, match="Version 1 is the champion already"):
        registry.promote("1", "again")
    with pytest.raises(RegistryError, match="no champion before"):
        registry.rollback()


@pytest.mark.parametrize("number", ["2", "99", "0", "-1", "latest", "champion", "1 or 1=1", ""])
def test_a_version_that_is_not_there_is_not_promoted(
    registry: Registry, register: Callable[[], str], number: str
) -> None:
    registry.promote(register(), "first model")
    with pytest.raises(RegistryError, match=rf"no version '{number}'.*clv models list"):
        registry.promote(number, "a slip")
    assert standing(registry) == {"1": ("champion",)}


# ---------------------------------------------------------------- the way back


@pytest.fixture
def three(registry: Registry, register: Callable[[], str]) -> Registry:
    """Three versions that were champion one after the other."""
    for reason in ("one", "two", "three"):
        registry.promote(register(), reason)
    return registry


def test_a_rollback_returns_to_the_champion_before_and_again_to_the_one_before_it(
    three: Registry,
) -> None:
    assert three.rollback() == three.champion() == "2"
    assert three.rollback() == three.champion() == "1"
    with pytest.raises(RegistryError, match="no champion before this one to return to"):
        three.rollback()
    assert three.champion() == "1"
    assert {version.number: version.reason for version in three.versions()} == {
        "3": "rolled back to 2: no reason given",
        "2": "rolled back to 1: no reason given",
        "1": "rolled back from 2: no reason given",
    }


def test_the_champion_after_a_rollback_says_why_it_was_returned_to(three: Registry) -> None:
    three.rollback("predicts too much")
    three.promote("3", "mended")
    three.rollback("again too much", by="ada")
    reasons = {version.number: version.reason for version in three.versions()}
    assert reasons["2"] == "rolled back from 3: again too much"
    assert reasons["3"] == "rolled back to 2: again too much"


def test_every_decision_stays_in_the_history(
    three: Registry, register: Callable[[], str], home: Path
) -> None:
    three.rollback("predicts too much", by="key 0a1b2c3d (ops)")
    mine = open_registry(Settings(home=home, model_name=three.name), by="ada")
    mine.challenge(register(), "not shown to be better", action="retrain")
    with pytest.raises(RegistryError, match="champion already"):
        three.promote("2", "refused, so never listed")
    again = open_registry(Settings(home=home, model_name=three.name))
    assert [
        (one.action, one.version, one.alias, one.previous, one.by, one.reason)
        for one in again.history()
    ] == [
        ("retrain", "4", "challenger", "2", "ada", "not shown to be better"),
        ("rollback", "2", "champion", "3", "key 0a1b2c3d (ops)", "predicts too much"),
        ("promote", "3", "champion", "2", "", "three"),
        ("promote", "2", "champion", "1", "", "two"),
        ("promote", "1", "champion", None, "", "one"),
    ]
    instants = [one.at for one in again.history()]
    assert instants == sorted(instants, reverse=True)
    assert all(one.utcoffset() == timedelta(0) for one in instants)


def test_a_decision_that_fails_is_not_in_the_history(
    three: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MlflowException("database is locked")

    before = three.history()
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "set_registered_model_alias", fail)
        with pytest.raises(RegistryError, match="locked"):
            three.promote("1", "in vain")
    assert three.history() == before


def test_a_registry_without_a_decision_has_an_empty_history(
    registry: Registry, tmp_path: Path
) -> None:
    assert registry.history() == []
    assert open_registry(Settings(home=tmp_path / "new")).history() == []
    assert not (tmp_path / "new").exists()


def test_after_a_rollback_the_next_promotion_remembers_who_served(
    three: Registry, register: Callable[[], str]
) -> None:
    three.rollback()
    three.promote(register(), "four")
    assert three.rollback() == "2"
    three.promote("3", "another chance")
    assert three.champion() == "3"
    assert three.rollback() == "2"
    assert three.rollback() == "1"


def test_there_is_no_way_back_from_the_first_champion(
    registry: Registry, register: Callable[[], str]
) -> None:
    register()
    with pytest.raises(NotTrainedError):
        registry.rollback()


def test_after_many_promotions_the_way_back_is_still_known(three: Registry) -> None:
    numbers = ["1" if three.champion() == "3" else "3"]
    three.promote(numbers[0], "in turn")
    for _ in range(29):
        numbers.append("3" if numbers[-1] == "1" else "1")
        three.promote(numbers[-1], "in turn")
    for number in numbers[-2:-22:-1]:
        assert three.rollback() == number
    with pytest.raises(RegistryError, match="no champion before"):
        three.rollback()


@pytest.mark.parametrize("lost", ["1", "2"])
def test_a_version_whose_files_are_gone_never_becomes_champion(three: Registry, lost: str) -> None:
    shutil.rmtree(three.bundle(lost))
    with pytest.raises(BundleError, match=f"version {lost} of .* is gone"):
        three.promote(lost, "a slip")
    assert three.champion() == "3"
    if lost == "2":
        with pytest.raises(BundleError):
            three.rollback()
        assert three.champion() == "3"
        three.promote("1", "the one that is left")
        assert three.champion() == "1"


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    "step", ["log_batch", "log_artifacts", "log_artifact", "set_terminated", "create_model_version"]
)
@pytest.mark.parametrize("error", [MlflowException("database is locked"), OSError(28, "No space")])
def test_a_failure_in_the_middle_leaves_no_version(
    registry: Registry, bundle: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, step, fail)
        with pytest.raises(RegistryError, match=r"cannot be used: .*(locked|No space)"):
            registry.register(bundle, [bundle / "manifest.json"], RECORD, {})
    assert registry.versions() == []
    assert registry.register(bundle, [], RECORD, {}) == "1"


def test_a_champion_stays_where_its_successor_cannot_be_named(
    three: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MlflowException("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "set_registered_model_alias", fail)
        with pytest.raises(RegistryError, match="locked"):
            three.promote("1", "in vain")
    assert three.champion() == "3"
    three.promote("1", "now")
    assert three.champion() == "1"


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow itself would try for 100 seconds to reach a database; that it must not begin."""

    def refuse(seconds: float) -> None:
        raise AssertionError(f"MLflow sleeps for {seconds} s")

    monkeypatch.setattr(mlflow.store.db.utils.time, "sleep", refuse)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://user:s3cret@127.0.0.1:9", "http://user:***@127.0.0.1:9"),
        ("http://user:s3cret@127.0.0.1:9/", "http://user:***@127.0.0.1:9/"),
        ("postgresql://user:s3cret@127.0.0.1:9/db", "user:***@127.0.0.1:9/db"),
        ("postgresql://user@127.0.0.1:9/db?password=s3cret", "user@127.0.0.1:9/db"),
        ("foo://user:s3cret@host/db", "foo://user:***@host/db"),
        ("not a URI but s3cret", "the address in MLFLOW_TRACKING_URI"),
    ],
)
def test_a_registry_that_is_away_is_said_at_once_and_without_its_password(
    tmp_path: Path, uri: str, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = open_registry(Settings(home=tmp_path, MLFLOW_TRACKING_URI=uri))
    for ask in (registry.versions, registry.champion, lambda: registry.promote("1", "")):
        with pytest.raises(RegistryError) as caught:
            ask()
        assert named in str(caught.value)
        assert "Check MLFLOW_TRACKING_URI" in str(caught.value)
        assert "s3cret" not in str(caught.value) + caplog.text


@pytest.mark.usefixtures("no_waiting")
def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "mlflow.sqlite").write_bytes(b"This is no database. " * 100)
    registry = open_registry(Settings(home=tmp_path))
    with pytest.raises(RegistryError, match=r"mlflow\.sqlite cannot be used: .*not a database"):
        registry.versions()


@pytest.mark.usefixtures("no_waiting")
def test_a_folder_in_place_of_the_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.sqlite").mkdir()
    with pytest.raises(RegistryError, match=r"mlflow\.sqlite cannot be used"):
        open_registry(Settings(home=tmp_path)).versions()


# ---------------------------------------------------------------- PostgreSQL


def test_the_registry_can_live_in_postgresql(
    postgres_server: Any, postgres_url: str, bundle: Path, tmp_path: Path
) -> None:
    postgres_server.psql("CREATE DATABASE registry;")
    url = make_url(postgres_url).set(database="registry")
    settings = Settings(
        home=tmp_path / "home", MLFLOW_TRACKING_URI=url.render_as_string(hide_password=False)
    )
    registry = open_registry(settings)
    assert registry.versions() == []
    for reason in ("one", "two"):
        registry.promote(registry.register(bundle, [], RECORD, {}), reason)
    assert registry.rollback() == "1"
    assert json.loads((open_registry(settings).bundle("1") / "manifest.json").read_text()) == {}


# ---------------------------------------------------------------- artefacts


def test_a_home_that_was_moved_is_read_and_written_where_it_is_now(
    bundle: Path, tmp_path: Path
) -> None:
    """MLflow keeps absolute addresses; a volume is mounted wherever somebody mounts it."""
    before = tmp_path / "before"
    first = open_registry(Settings(home=before))
    assert first.register(bundle, [], RECORD, {}) == "1"
    now = before.rename(tmp_path / "now here")
    moved = open_registry(Settings(home=now))
    assert now in moved.bundle("1").parents
    assert json.loads((moved.bundle("1") / "manifest.json").read_text()) == {}
    for number in ("2", "3"):
        assert moved.register(bundle, [], RECORD, {}) == number
        assert now in moved.bundle(number).parents
    assert not before.exists()
    moved.promote("3", "from here")
    again = open_registry(Settings(home=now.rename(before)))
    assert before in again.bundle(again.champion()).parents


def test_a_copy_of_a_home_does_not_read_the_bundles_of_the_original(
    trained_home: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(trained_home, tmp_path / "copy")
    registry = open_registry(Settings(home=copy))
    bundle = registry.bundle("1")
    assert copy in bundle.parents
    assert Predictor.load(bundle).window == Window()
    number = registry.register(bundle, [], RECORD, {})
    assert copy in registry.bundle(number).parents
    assert len(open_registry(Settings(home=trained_home)).versions()) == 1


def test_what_a_server_sends_is_kept_whole_or_not_at_all(
    registry: Registry, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = registry.register(bundle, [], RECORD, {})
    stored = registry.bundle(number)
    asked = []

    def download(*, dst_path: str, artifact_path: str, **_: object) -> str:
        asked.append(artifact_path)
        if len(asked) == 2:
            raise MlflowException("the connection broke")
        return shutil.copy(stored.parent / artifact_path, dst_path)

    monkeypatch.setattr("clv.registry.library.download_artifacts", download)
    monkeypatch.setattr("clv.registry.store.Store.is_server", True)
    with pytest.raises(RegistryError, match="the connection broke"):
        registry.bundle(number)
    kept = registry.bundle(number)
    assert sorted(path.name for path in kept.iterdir()) == FILES
    assert registry.bundle(number) == kept
    assert len(asked) == 2 + len(FILES), "what was downloaded is not downloaded again"
    assert [path.name for path in kept.parent.iterdir()] == ["bundle"]


def test_a_report_is_found_with_the_version_that_it_is_of(
    registry: Registry, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text("<h1>good</h1>")
    number = registry.register(bundle, [tmp_path / "report.html"], RECORD, {})
    assert registry.report(number, "report.html").read_text() == "<h1>good</h1>"
    with pytest.raises(RegistryError, match="no version '99'"):
        registry.report("99", "report.html")
    with pytest.raises(RegistryError, match=rf"'report\.json' of version {number} of .* is gone"):
        registry.report(number, "report.json")


def test_nobody_is_promoted_over_a_champion_that_it_was_not_compared_with(
    three: Registry,
) -> None:
    """As where two trainings end at the same time."""
    three.promote("1", "first")
    three.promote("2", "the other training", expected="1")
    with pytest.raises(RegistryError, match="compared with version 1, but version 2 became"):
        three.promote("3", "this training", expected="1")
    assert three.champion() == "2"
    assert three.champion_before() == "1"
    three.promote("3", "compared anew", expected="2")


def test_a_training_that_was_overtaken_promotes_nobody(
    result: TrainingResult, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = Registry.register

    def overtaken(self: Registry, *draft: Any) -> str:
        number = register(self, *draft)
        self.promote(register(self, *draft), "the other training")
        return number

    monkeypatch.setattr(Registry, "register", overtaken)
    with pytest.raises(RegistryError, match="Version 1 was to be the first, but version 2 became"):
        release(result, registry, tmp_path, now=NOW)
    assert registry.champion() == "2"


def test_of_two_first_models_that_end_at_the_same_time_one_becomes_champion(
    registry: Registry, register: Callable[[], str]
) -> None:
    registry.promote(register(), "first model", expected=None)
    with pytest.raises(RegistryError, match="was to be the first, but version 1 became champion"):
        registry.promote(register(), "first model", expected=None)
    assert registry.champion() == "1"
