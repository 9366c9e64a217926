"""The file of the tracking database is deleted, replaced or overwritten while the service runs."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from support.commands import clv
from support.server import Server, serving
from support.waiting import until

PASSENGER = {"recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}


def beside(file: Path, end: str) -> Path:
    return file.with_name(file.name + end)


def delete(file: Path, _: Path) -> None:
    file.unlink()


def delete_all(file: Path, _: Path) -> None:
    for end in ("", "-wal", "-shm"):
        beside(file, end).unlink()


def delete_folder(file: Path, _: Path) -> None:
    shutil.rmtree(file.parent)


def move_backup_over(file: Path, backup: Path) -> None:
    copy = file.with_name("copy")
    shutil.copyfile(backup, copy)
    copy.replace(file)


def copy_backup_over(file: Path, backup: Path) -> None:
    shutil.copyfile(backup, file)


def move_own_copy_over(file: Path, _: Path) -> None:
    copy = file.with_name("copy")
    shutil.copyfile(file, copy)
    copy.replace(file)


def empty(file: Path, _: Path) -> None:
    os.truncate(file, 0)


def delete_log(file: Path, _: Path) -> None:
    beside(file, "-wal").unlink()


HAPPENED = {
    delete: "deleted or moved away",
    delete_all: "deleted or moved away",
    delete_folder: "deleted or moved away",
    move_backup_over: "was replaced by another one",
    move_own_copy_over: "was replaced by another one",
    copy_backup_over: "was overwritten",
    empty: "was overwritten",
    delete_log: "write-ahead log",
}


def predict(server: Server, number: int) -> int:
    with server.client() as client:
        return client.post("/api/predict", json=PASSENGER | {"id": number}).status_code


def passengers(file: Path) -> list[int]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [one for (one,) in connection.execute("SELECT passenger_id FROM requests")]


@pytest.mark.parametrize("attack", HAPPENED, ids=lambda attack: attack.__name__)
def test_no_row_is_answered_that_is_not_in_the_file_and_a_restore_puts_it_right(
    attack: Callable[[Path, Path], None], trained_home: Path, tmp_path: Path
) -> None:
    file, backup = tmp_path / "folder" / "tracking.sqlite", tmp_path / "backup.sqlite"
    url = f"sqlite:///{file}"
    with serving(trained_home, database_url=url) as server:
        assert predict(server, 1) == 200
        clv("backup", backup, CLV_DATABASE_URL=url)
        assert predict(server, 2) == 200
        attack(file, backup)
        # At once: the file is looked at before any row of it is acknowledged.
        assert predict(server, 3) == 503
        with server.client() as client:
            assert client.get("/api/requests/1").status_code == 503
            until(lambda: client.get("/ready").status_code == 503)
            ready = client.get("/ready").json()
            assert client.get("/health").status_code == 200
        assert any(HAPPENED[attack] in reason for reason in ready["reasons"])
        assert str(tmp_path) not in str(ready)
        if attack is not delete_log:
            assert any("clv restore" in reason for reason in ready["reasons"])
            assert predict(server, 4) == 503
            clv("restore", backup, "--yes", CLV_DATABASE_URL=url)
        until(lambda: predict(server, 5) == 200)
        with server.client() as client:
            until(lambda: client.get("/ready").status_code == 200)
        assert "Traceback" not in server.log()
    kept = passengers(file)
    assert kept.count(1) == kept.count(5) == 1
    assert kept.count(2) == (attack is delete_log)
    assert not {3, 4} & set(kept)
    rescued = [passengers(one) for one in file.parent.glob("tracking-rescued-*.sqlite")]
    if attack in (delete, delete_all, move_backup_over, move_own_copy_over):
        assert [one[:2] for one in rescued] == [[1, 2]]


def test_a_file_that_is_moved_away_and_back_has_every_row_that_was_acknowledged(
    trained_home: Path, tmp_path: Path
) -> None:
    file, away = tmp_path / "folder" / "tracking.sqlite", tmp_path / "away.sqlite"
    with serving(trained_home, database_url=f"sqlite:///{file}") as server:
        assert predict(server, 1) == 200
        file.rename(away)
        until(lambda: "deleted or moved away" in server.log())
        assert predict(server, 2) == 503
        until(lambda: not beside(file, "-wal").exists())
        assert passengers(away) == [1]
        away.rename(file)
        until(lambda: predict(server, 3) == 200)
    assert passengers(file) == [1, 3]
    assert not list(file.parent.glob("*rescued*"))


def test_two_workers_notice_and_both_go_on_with_what_was_restored(
    trained_home: Path, tmp_path: Path
) -> None:
    file, backup = tmp_path / "folder" / "tracking.sqlite", tmp_path / "backup.sqlite"
    url = f"sqlite:///{file}"
    with serving(trained_home, "--workers", "2", database_url=url) as server:
        stored = sum(predict(server, 1) == 200 for _ in range(20))
        assert stored == 20
        clv("backup", backup, CLV_DATABASE_URL=url)
        file.unlink()
        assert {predict(server, 2) for _ in range(20)} == {503}
        clv("restore", backup, "--yes", CLV_DATABASE_URL=url)
        until(lambda: all(predict(server, 3) == 200 for _ in range(20)))
        with server.client() as client:
            said = {client.get("/api/requests/1").json()["count"] for _ in range(20)}
        assert said == {20}
    assert passengers(file).count(1) == 20
    assert 2 not in passengers(file)


def test_it_is_noticed_while_nobody_predicts(trained_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "tracking.sqlite"
    with serving(trained_home, database_url=f"sqlite:///{file}") as server:
        file.unlink()
        until(lambda: "deleted or moved away" in server.log())
