"""Nothing is reported to anybody: the libraries are told before they are imported."""

import subprocess
import sys
from pathlib import Path

from clv.registry import Registry

VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}

# What is imported first is told by a finder that is asked before all others; importing ends there.
_WATCH = """
import importlib, os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "mlflow":
            print(name, *(os.environ.get(one, "unset") for one in VARIABLES), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Watch())
importlib.import_module(sys.argv[1])
raise AssertionError("it was not imported")
"""

_LOAD = """
import sys
from pathlib import Path
from clv.bundle import Predictor
predictor = Predictor.load(Path(sys.argv[1]))
print(predictor.predict_one(1, 1, 8.5).monetary)
import clv.registry.library
"""


def run(code: str, *arguments: object, home: Path, **variables: str) -> str:
    """Run in a fresh process that knows nothing but its home: no CI, by which they are quiet."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", **variables},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_mlflow_is_told_to_be_quiet_before_it_is_imported(tmp_path: Path) -> None:
    watch = f"VARIABLES = {list(VARIABLES)!r}\n{_WATCH}"
    library, *told = run(watch, "clv.registry.library", home=tmp_path).split()
    assert library == "mlflow"
    assert told == list(VARIABLES.values())


def test_who_set_them_already_is_left_alone(tmp_path: Path) -> None:
    said = run(
        "import clv.offline, os; print(os.environ['MLFLOW_HTTP_REQUEST_TIMEOUT'])",
        home=tmp_path,
        MLFLOW_HTTP_REQUEST_TIMEOUT="77",
    )
    assert said == "77"


def test_serving_leaves_no_file_in_the_home_of_the_user(registry: Registry, tmp_path: Path) -> None:
    """MLflow keeps the number by which it knows a device again below HOME."""
    assert float(run(_LOAD, registry.bundle("1"), home=tmp_path)) >= 8.5
    assert files_below(tmp_path) == []
