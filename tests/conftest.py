"""What many tests share: a small history, a quick training of it, and a home with a champion.

The fixtures are made once a session and must not be changed by a test.
"""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow.parquet
import pytest
from sqlalchemy import Engine, create_engine, inspect

from clv.bundle import Predictor
from clv.data.checks import History, read_history
from clv.data.simulate import simulate
from clv.data.sources import open_source
from clv.registry import Registry, open_registry
from clv.schema import Window
from clv.settings import Settings
from clv.sqlite import use_one_sqlite
from clv.training import TrainingResult, release, train
from clv.training.appraisal import Appraisal, appraise
from support import quick_candidates

pytest_plugins = ["support.postgres"]

# Every run tries the same examples, and none is a matter of how fast the machine is.
hypothesis.settings.register_profile("clv", derandomize=True, deadline=None)
hypothesis.settings.load_profile("clv")

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)

_FORBID_SKIPS = os.environ.get("CLV_FORBID_SKIPS") == "1"


@pytest.fixture(scope="session", autouse=True)
def variables_of_the_tests_are_no_settings() -> None:
    """The commands and services that tests start would warn of them."""
    for name in ("CLV_FORBID_SKIPS", "CLV_SHOTS"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def a_closed_terminal_is_heard_of() -> None:
    """Whoever runs the tests may ignore SIGHUP, as nohup does; what they start must not."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def tables_of_mlflow_are_made_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Making them takes more than a second; an empty SQLite database gets a copy."""
    import mlflow.store.db.utils  # noqa: PLC0415 - after clv.offline, which says what it may do

    use_one_sqlite()
    make = mlflow.store.db.utils._initialize_tables
    template = create_engine(f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'made.sqlite'}")

    def copy(engine: Engine) -> None:
        if engine.dialect.name != "sqlite" or inspect(engine).get_table_names():
            make(engine)
            return
        if not inspect(template).get_table_names():
            make(template)
        with template.connect() as source, engine.connect() as target:
            content: Any = source.connection.driver_connection
            assert content is not None
            content.backup(target.connection.driver_connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlflow.store.db.utils._initialize_tables", copy)
        yield
    template.dispose()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With CLV_FORBID_SKIPS=1 (as in CI) a skipped test is a failed one."""
    report = yield
    if _FORBID_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} was skipped, which CLV_FORBID_SKIPS forbids: {report.longrepr}"
        )
    return report


@pytest.fixture(scope="session")
def activity_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An activity table of 4,000 generated passengers, with outcomes."""
    path = tmp_path_factory.mktemp("sample") / "activity.parquet"
    chunk = next(iter(simulate(4_000, seed=11)))
    pyarrow.parquet.write_table(chunk.activity, path)
    return path


@pytest.fixture(scope="session")
def history(activity_file: Path) -> History:
    with open_source(activity_file) as source:
        return read_history(source, Window())


@pytest.fixture(scope="session")
def result(history: History) -> TrainingResult:
    """A training on `history` among the quick candidates."""
    return train(history, among=quick_candidates(), seed=42)


@pytest.fixture(scope="session")
def appraisal(result: TrainingResult) -> Appraisal:
    """Of `result`."""
    return appraise(result)


@pytest.fixture(scope="session")
def trained_home(result: TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLV_HOME whose version 1 is champion."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home)
    release(result, open_registry(settings), home, now=NOW)
    return home


@pytest.fixture(scope="session")
def registry(trained_home: Path) -> Registry:
    return open_registry(Settings(home=trained_home))


@pytest.fixture(scope="session")
def predictor(registry: Registry) -> Predictor:
    """The champion of `trained_home`."""
    return Predictor.load(registry.bundle("1"), version="1")
