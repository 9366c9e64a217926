"""`clv outcomes import`, `clv monitor`, `clv prune` and `clv passenger`."""

import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from sqlalchemy import Engine, func, select

from clv.bundle import Predictor
from clv.data.simulate import SampleModel
from clv.schema import Activity
from clv.tracking import read_tracked
from clv.tracking.tables import outcomes
from clv.tracking.turns import CHUNK_ROWS
from support.commands import WARM
from tracking.promising import opened, request, track

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'tracking.sqlite'}"


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = opened(database)
    yield engine
    engine.dispose()


def outcomes_file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_of_outcomes_is_held_against_the_predictions(
    clv: Any, clv_in: Any, trained_home: Path, database: str, engine: Engine, tmp_path: Path
) -> None:
    track(engine, [request(number, NOW - 40 * DAY, model_version="1") for number in range(1, 4)])
    file = outcomes_file(
        tmp_path / "outcomes.csv", "id,monetary_value_30,frequency_30\n1,20.5,3\n2,8.5,1\n9,1,1\n"
    )
    ran = clv("outcomes", "import", file, "--json", CLV_DATABASE_URL=database)
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert (said["rows"], said["accepted"], said["unmatched"], said["early"]) == (3, 3, 1, 0)
    again = clv("outcomes", "import", file, CLV_DATABASE_URL=database)
    assert again.code == 0
    assert "3 unchanged" in again.out
    shown = clv_in("monitor", CLV_DATABASE_URL=database, home=trained_home)
    assert shown.code == 0, shown.out + shown.err
    assert "No alarm." in shown.out
    assert "2 compared with a prediction" in shown.out
    found = json.loads(
        clv_in("monitor", "--json", CLV_DATABASE_URL=database, home=trained_home).out
    )
    assert found["versions"][0]["quality"]["judged"] == 2
    assert found["versions"][0]["quality"]["returned"] == 0.5


def test_a_bias_that_is_no_noise_is_told_before_it_is_an_alarm(
    clv: Any, clv_in: Any, trained_home: Path, database: str, engine: Engine, tmp_path: Path
) -> None:
    track(engine, [request(number, NOW - 40 * DAY, model_version="1") for number in range(1, 601)])
    rows = "".join(f"{number},8.5\n" for number in range(1, 601))
    file = outcomes_file(tmp_path / "outcomes.csv", f"id,monetary_30\n{rows}")
    assert clv("outcomes", "import", file, CLV_DATABASE_URL=database).code == 0
    shown = clv_in("monitor", CLV_DATABASE_URL=database, home=trained_home)
    assert shown.code == 0, shown.out + shown.err
    assert "No alarm. But version 1 predicts too much: bias +" in shown.out


def test_rows_that_cannot_be_used_are_told_and_left_out(
    clv: Any, database: str, engine: Engine, tmp_path: Path
) -> None:
    file = outcomes_file(
        tmp_path / "outcomes.csv",
        "id,monetary_30,registered_at,as_of\n"
        "1,20.5,2026-01-01,\n"
        "2,-3,2026-01-01,\n"
        "three,4,,\n"
        ",4,,\n"
        "5,,,\n"
        "6,7,soon,\n"
        "7,7,,2999-01-01\n"
        "8,7,2026-02-01,2026-01-01\n"
        "9,9,2026-01-01,2026-02-03T04:05:06Z\n"
        "0x10,4,,\n"
        "1_1,4,,\n"
        "12,4,1970-01-01,\n",
    )
    ran = clv("outcomes", "import", file, "--json", CLV_DATABASE_URL=database)
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert (said["rows"], said["accepted"]) == (12, 2)
    found = {(one["code"], one["column"]): one["rows"] for one in said["findings"]}
    assert found == {
        ("negative", "monetary_30"): 1,
        ("not-an-id", "id"): 3,
        ("placeholder", "registered_at"): 1,
        ("null", "id"): 1,
        ("null", "monetary_30"): 1,
        ("not-a-moment", "registered_at"): 1,
        ("in-the-future", "as_of"): 1,
        ("backwards", "registered_at"): 1,
    }
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT passenger_id, as_of FROM outcomes").all()
    assert [(row[0], str(row[1])[:19]) for row in rows][1] == (9, "2026-02-03 04:05:06")


