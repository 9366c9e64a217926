"""The README's first prediction, as printed there, on a model trained as `make run` trains it."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.server import serving

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.acceptance


def printed_examples() -> list[tuple[list[str], object]]:
    """Each `$ curl ...` of the README with the answer printed below it."""
    text = README.read_text().replace("\\\n", " ")
    found = re.findall(r"^\$ (curl .*)\n(.+)$", text, flags=re.MULTILINE)
    return [(shlex.split(command), json.loads(answer)) for command, answer in found]


def test_the_readme_prints_what_a_newcomer_sees(tmp_path: Path) -> None:
    trained = subprocess.run(
        [sys.executable, "-m", "clv", "train", "--if-missing"],
        env={**os.environ, "CLV_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert trained.returncode == 0, trained.stderr
    examples = printed_examples()
    assert len(examples) >= 4
    with serving(tmp_path) as server:
        for command, printed in examples:
            here = [part.replace("http://localhost:8080", server.url) for part in command]
            answer = subprocess.run(here, capture_output=True, text=True, check=True)
            assert json.loads(answer.stdout) == printed, " ".join(command)
