"""The documentation: its Python runs, its links lead somewhere, its commands exist."""

import re
from pathlib import Path

import pytest
import typer

from clv.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_in_the_documentation_runs(
    page: Path, trained_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLV_HOME", str(trained_home))
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(code, named(page), "exec"), {})  # noqa: S102 - our own


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_that_are_named_exist(page: Path) -> None:
    commands = getattr(typer.main.get_command(app), "commands", {})
    named_commands = set(re.findall(r"\bclv ([a-z][a-z-]+)(?= |`)", page.read_text()))
    assert named_commands - set(commands) == set()


def test_every_decision_has_its_four_parts() -> None:
    for decision in (ROOT / "docs" / "decisions").glob("*.md"):
        text = decision.read_text()
        for part in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"**{part}.**" in text, (decision.name, part)