def test_different_outcomes_of_one_passenger_in_one_file_are_refused(
    clv: Any, database: str, engine: Engine, tmp_path: Path
) -> None:
    # The rows of a passenger are more than one batch apart, and some cannot be used at all.
    many = "".join(f"{number},5,\n" for number in range(1_000, 71_000))
    file = outcomes_file(
        tmp_path / "outcomes.csv",
        f"id,monetary_30,as_of\nx,1,\n7,10,\n8,3,2026-01-01\n{many}8,4,2026-01-01\n7,12.5,\n",
    )
    ran = clv("outcomes", "import", file, "--json", CLV_DATABASE_URL=database)
    assert ran.code == 1
    for part in (
        "different outcomes of 2 passengers",
        "id 7 (row 2: 10, row 70,005: 12.5)",
        "id 8 (row 3: 3, row 70,004: 4)",
        "Nothing was stored",
        "as_of",
    ):
        assert part in ran.complaint
    assert stored(engine) == {}


def test_a_row_that_stands_twice_in_a_file_counts_once(
    clv: Any, database: str, engine: Engine, tmp_path: Path
) -> None:
    file = outcomes_file(
        tmp_path / "outcomes.csv",
        "id,monetary_30,as_of\n7,10,\n7,10,\n8,3,2026-01-01\n8,4,2026-01-02\n",
    )
    ran = clv("outcomes", "import", file, "--json", CLV_DATABASE_URL=database)
    said = json.loads(ran.out)
    assert (said["accepted"], said["unchanged"], said["corrected"]) == (2, 1, 1)
    assert (said["rows"], said["unmatched"]) == (4, 2)
    assert stored(engine) == {7: 10.0, 8: 4.0}


def stored(engine: Engine) -> dict[int, float]:
    with engine.connect() as connection:
        rows = connection.execute(select(outcomes.c.passenger_id, outcomes.c.monetary))
        return dict(map(tuple, rows))


def test_a_file_without_any_outcome_is_an_error(clv: Any, database: str, tmp_path: Path) -> None:
    for text, says in (
        ("id,monetary_30\nx,1\n", "no usable outcome"),
        ("id,monetary_30\n", "It has no rows"),
        ("id,spent\n1,2\n", "Column 'monetary_value_30'"),
    ):
        file = outcomes_file(tmp_path / "outcomes.csv", text)
        ran = clv("outcomes", "import", file, CLV_DATABASE_URL=database)
        assert ran.code == 1
        assert says in ran.complaint


def test_what_comes_too_early_is_said_to(
    clv: Any, database: str, engine: Engine, tmp_path: Path
) -> None:
    track(engine, [request(1, NOW - DAY)])
    file = outcomes_file(tmp_path / "outcomes.csv", "id,monetary_30\n1,20\n")
    ran = clv("outcomes", "import", file, CLV_DATABASE_URL=database)
    assert "Measured before the horizon: 1" in ran.err


_IMPORT = """
import os, signal, sys
import clv.tracking.outcomes as outcomes
at, where = int(sys.argv.pop(1)), sys.argv.pop(1)
record, calls = outcomes._record, 0
def killed(*arguments):
    global calls
    calls += 1
    if calls == at and where == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = record(*arguments)
    if calls == at:  # its transaction is not committed yet
        os.kill(os.getpid(), signal.SIGKILL)
    return found
outcomes._record = killed
from clv.cli import main
main()
"""


