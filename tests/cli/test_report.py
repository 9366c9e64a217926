"""`clv report`: the page of a version, its checks in the terminal, its figures for machines."""

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    """A home with a champion, of which nobody else knows."""
    return Path(shutil.copytree(trained_home, tmp_path / "home"))


def test_it_prints_the_checks_and_leaves_the_page(clv, home):
    (home / "report.html").unlink()
    finished = clv("report")
    assert finished.code == 0
    assert finished.out.startswith("Version 1: ")
    for number in range(1, 15):
        assert f"\nCLV{number:03} " in finished.out
    assert finished.out.splitlines()[-1] == f"Report: {home / 'report.html'}"
    assert (home / "report.html").read_text().startswith("<!doctype html>")


def test_issues_come_with_what_to_do(clv):
    finished = clv("report")
    assert "CLV013: Their predictions rest on few customers" in finished.out
    assert "of 14 checks found an issue (CLV013)" in finished.out


def test_json_is_the_figures_and_nothing_else(clv, home):
    (home / "report.html").unlink()
    finished = clv("report", "--json")
    assert (finished.code, finished.err) == (0, "")
    assert json.loads(finished.out) == json.loads((home / "report.json").read_text())
    assert not (home / "report.html").exists()


def test_the_page_can_be_written_elsewhere(clv, home, tmp_path):
    (tmp_path / "new").mkdir()
    finished = clv("report", "--model-version", "1", "--output", tmp_path / "new" / "page.html")
    assert finished.code == 0
    assert (tmp_path / "new" / "page.html").read_text() == (home / "report.html").read_text()


def test_a_place_that_cannot_hold_the_page_is_told(clv, tmp_path):
    (tmp_path / "file").touch()
    refused = clv("report", "--output", tmp_path / "file" / "page.html")
    assert refused.code == 1
    assert "page.html' cannot be written: " in refused.complaint


def test_a_version_that_is_not_there_is_told(clv):
    refused = clv("report", "--model-version", "7")
    assert refused.code == 1
    assert "There is no version '7'" in refused.complaint


def test_without_a_champion_it_says_how_to_train_one(clv_in, tmp_path):
    refused = clv_in("report", home=tmp_path / "new")
    assert refused.code == 1
    assert "There is no champion yet. Train one: clv train --data SOURCE" in refused.complaint
