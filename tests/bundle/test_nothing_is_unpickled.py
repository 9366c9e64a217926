"""A pickle runs code when it is loaded. To serve and to score, none is loaded anywhere."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet

# The audit hook sees every name that any unpickler, in C or in Python, looks up.
_REFUSE = """
import os, pickle, sys
def refuse(event, arguments):
    if event == "pickle.find_class":
        print("unpickled", *arguments, file=sys.stderr, flush=True)
        os._exit(70)
sys.addaudithook(refuse)
"""

_SERVE_AND_SCORE = """
from pathlib import Path
from clv.bundle import Predictor
from clv.registry import open_registry
from clv.settings import Settings
home, table, output = map(Path, sys.argv[1:])
registry = open_registry(Settings(home=home))
number = registry.champion()
predictor = Predictor.load(registry.bundle(number), version=number)
print(predictor.predict_one(1, 1, 8.5).monetary)
sys.argv = ["clv", "score", str(table), "--output", str(output)]
os.environ["CLV_HOME"] = str(home)
from clv.cli import main
main()
"""


def run(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _REFUSE + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_trap_closes_on_a_pickle() -> None:
    caught = run("pickle.loads(pickle.dumps(print))")
    assert caught.returncode == 70
    assert "unpickled builtins print" in caught.stderr


def test_serving_and_scoring_unpickle_nothing(
    trained_home: Path, activity_file: Path, tmp_path: Path
) -> None:
    done = run(_SERVE_AND_SCORE, trained_home, activity_file, tmp_path / "scored.parquet")
    assert done.returncode == 0, done.stderr
    assert pyarrow.parquet.read_metadata(tmp_path / "scored.parquet").num_rows == 4_000