@pytest.mark.parametrize("where", ["before", "inside"])
@pytest.mark.parametrize("at", [1, 2, 4])
def test_killed_in_the_middle_and_run_again_nothing_is_lost_or_doubled(
    clv: Any, database: str, engine: Engine, tmp_path: Path, at: int, where: str
) -> None:
    ids = np.arange(5_000)
    track(engine, [request(int(one), NOW - 40 * DAY) for one in ids[:1_000]])
    table = pa.table({"id": ids, "monetary_value_30": ids / 100})
    file = tmp_path / "outcomes.parquet"
    pyarrow.parquet.write_table(table, file)
    killed = WARM.run(
        _IMPORT,
        ["clv", str(at), where, "outcomes", "import", str(file)],
        environment={**os.environ, "CLV_HOME": str(tmp_path), "CLV_DATABASE_URL": database},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with engine.connect() as connection:
        kept = connection.scalar(select(func.count()).select_from(outcomes))
    assert kept >= CHUNK_ROWS * (at - 1)
    ran = clv("outcomes", "import", file, "--json", CLV_DATABASE_URL=database)
    said = json.loads(ran.out)
    assert (said["accepted"], said["unchanged"]) == (5_000 - kept, kept)
    assert (said["corrected"], said["outdated"]) == (0, 0)
    counts = read_tracked(engine, None, NOW, {}).outcomes
    assert (counts.judged, counts.unmatched, counts.corrections) == (1_000, 4_000, 0)


def test_an_alarm_ends_with_3_and_says_what_to_do(
    clv: Any, clv_in: Any, trained_home: Path, database: str, engine: Engine, predictor: Predictor
) -> None:
    table = next(iter(_simulated(3_000)))
    activity = Activity.of(*table[:3])
    said = predictor.predict(activity).in_cents().rows()
    rows = [
        request(
            number,
            NOW - 40 * DAY,
            recency=int(table[0][number]),
            frequency=int(table[1][number]),
            monetary=float(table[2][number]),
            predicted=one.monetary,
            expected_increment=one.expected_increment,
            p_return=one.p_return,
            low=one.low,
            high=one.high,
            score_bin=one.score_bin,
            model_version="1",
        )
        for number, one in enumerate(said)
    ]
    track(engine, rows)
    # Nobody rides again.
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO outcomes (passenger_id, monetary, as_of, received_at, known_at, asked_by) "
            "SELECT passenger_id, monetary, requested_at, requested_at, requested_at, requested_at "
            "FROM requests"
        )
    ran = clv_in("monitor", CLV_DATABASE_URL=database, home=trained_home)
    assert ran.code == 3, ran.out
    assert "ALARM (bias): Version 1 over-predicts" in ran.out
    assert "clv retrain" in ran.out
    found = clv_in("monitor", "--json", CLV_DATABASE_URL=database, home=trained_home)
    assert found.code == 3
    assert "bias" in [alarm["kind"] for alarm in json.loads(found.out)["alarms"]]


def test_a_check_that_fails_is_no_alarm(clv_in: Any, trained_home: Path, tmp_path: Path) -> None:
    away = f"sqlite:///{tmp_path}"  # a folder, no database
    ran = clv_in("monitor", CLV_DATABASE_URL=away, home=trained_home)
    assert ran.code == 1
    assert ran.complaint


def _simulated(number: int) -> Iterator[tuple[np.ndarray, ...]]:
    from clv.data.simulate import simulate  # noqa: PLC0415

    table = next(iter(simulate(number, seed=99, model=SampleModel()))).activity
    names = ("recency_7", "frequency_7", "monetary_value_7")
    yield tuple(table.column(name).to_numpy() for name in names)


def test_old_requests_are_pruned_and_the_figures_stay(
    clv: Any, clv_in: Any, trained_home: Path, database: str, engine: Engine, tmp_path: Path
) -> None:
    track(engine, [request(number, NOW - 100 * DAY, model_version="1") for number in range(3)])
    track(engine, [request(9, NOW - DAY, model_version="1")])
    file = outcomes_file(tmp_path / "outcomes.csv", "id,monetary_30\n1,20\n2,8.5\n")
    clv("outcomes", "import", file, CLV_DATABASE_URL=database)

    def quality() -> Any:
        shown = clv_in("monitor", "--json", CLV_DATABASE_URL=database, home=trained_home)
        return json.loads(shown.out)["versions"][0]["quality"]

    before = quality()
    ran = clv("prune", "--days", "60", "--json", CLV_DATABASE_URL=database)
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert (said["requests"], said["outcomes"]) == (3, 2)
    assert quality() == pytest.approx(before, nan_ok=True)
    with sqlite3.connect(tmp_path / "tracking.sqlite") as connection:
        assert connection.execute("SELECT passenger_id FROM requests").fetchall() == [(9,)]
    connection.close()
    by_setting = clv("prune", CLV_DATABASE_URL=database, CLV_KEEP_DAYS="30")
    assert by_setting.code == 0
    assert "0 requests" in by_setting.out


