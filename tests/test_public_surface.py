"""What modules offer: named, there, and without effects on import."""

import importlib
import importlib.metadata
import importlib.resources
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import clv

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(clv.__path__, "clv.")
    if "migrations" not in module.name and not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("clv.offline",)])
def test_a_module_offers_what_it_says(name: str) -> None:
    module = importlib.import_module(name)
    offered = getattr(module, "__all__", [])
    assert len(offered) == len(set(offered))
    assert [missing for missing in offered if not hasattr(module, missing)] == []
    has_code = any(hasattr(value, "__module__") for value in vars(module).values())
    assert offered or not has_code or (module.__file__ and module.__file__.endswith("__init__.py"))


def modules_after(code: str) -> set[str]:
    """The packages that a fresh process has imported by the end of some code."""
    ended = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", ended], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in finished.stdout.splitlines()[-1].split()}


#: What takes long to import, and hardly a command or request needs.
HEAVY = {
    "alembic",
    "duckdb",
    "ibis",
    "lightgbm",
    "mlflow",
    "narwhals",
    "pandas",
    "plotly",
    "pyarrow",
    "pyspark",
    "scipy",
    "sklearn",
}


def test_help_waits_for_no_heavy_library() -> None:
    loaded = modules_after("from clv.cli import main; sys.argv[1:] = ['--help']; main()")
    assert "typer" in loaded
    assert not (HEAVY | {"fastapi", "numpy", "pydantic", "sqlalchemy"}) & loaded


def test_a_server_imports_no_heavy_library_before_somebody_needs_it() -> None:
    loaded = modules_after("import clv.cli, clv.service.server, clv.service.app")
    assert {"fastapi", "numpy", "sqlalchemy", "uvicorn"} <= loaded
    assert not HEAVY & loaded


def test_a_database_that_is_up_to_date_is_opened_without_what_migrates(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    opened = f"import clv.tracking as t; t.upgrade(t.open_database({url!r}))"
    assert "alembic" in modules_after(opened)
    assert "alembic" not in modules_after(opened)


def test_a_server_runs_where_nothing_is_installed_that_trains() -> None:
    training = (
        "sklearn",
        "lightgbm",
        "optuna",
        "scipy",
        "pandas",
    )
    # None in sys.modules is what Python finds of a module that is not there.
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({training}))\n"
        "import clv.service.app, clv.scoring, clv.evaluation, clv.cli"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr


def test_the_package_has_a_version_and_says_that_it_is_typed() -> None:
    assert clv.__version__ == importlib.metadata.version("clv")
    assert (importlib.resources.files("clv") / "py.typed").is_file()
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = clv.nothing


def test_the_licence_is_the_one_that_the_project_names() -> None:
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    (name,) = project["license-files"]
    assert (root / name).read_text().startswith("MIT License\n")
