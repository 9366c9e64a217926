"""A real Spark cluster gives what this machine gives: features, scores, and the champion as SQL."""

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from clv.bundle import Predictor
from clv.data.simulate import simulate
from clv.data.sources import open_source
from clv.errors import DataError, OutputError
from clv.features import Features, Reading, build
from clv.schema import Activity, Window
from clv.scoring import score
from clv.scoring.warehouse import sql_script
from features.logs import EPOCH, NOW, US, on_duckdb, registrations_of, write
from support.spark import Cluster, bare_python, cluster
from support.waiting import until

pytestmark = [
    pytest.mark.acceptance,
    # Spark's own Python leaves sockets to the collector, and speaks of pandas' past.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
pytest.importorskip("pyspark", reason="Spark comes with make setup")

DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose executors have NumPy and Arrow and nothing of ours."""
    python = bare_python(tmp_path_factory.mktemp("bare") / "venv")
    with cluster(python) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


def on_spark(master: str, rides: str, output: Path, **options: Any) -> Features:
    from clv.features.spark import spark_engine  # noqa: PLC0415 - needs what importorskip asked for

    with spark_engine(master) as engine:
        return build(
            engine, rides, str(output), window=options.pop("window", Window()), now=NOW,
            reading=Reading(**options),
        )  # fmt: skip


def table_of(path: Path) -> dict[str, list[Any]]:
    return dict(pyarrow.parquet.read_table(path).to_pydict())


def dirty_log(folder: Path) -> dict[str, str]:
    """Rides on every edge of the windows, typed and as text, with everything that can be odd."""
    rng = np.random.default_rng(5)
    start = int((datetime(2026, 3, 1, tzinfo=UTC) - EPOCH) / US)
    registered = {number: start + int(rng.integers(0, 30 * DAY_US)) for number in range(1, 400)}
    edges = np.array([0, 1, 6, 7, 8, 29, 30, 31]) * DAY_US
    rows = []
    for number in rng.integers(1, 420, 6_000).tolist():
        beside = rng.choice(edges) + rng.integers(-1, 2)
        elapsed = beside if rng.random() < 0.5 else rng.integers(-DAY_US, 40 * DAY_US)
        at = EPOCH + US * int(registered.get(number, start) + elapsed)
        cents = int(rng.choice([0, 1, 5, 285, 1_005, 12_345])) * (-1 if rng.random() < 0.05 else 1)
        status = rng.choice(["done", "Cancelled", None])
        rows.append((number, at, cents / 100, status, "refund" if rng.random() < 0.05 else "ride"))
    rows += rows[:50]
    numbers, times, amounts, states, kinds = (list(column) for column in zip(*rows, strict=True))
    typed = {
        "passenger_id": numbers,
        "ridden_at": pa.array(times, pa.timestamp("us", "UTC")),
        "amount": amounts,
        "status": states,
        "kind": kinds,
    }
    odd_times = ["", "soon", "2026-02-30", "2026-03-05", "2026-03-05T10:00+02", "2999-01-01"]
    odd_amounts = ["", "much", "inf", "1e12", "1e1", ".5"]
    text = {
        **typed,
        "ridden_at": [*odd_times, "2026-03-05 10:00:00.1234567Z", *map(str, times[7:])],
        "amount": [*map(str, amounts[:8]), *odd_amounts, *map(str, amounts[14:])],
    }
    pyarrow.csv.write_csv(pa.table(text), folder / "dirty.csv")
    who = registrations_of({number: EPOCH + US * at for number, at in registered.items()})
    return {
        "typed": write(pa.table(typed), folder / "typed.parquet"),
        "dirty": str(folder / "dirty.csv"),
        "who": write(who, folder / "who.parquet"),
    }


@pytest.mark.parametrize("log", ["typed", "dirty"])
@pytest.mark.parametrize("registered", [True, False], ids=["registrations", "first ride"])
def test_features_on_a_cluster_are_those_of_this_machine_to_the_last_bit(
    log: str, registered: object, spark: Cluster, tmp_path: Path
) -> None:
    logs = dirty_log(tmp_path)
    who = logs["who"] if registered else None
    here = on_duckdb(logs[log], tmp_path / "here.parquet", registrations=who)
    there = on_spark(spark.master, logs[log], tmp_path / "there.parquet", registrations=who)
    assert there == here
    assert len(here.findings) >= 4
    assert table_of(tmp_path / "there.parquet") == table_of(tmp_path / "here.parquet")


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sixteen files, so that a job has as many tasks."""
    folder = tmp_path_factory.mktemp("customers") / "activity.parquet"
    folder.mkdir()
    for number, chunk in enumerate(simulate(160_000)):
        for half in range(2):
            part = chunk.activity.slice(half * 10_000, 10_000)
            pyarrow.parquet.write_table(part, folder / f"part-{2 * number + half:03}.parquet")
    return folder


def test_scores_on_a_cluster_that_has_nothing_of_ours_are_those_of_this_machine(
    spark: Cluster, predictor: Predictor, customers: Path, tmp_path: Path
) -> None:
    from clv.scoring.spark import score_on_spark  # noqa: PLC0415

    there = score_on_spark(
        str(customers), predictor, str(tmp_path / "there.parquet"), master=spark.master
    )
    with open_source(customers) as source:
        here = score(source, predictor, tmp_path / "here.parquet")
    assert (there.rows, there.blank, there.out_of_support) == (160_000, 0, here.out_of_support)
    assert there.expected_spend == pytest.approx(here.expected_spend, rel=1e-4)
    found, expected = (
        pyarrow.parquet.read_table(tmp_path / name).sort_by("id")
        for name in ("there.parquet", "here.parquet")
    )
    assert found.to_pydict() == expected.to_pydict()
    with pytest.raises(OutputError, match="exists already"):
        score_on_spark(
            str(customers), predictor, str(tmp_path / "there.parquet"), master=spark.master
        )


def test_a_row_that_cannot_be_scored_is_named_and_nothing_is_left(
    spark: Cluster, predictor: Predictor, tmp_path: Path
) -> None:
    from clv.scoring.spark import score_on_spark  # noqa: PLC0415

    table = pa.table({"id": ["a", "b"], "recency_7": [1, 9], "frequency_7": [1, 1],
                      "monetary_value_7": [8.5, 1.0]})  # fmt: skip
    given, output = write(table, tmp_path / "given.parquet"), tmp_path / "out.parquet"
    with pytest.raises(
        DataError, match=r"A row of .* \(id 'b'\) cannot be scored: column recency_7 holds 9"
    ):
        score_on_spark(given, predictor, str(output), master=spark.master)
    assert [path.name for path in tmp_path.iterdir()] == ["given.parquet"]
    blank = score_on_spark(given, predictor, str(output), master=spark.master, on_invalid="blank")
    assert blank.blank == 1
    assert table_of(output)["p_return"][1] is None


def test_the_champion_as_sql_says_on_spark_what_the_predictor_says(
    spark: Cluster, predictor: Predictor, tmp_path: Path
) -> None:
    from clv.spark import spark_session  # noqa: PLC0415

    rng = np.random.default_rng(2)
    spent = np.append(np.round(rng.exponential(30, 400), 2), predictor.scorer.cells.thresholds[2])
    spent = spent[spent >= 0]
    columns = (rng.integers(1, 8, len(spent)), rng.geometric(0.4, len(spent)), spent)
    names = ("recency_7", "frequency_7", "monetary_value_7")
    table = pa.table({"id": np.arange(len(spent)), **dict(zip(names, columns, strict=True))})
    path = write(table, tmp_path / "activity.parquet")
    said = predictor.predict(Activity.of(*columns))
    with spark_session(spark.master) as session:
        session.read.parquet(path).write.saveAsTable("activity")
        for statement in sql_script(predictor, "spark", table="activity").split(";\n"):
            if statement.strip():
                session.sql(statement)
        rows = session.sql("SELECT * FROM clv_predictions ORDER BY id").collect()
    for name in ("expected_increment", "p_return", "low", "high", "score_bin", "in_support"):
        assert [row[name] for row in rows] == getattr(said, name).tolist(), name
    assert [row["monetary_30"] for row in rows] == said.monetary.tolist()


@pytest.mark.parametrize("job", ["features", "score"])
def test_a_worker_killed_in_the_middle_of_a_job_changes_nothing(
    job: str, spark: Cluster, predictor: Predictor, customers: Path, tmp_path: Path
) -> None:
    from clv.scoring.spark import score_on_spark  # noqa: PLC0415
    from clv.spark import spark_session  # noqa: PLC0415

    logs = dirty_log(tmp_path)
    output = tmp_path / "there.parquet"
    if len([worker for worker in spark.workers if worker.poll() is None]) < 2:
        spark.start_worker()
    with spark_session(spark.master) as session:
        tracker = session.sparkContext.statusTracker()
        executors = session.sparkContext._jsc.sc().getExecutorMemoryStatus
        until(lambda: executors().size() == 3, minutes=3)  # the driver is one of them
        killed, ended = threading.Event(), threading.Event()

        def in_the_middle() -> bool:
            """Whether some tasks of a stage are done and others are running."""
            stages = [tracker.getStageInfo(one) for one in tracker.getActiveStageIds()]
            return any(
                stage is not None and stage.numActiveTasks and stage.numCompletedTasks
                for stage in stages
            )

        def kill() -> None:
            while not ended.wait(0.01):
                if in_the_middle():
                    victim = next(worker for worker in spark.workers if worker.poll() is None)
                    os.killpg(victim.pid, signal.SIGKILL)
                    victim.wait()
                    killed.set()
                    return

        killer = threading.Thread(target=kill)
        killer.start()
        if job == "features":
            there = on_spark(spark.master, logs["typed"], output, registrations=logs["who"])
        else:
            score_on_spark(str(customers), predictor, str(output), master=spark.master)
        ended.set()
        killer.join()
        assert killed.is_set()
    if job == "features":
        here = on_duckdb(logs["typed"], tmp_path / "here.parquet", registrations=logs["who"])
        assert there == here
        assert table_of(output) == table_of(tmp_path / "here.parquet")
        return
    with open_source(customers) as source:
        score(source, predictor, tmp_path / "here.parquet")
    found, expected = (
        pyarrow.parquet.read_table(path).sort_by("id")
        for path in (output, tmp_path / "here.parquet")
    )
    assert found.to_pydict() == expected.to_pydict()