def test_how_long_to_keep_has_to_be_said(clv: Any, database: str) -> None:
    ran = clv("prune", CLV_DATABASE_URL=database)
    assert ran.code == 2
    assert "--days" in ran.complaint
    too_short = clv("prune", CLV_DATABASE_URL=database, CLV_KEEP_DAYS="3")
    assert too_short.code == 2
    assert "CLV_KEEP_DAYS" in too_short.complaint
    assert clv("prune", "--days", "3", CLV_DATABASE_URL=database).code == 2


def test_one_passenger_is_exported_and_erased(clv: Any, database: str, engine: Engine) -> None:
    track(engine, [request(-5), request(-5), request(6)])
    shown = clv("passenger", "export", "--", "-5", CLV_DATABASE_URL=database)
    found = json.loads(shown.out)
    assert found["id"] == -5
    assert [row["monetary"] for row in found["requests"]] == [8.5, 8.5]
    refused = clv("passenger", "erase", "--", "-5", CLV_DATABASE_URL=database)
    assert refused.code == 2
    assert "--yes" in refused.complaint
    ran = clv("passenger", "erase", "--yes", "--", "-5", CLV_DATABASE_URL=database)
    assert ran.code == 0
    assert "2 requests, 0 outcomes" in ran.out
    assert json.loads(clv("passenger", "export", "6", CLV_DATABASE_URL=database).out)["requests"]


def test_retraining_says_why_it_did_nothing(
    clv: Any, clv_in: Any, trained_home: Path, database: str, tmp_path: Path
) -> None:
    refused = clv("retrain", CLV_DATABASE_URL=database)
    assert refused.code == 1
    assert "There is no champion yet" in refused.complaint
    home = shutil.copytree(trained_home, tmp_path / "trained")
    ran = clv_in("retrain", "--only-tracked", CLV_DATABASE_URL=database, home=home)
    assert ran.code == 0, ran.err
    assert "nothing to do. Fewer than 500 passengers" in ran.out.replace("\n", " ")
    found = clv_in("retrain", "--if-alarm", "--json", CLV_DATABASE_URL=database, home=home)
    assert json.loads(found.out)["decision"] == "nothing to do"
    assert json.loads(found.out)["reason"] == "no alarm of bias or coverage is raised"


def test_a_model_is_learnt_from_outcomes_and_what_the_champion_learnt_from(
    clv: Any,
    clv_in: Any,
    trained_home: Path,
    database: str,
    engine: Engine,
    activity_file: Path,
    quickly: Any,
    tmp_path: Path,
) -> None:
    home = shutil.copytree(trained_home, tmp_path / "trained")
    recency, frequency, monetary = next(iter(_simulated(800)))
    rows = [
        request(
            number + 50_000,
            NOW - 40 * DAY,
            recency=int(recency[number]),
            frequency=int(frequency[number]),
            monetary=float(monetary[number]),
            predicted=float(monetary[number]) + (number + 50_000) % 7,  # as it will be: no alarm
            low=0.0,
            high=1e6,
            model_version="1",
        )
        for number in range(800)
    ]
    track(engine, rows)
    lines = [f"{row.passenger_id},{row.monetary + row.passenger_id % 7}" for row in rows]
    file = outcomes_file(tmp_path / "outcomes.csv", "\n".join(["id,monetary_30", *lines]))
    assert clv("outcomes", "import", file, CLV_DATABASE_URL=database).code == 0
    with quickly():
        ran = clv_in(
            "retrain", "--data", activity_file, "--json", CLV_DATABASE_URL=database, home=home
        )
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert (said["version"], said["learnt_from"], said["tested_on"]) == ("2", 4_000, 800)
    assert said["decision"] in ("promoted", "in shadow")
    listed = clv_in("models", "list", "--json", home=home)
    assert json.loads(listed.out)[0]["reason"] == said["reason"]
    again = clv_in(
        "retrain", "--data", activity_file, "--json", CLV_DATABASE_URL=database, home=home
    )
    assert json.loads(again.out)["decision"] == "nothing to do"
