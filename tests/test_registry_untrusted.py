"""A registry that is hostile, or another than was thought: nothing of it becomes a path."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clv.bundle import Predictor
from clv.errors import RegistryError
from clv.registry import Registry, open_registry
from clv.settings import Settings
from support.fake_mlflow import RUN, FakeMlflow, fake_mlflow


@pytest.fixture
def fake(trained_home: Path) -> Iterator[FakeMlflow]:
    bundle = open_registry(Settings(home=trained_home)).bundle("1")
    with fake_mlflow(bundle) as served:
        yield served


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "home"


@pytest.fixture
def registry(fake: FakeMlflow, home: Path) -> Registry:
    return open_registry(Settings(home=home, MLFLOW_TRACKING_URI=fake.url))


def written(home: Path) -> list[str]:
    """All files, also those above the home."""
    top = home.parent.parent
    return sorted(str(one.relative_to(top)) for one in top.rglob("*") if one.is_file())


def test_an_honest_server_is_served_from(registry: Registry, home: Path) -> None:
    assert (registry.champion(), registry.versions()[0].number) == ("1", "1")
    assert Predictor.load(registry.bundle("1"), version="1").version == "1"
    assert written(home) == [
        f"deep/home/cache/{RUN}/bundle/{name}"
        for name in ("holdout.npz", "manifest.json", "serving.npz")
    ]


@pytest.mark.parametrize(
    "run_id",
    ["../../pwned", "/etc", "", ".", "0" * 31, "0" * 33, "F" * 32, f"{RUN}\n", f"{RUN}/.."],
)
def test_a_run_id_that_is_none_is_refused(
    fake: FakeMlflow, registry: Registry, home: Path, run_id: str
) -> None:
    fake.run_id = run_id
    with pytest.raises(RegistryError, match=r"run id .*expected 32 hexadecimal digits"):
        registry.bundle("1")
    assert written(home) == []


@pytest.mark.parametrize("version", ["../../../../pwned/x", "0", "-1", "1e3", "<b>", "1\n", "٣"])
def test_a_version_that_is_no_number_is_refused(
    fake: FakeMlflow, registry: Registry, version: str
) -> None:
    fake.version = version
    with pytest.raises(RegistryError, match=r"version .*expected a whole number from 1"):
        registry.versions()
    fake.aliases = [{"alias": "champion", "version": version}]
    for ask in (registry.champion, registry.aliases, registry.rollback):
        with pytest.raises(RegistryError, match=r"version .*expected a whole number from 1"):
            ask()


def test_an_alias_that_is_no_name_is_left_out(fake: FakeMlflow, registry: Registry) -> None:
    for alias in ("../x", "\x1b[2J", "a b", "x" * 101):
        fake.aliases.append({"alias": alias, "version": "1"})
    assert registry.aliases() == {"champion": "1"}
    assert registry.versions()[0].aliases == ("champion",)


@pytest.mark.parametrize("former", ["no list", "{}", '["../x"]', '[{"a": 1}]', "[" * 100_000])
def test_former_champions_that_are_no_versions_are_refused(
    fake: FakeMlflow, registry: Registry, former: str
) -> None:
    fake.tags = [{"key": "former_champions", "value": former}]
    with pytest.raises(RegistryError):
        registry.champion_before()


@pytest.mark.parametrize(
    "extra",
    [
        {"path": "../../../../../pwned", "is_dir": False, "file_size": 5},
        {"path": "/etc/pwned", "is_dir": False, "file_size": 5},
        {"path": "model.pkl", "is_dir": False, "file_size": 5},
        {"path": "more", "is_dir": True},
    ],
)
def test_only_the_files_of_a_bundle_are_fetched(
    fake: FakeMlflow, registry: Registry, home: Path, extra: dict[str, object]
) -> None:
    fake.more_files = [extra]
    with pytest.raises(RegistryError):
        registry.bundle("1")
    assert written(home) == []


def test_a_bundle_too_large_is_not_fetched(
    fake: FakeMlflow, registry: Registry, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clv.registry.untrusted.MOST_BYTES", 1_000)
    with pytest.raises(RegistryError, match="bytes'; expected at most 1,000"):
        registry.bundle("1")
    assert written(home) == []


def test_a_manifest_too_large_is_not_fetched(
    fake: FakeMlflow, registry: Registry, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clv.registry.untrusted.MOST_MANIFEST_BYTES", 1_000)
    with pytest.raises(RegistryError, match=r"manifest\.json of .* bytes'; expected at most 1,000"):
        registry.bundle("1")
    assert written(home) == []


@pytest.mark.parametrize(
    "said",
    [b"null", b"[]", b"{", b'{"registered_model": 7}', b'{"registered_model": {"aliases": 1}}',
     b'{"registered_model": {"name": "clv", "aliases": [{"alias": "champion"}]}}', b"\xff\xfe"],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_a_registry_error(
    fake: FakeMlflow, registry: Registry, said: bytes
) -> None:
    fake.says = {"registered-models/get": said}
    with pytest.raises(RegistryError):
        registry.champion()
