"""`clv models`: which versions there are, and which of them serves."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from clv.registry import Registry, RunRecord, open_registry
from clv.settings import Settings


@pytest.fixture(scope="module")
def two(trained_home, tmp_path_factory) -> Path:
    """A home with two versions; the second was promoted on request."""
    home = tmp_path_factory.mktemp("two")
    bundle = open_registry(Settings(home=trained_home)).bundle("1")
    registry = open_registry(Settings(home=home))
    for reason in ("first model", "promoted on request"):
        record = RunRecord("boosting", {"seed": 42}, {"cv_mse": 1763.9})
        registry.promote(registry.register(bundle, [], record, {"cv_mse": "1763.9"}), reason)
    return home


@pytest.fixture
def registry(two: Path) -> Iterator[Registry]:
    """It must end as it began: version 2 is champion, and 1 was before."""
    registry = open_registry(Settings(home=two))
    yield registry
    assert registry.champion() == "2"


@pytest.fixture(name="clv")
def _clv(clv_in, two):
    return lambda *arguments: clv_in(*arguments, home=two)


def test_list_shows_every_version_newest_first(clv, registry):
    finished = clv("models", "list")
    assert (finished.code, finished.err) == (0, "")
    title, header, second, first, *rest = finished.out.splitlines()
    assert title.split() == ["Models"]
    columns = ["version", "alias", "model", "cv MSE", "test MSE", "created (UTC)", "reason"]
    assert header.split() == " ".join(columns).split()
    assert second.split()[:2] == ["2", "champion"]
    assert "promoted on request" in second
    assert first.split()[0] == "1"
    assert "first model" in first
    assert not rest


def test_list_answers_machines_in_json_and_nothing_else(clv, registry):
    finished = clv("models", "list", "--json")
    assert (finished.code, finished.err) == (0, "")
    second, first = json.loads(finished.out)
    assert (second["number"], second["aliases"]) == ("2", ["champion"])
    assert (first["number"], first["aliases"], first["reason"]) == ("1", [], "first model")
    assert datetime.fromisoformat(first["created_at"]).tzinfo is not None
    assert (first["model"], first["tags"]) == ("boosting", {"cv_mse": "1763.9"})


def test_promote_and_rollback_say_who_is_champion(clv, registry):
    finished = clv("models", "promote", "1", "--reason", "the other drifts")
    assert (finished.code, finished.out) == (0, "Version 1 is champion.\n")
    assert registry.champion() == "1"
    assert "the other drifts" in clv("models", "list").out
    finished = clv("models", "rollback")
    assert (finished.code, finished.out) == (0, "Version 2 is champion again.\n")
    assert "rolled back to 2" in clv("models", "list").out


def test_who_is_champion_already_is_not_promoted(clv, registry):
    refused = clv("models", "promote", "2")
    assert refused.code == 1
    assert refused.complaint == "clv: Version 2 is the champion already."


@pytest.mark.parametrize("version", ["3", "first", "1.5"])
def test_a_version_that_is_not_there_is_told(version, clv, registry):
    refused = clv("models", "promote", version)
    assert refused.code == 1
    assert refused.complaint == (
        f"clv: There is no version '{version}' of 'clv'. See those there are: clv models list"
    )


def test_with_nothing_before_there_is_nothing_to_roll_back_to(clv, registry):
    assert clv("models", "rollback").out == "Version 1 is champion again.\n"
    refused = clv("models", "rollback")
    assert refused.code == 1
    assert refused.complaint == "clv: There is no champion before this one to return to."
    assert clv("models", "promote", "2").code == 0


# ---------------------------------------------------------------- before the first training


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("promote 1", "There is no version '1' of 'clv'. See those there are: clv models list"),
        ("rollback", "There is no champion yet. Train one: clv train --data SOURCE"),
    ],
)
def test_in_a_new_home_there_is_nothing_to_change(command, says, clv_in, tmp_path):
    refused = clv_in("models", *command.split(), home=tmp_path / "home")
    assert refused.code == 1
    assert refused.complaint == f"clv: {says}"
    assert list(tmp_path.iterdir()) == []


def test_in_a_new_home_the_list_says_how_to_train(clv_in, tmp_path):
    finished = clv_in("models", "list", home=tmp_path / "home")
    assert finished.code == 0
    assert finished.out == "There is no model yet. Train one: clv train --data SOURCE\n"
    assert json.loads(clv_in("models", "list", "--json", home=tmp_path / "home").out) == []
    assert list(tmp_path.iterdir()) == []


def test_what_no_service_can_load_is_neither_promoted_nor_returned_to(clv, registry):
    bundle = registry.bundle("1")
    table = (bundle / "serving.npz").read_bytes()
    (bundle / "serving.npz").write_bytes(table[:-1])
    try:
        for arguments in (("promote", "1"), ("rollback",)):
            refused = clv("models", *arguments)
            assert refused.code == 1
            assert "was altered" in refused.complaint
            assert registry.champion() == "2"
    finally:
        (bundle / "serving.npz").write_bytes(table)


def test_a_rollback_takes_a_reason_and_the_history_tells_who_and_why(clv, registry):
    assert clv("models", "rollback", "--reason", "predicts too much").code == 0
    assert clv("models", "promote", "2", "--reason", "mended").code == 0
    finished = clv("models", "history", "--json")
    assert (finished.code, finished.err) == (0, "")
    mended, back, *_ = json.loads(finished.out)
    assert (back["action"], back["version"], back["previous"]) == ("rollback", "1", "2")
    assert (back["reason"], mended["reason"]) == ("predicts too much", "mended")
    assert back["by"].startswith("command line (")
    shown = clv("models", "history").out
    assert "predicts too much" in shown
    assert back["by"] in shown


def test_an_empty_history_is_said_to_be_empty(clv_in, tmp_path):
    assert clv_in("models", "history", home=tmp_path / "new").out.startswith("No decision")


def test_a_reason_cannot_take_over_the_terminal(clv, registry):
    reason = "better\x1b[2J\x1b]0;pwn\x07\u202e"
    assert clv("models", "promote", "1", "--reason", reason).code == 0
    assert clv("models", "promote", "2").code == 0
    for verb in ("list", "history"):
        shown = clv("models", verb).out
        assert r"better\x1b[2J\x1b]0;pwn\x07\u202e" in shown.replace("\n", "")
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert json.loads(clv("models", "history", "--json").out)[1]["reason"] == reason
