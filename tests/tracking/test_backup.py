"""A backup is the database at one moment; restored, it is the database again, or nothing is."""

import asyncio
import contextlib
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, TypeDecorator, insert

from clv.errors import ClvError, DataError, OutputError, StoreError
from clv.sqlite import sqlite3
from clv.tracking import (
    TrackedRequest,
    back_up,
    metadata,
    newest,
    open_database,
    open_request_log,
    restore,
    upgrade,
)
from clv.tracking import restoring as restoring_module
from clv.tracking.migrate import downgrade, revisions
from support.rights import without_rights

POSTGRESQL = "postgresql://clv:s3cret@127.0.0.1:1/clv"
ROW = (
    "INSERT INTO requests (passenger_id, recency, frequency, monetary, predicted, "
    "expected_increment, model_version, requested_at) "
    "VALUES (?, 1, 2, 3.5, 4.5, 1.0, '7', '2026-01-01 00:00:00.000000')"
)
# More than SQLite keeps in memory, so that a half-written copy is on the disk.
MANY = (
    f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000) "
    f"{ROW.partition('VALUES')[0]}"
    "SELECT i, 1, 2, 3.5, 4.5, 1.0, hex(zeroblob(250)), '2026-01-01 00:00:00.000000' FROM n"
)

EXTREMES: dict[type, list[object]] = {
    int: [0, 1, -1, 2**31 - 1, -(2**31)],
    float: [0.0, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3],
    bool: [True, False],
    str: ["", "plain", "Zürich 🚕", 'it\'s "quoted"', "nul\x00within"],
    bytes: [b"", bytes(range(256)), b"\x00"],
    datetime: [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC) - timedelta(microseconds=1),
    ],
}


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


def values_of(column: Column[Any]) -> Iterator[Any]:
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    if column.primary_key:
        return map(kind.python_type, itertools.count(1))
    return itertools.cycle([*EXTREMES[kind.python_type], *([None] if column.nullable else [])])


def fill(file: Path) -> None:
    """Rows of every kind in every table that there is."""
    engine = open_database(url_of(file))
    upgrade(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            columns = {column.name: values_of(column) for column in table.columns}
            rows = [{name: next(values) for name, values in columns.items()} for _ in range(30)]
            connection.execute(insert(table), rows)
    engine.dispose()


@contextlib.contextmanager
def connected(file: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


def content(file: Path) -> dict[str, object]:
    """All that is in a SQLite file: its schema, and the rows of each table, as they are stored."""
    with connected(file) as connection:
        connection.execute("BEGIN")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        schema = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        tables = [name for kind, name, _ in schema if kind == "table"]
        rows = {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
            for name in tables
        }
        return {"schema": sorted(schema, key=repr), **rows}


def passengers(file: Path) -> list[int]:
    with connected(file) as connection:
        return [n for (n,) in connection.execute("SELECT passenger_id FROM requests ORDER BY id")]


def write(file: Path, *numbers: int) -> None:
    with connected(file) as connection:
        connection.executemany(ROW, [(n,) for n in numbers])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with rows in every table, in a folder of its own."""
    file = tmp_path / "home" / "tracking.sqlite"
    fill(file)
    return file


@pytest.fixture
def saved(database: Path, tmp_path: Path) -> Path:
    """A backup of `database`."""
    output = tmp_path / "saved.sqlite"
    back_up(url_of(database), output)
    return output


# ---------------------------------------------------------------- there and back


def test_a_backup_restores_every_column_of_every_row(
    database: Path, saved: Path, tmp_path: Path
) -> None:
    before = content(database)
    assert set(before) >= set(metadata.tables)
    assert all(before[name] for name in metadata.tables)
    assert content(saved) == before

    elsewhere = tmp_path / "new folder" / "other.sqlite"
    assert restore(saved, url_of(elsewhere)) == len(before["requests"])
    assert content(elsewhere) == before

    with connected(database) as connection:
        for table in metadata.tables:
            connection.execute(f"DELETE FROM {table}")
    write(database, *range(1000))
    assert restore(saved, url_of(database)) == len(before["requests"])
    assert content(database) == before
    assert names_in(database.parent) == ["tracking.sqlite"]


def test_a_backup_of_an_empty_database_empties_another(database: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.sqlite"
    engine = open_database(url_of(empty))
    upgrade(engine)
    engine.dispose()
    assert back_up(url_of(empty), tmp_path / "saved") == 0
    assert restore(tmp_path / "saved", url_of(database)) == 0
    assert content(database) == content(empty)


@pytest.mark.parametrize("revision", revisions()[1:])
def test_a_backup_of_an_older_release_gets_the_newest_tables(
    revision: str, database: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.sqlite"
    engine = open_database(url_of(old))
    upgrade(engine)
    downgrade(engine, revision)
    engine.dispose()
    write(old, *range(10))
    output = tmp_path / "saved.sqlite"
    assert back_up(url_of(old), output) == 10
    assert restore(output, url_of(database)) == 10
    engine = open_database(url_of(old))
    assert upgrade(engine) == revision
    engine.dispose()
    assert content(database) == content(old)


def test_what_else_is_in_the_file_goes_with_it(database: Path, saved: Path, tmp_path: Path) -> None:
    with connected(database) as connection:
        connection.execute("CREATE TABLE alembic_version AS SELECT 'of mlflow' AS version")
    before = content(database)
    kept = tmp_path / "kept.sqlite"
    restore(saved, url_of(database), keep=kept)
    assert "alembic_version" not in content(database)
    assert content(kept) == before
    restore(kept, url_of(database))
    assert content(database) == before


@pytest.mark.parametrize("name", ['it\'s 100% "new" #1?x=y.sqlite', "file:x?mode=memory", "é 🚕"])
def test_any_name_will_do(
    name: str, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "file:here?mode=memory"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    before = content(database)
    back_up(url_of(database), Path(folder.name) / name)
    assert names_in(folder) == [name]
    write(database, 1, 2, 3)
    restore(Path(folder.name) / name, url_of(database))
    assert content(database) == before
    assert names_in(folder) == [name]


def test_pages_of_another_size_are_no_hindrance(
    database: Path, saved: Path, tmp_path: Path
) -> None:
    with connected(saved) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("VACUUM")
    restore(saved, url_of(database))
    assert content(database) == content(saved)


# ---------------------------------------------------------------- while others use it


WRITER = """
import asyncio, itertools, sys
from datetime import UTC, datetime
from clv.tracking import TrackedRequest, open_request_log

moment = datetime(2026, 1, 1, tzinfo=UTC)
SAID = 1, 1, 8.5, 14.28, 5.78, 0.1593, 0.9, 8.5, 26.11, 2, True, "3", moment


async def main():
    log = open_request_log(sys.argv[1], 1000)
    for number in itertools.count():
        await log.append([TrackedRequest(number, *SAID)])
        print(number, flush=True)


asyncio.run(main())
"""


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A database into which another process writes 0, 1, 2, ..., and says each once it is there."""
    file = tmp_path / "home" / "tracking.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url_of(file)], stdout=subprocess.PIPE, text=True
    ) as writer:
        try:
            yield file, writer
        finally:
            writer.kill()


def heard(writer: subprocess.Popen[str], lines: int) -> int:
    """The last of so many numbers more that the writer says."""
    return [int(writer.stdout.readline()) for _ in range(lines)][-1]


def test_a_backup_beside_a_writer_holds_all_up_to_a_moment(
    written: tuple[Path, subprocess.Popen[str]], tmp_path: Path
) -> None:
    database, writer = written
    for n in range(5):
        before = heard(writer, 20)
        count = back_up(url_of(database), tmp_path / f"{n}.sqlite")
        assert passengers(tmp_path / f"{n}.sqlite") == list(range(count))
        assert count > before
        assert heard(writer, 1) > before


def test_a_writer_goes_on_in_what_was_restored_and_nothing_acknowledged_is_lost(
    written: tuple[Path, subprocess.Popen[str]], tmp_path: Path
) -> None:
    database, writer = written
    heard(writer, 20)
    saved, kept = tmp_path / "saved.sqlite", tmp_path / "kept.sqlite"
    count = back_up(url_of(database), saved)
    heard(writer, 20)
    assert restore(saved, url_of(database), keep=kept) == count
    before = passengers(kept)
    while heard(writer, 1) < len(before):
        pass  # it said that before the restore, and is read only now
    last = heard(writer, 100)
    writer.kill()
    writer.wait()

    now = passengers(database)
    assert now[:count] == list(range(count))
    assert before == list(range(len(before)))
    # What came after the copy of the old content is in the new one.
    assert now[count:] == list(range(len(before), len(before) + len(now) - count))
    assert now[-1] >= last
    assert content(database)["schema"] == content(saved)["schema"]


def test_an_open_log_counts_what_was_restored_and_appends_to_it(
    database: Path, tmp_path: Path, a_row: Callable[..., TrackedRequest]
) -> None:
    async def scenario() -> None:
        log = open_request_log(url_of(database), 100)
        await log.append([a_row(4711)])
        await asyncio.to_thread(back_up, url_of(database), tmp_path / "saved")
        await log.append([a_row(4711), a_row(4712)])
        await asyncio.to_thread(restore, tmp_path / "saved", url_of(database))
        assert (await log.count(4711), await log.count(4712)) == (1, 0)
        await log.append([a_row(4711)])
        assert await log.count(4711) == 2
        await log.close()

    asyncio.run(scenario())


def test_nobody_writes_between_the_copy_that_is_kept_and_the_new_content(
    database: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(database)
    seen = []
    real = restoring_module.copy_of

    @contextlib.contextmanager
    def copy_of(*arguments: Any) -> Iterator[Path]:
        with real(*arguments) as part:
            seen.append(content(database))
            with connected(database) as connection:
                connection.execute("PRAGMA busy_timeout = 0")
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    connection.execute(ROW, (1,))
            yield part

    monkeypatch.setattr(restoring_module, "copy_of", copy_of)
    restore(saved, url_of(database), keep=tmp_path / "kept")
    assert seen == [before]


def test_who_reads_meanwhile_reads_the_old_content_to_the_end(database: Path, saved: Path) -> None:
    write(database, 4711)
    with connected(database) as reader:
        reader.execute("BEGIN")
        count = reader.execute("SELECT count(*) FROM requests").fetchone()
        restore(saved, url_of(database))
        assert reader.execute("SELECT count(*) FROM requests").fetchone() == count
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM requests").fetchone()[0] == count[0] - 1


def test_a_database_that_somebody_holds_is_given_up_after_a_while(
    database: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clv.tracking.database.LOCK_TIMEOUT_S", 0)
    with connected(database) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process"):
            restore(saved, url_of(database), keep=tmp_path / "kept")
        assert back_up(url_of(database), tmp_path / "meanwhile") == 30
    assert not (tmp_path / "kept").exists()
    assert names_in(database.parent) == ["tracking.sqlite"]
    assert content(database) == content(saved)


# ---------------------------------------------------------------- killed in the middle

HALT = """
import contextlib, sys
from clv.sqlite import sqlite3
from pathlib import Path
from sqlalchemy import Engine, event
from clv.tracking import back_up, restore, restoring


def halt():
    print("halted", flush=True)
    sys.stdin.read()


"""

BACKUP = (
    HALT
    + """
url, output, share = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
size = share * Path(url.removeprefix("sqlite:///")).stat().st_size


def look():
    if any(part.stat().st_size > size for part in output.parent.glob(".*.part")):
        halt()


@event.listens_for(Engine, "connect")
def watch(connection, _record):
    connection.set_progress_handler(look, 100)


back_up(url, output)
"""
)

RESTORE = (
    HALT
    + """
saved, url, kept, stage = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]
real_upgrade, real_copy = restoring.upgrade, restoring.copy_of


def upgrade(engine):
    real_upgrade(engine)
    halt()


@contextlib.contextmanager
def copy_of(*arguments):
    with real_copy(*arguments) as part:
        halt()
        yield part


class Halting(sqlite3.Connection):
    def backup(self, target, *, pages=-1, progress=None):
        def step(status, remaining, total):
            progress(status, remaining, total)
            if pages == 1 and remaining <= float(stage) * total:
                halt()
        super().backup(target, pages=pages, progress=step)


if stage == "staged":
    restoring.upgrade = upgrade
elif stage == "keeping":
    restoring.copy_of = copy_of
else:
    sqlite3.connect = lambda *arguments, **options: Halting(*arguments, **options)
restore(saved, url, keep=kept)
"""
)


@contextlib.contextmanager
def halted(script: str, *arguments: object) -> Iterator[None]:
    """Run the script to where it halts, and kill it when the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "halted\n"
            yield
        finally:
            process.kill()


def test_a_backup_that_is_killed_leaves_what_was_there_and_the_next_one_tidies_up(
    database: Path, tmp_path: Path
) -> None:
    with connected(database) as connection:
        connection.execute(MANY)
    folder = tmp_path / "backups"
    folder.mkdir()
    output = folder / "saved"
    output.write_text("what was there before")
    with halted(BACKUP, url_of(database), output, 0.5):
        write(database, 4711)
    assert output.read_text() == "what was there before"
    left = list(folder.glob(".saved.*"))
    assert left  # the part, and the journal that SQLite kept of it

    back_up(url_of(database), output)
    assert names_in(folder) == ["saved"]
    assert content(output) == content(database)


@pytest.mark.parametrize(
    ("stage", "leaves"),
    [("staged", "old"), ("keeping", "old"), ("1", "old"), ("0.5", "old"), ("0", "new")],
)
def test_a_restore_that_is_killed_leaves_the_old_content_or_the_new(
    stage: str, leaves: str, database: Path, saved: Path, tmp_path: Path
) -> None:
    old = content(saved)
    with connected(saved) as connection:
        connection.execute(MANY)
    new = content(saved)
    expected = {"old": old, "new": new}[leaves]
    with connected(database) as neighbour:
        neighbour.execute("SELECT count(*) FROM requests").fetchone()
        with halted(RESTORE, saved, url_of(database), tmp_path / "kept", stage):
            assert content(database) == expected
        assert content(database) == expected
        neighbour.execute(ROW, (4711,))
    assert passengers(database)[-1] == 4711
    assert restore(saved, url_of(database)) == len(new["requests"])
    assert content(database) == new


# ---------------------------------------------------------------- what is refused


def spoil(backup: Path) -> None:
    """Overwrite the middle of every page but the first."""
    data = bytearray(backup.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 40] = b"\xff" * 40
    backup.write_bytes(data)


def run(statement: str) -> Callable[[Path], None]:
    def change(backup: Path) -> None:
        with connected(backup) as connection:
            connection.execute(statement)

    return change


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "cannot be read: No such file"),
    "folder": (lambda file: (file.unlink(), file.mkdir()), "cannot be read: Is a directory"),
    "empty": (lambda file: os.truncate(file, 0), "it has no table tracking_version"),
    "text": (lambda file: file.write_text("no database " * 500), "as a SQLite file: file is not"),
    "50 bytes": (lambda file: os.truncate(file, 50), "is damaged: "),
    "first page": (lambda file: os.truncate(file, 4096), "malformed"),
    "half": (lambda file: os.truncate(file, file.stat().st_size // 8192 * 4096), "malformed"),
    "a byte less": (lambda file: os.truncate(file, file.stat().st_size - 1), "end is missing"),
    "overwritten": (spoil, "damaged: "),
    "foreign": (run("DROP TABLE tracking_version"), "it has no table tracking_version"),
    "no version": (run("DELETE FROM tracking_version"), "it has no table tracking_version"),
    "newer": (
        run("UPDATE tracking_version SET version_num = '9999'"),
        "is at version 9999, which this clv does not know: it is newer",
    ),
    "no table": (run("DROP TABLE requests"), "it lacks requests"),
    "no column": (run("ALTER TABLE requests DROP COLUMN score_bin"), "requests.score_bin"),
    "another version": (
        run("UPDATE tracking_version SET version_num = '0001'"),
        "its tables are not those of its version",
    ),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_backup_that_cannot_be_trusted_is_refused_before_anything_is_touched(
    how: str, database: Path, saved: Path, tmp_path: Path
) -> None:
    damage, says = DAMAGE[how]
    damage(saved)
    before = everything_in(database.parent)
    with pytest.raises(DataError) as caught:
        restore(saved, url_of(database), keep=tmp_path / "kept")
    assert f"'{saved}'" in str(caught.value)
    assert says in str(caught.value)
    assert everything_in(database.parent) == before
    assert names_in(database.parent) == list(before)

    nowhere = tmp_path / "nowhere"
    with pytest.raises(DataError):
        restore(saved, url_of(nowhere / "tracking.sqlite"))
    assert names_in(nowhere) == []
    assert not (tmp_path / "kept").exists()


def test_a_database_copied_with_its_log_is_read_with_it(database: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    with connected(database) as connection:
        connection.execute(ROW, (4711,))
        for file in database.parent.glob("tracking.sqlite*"):
            shutil.copy(file, raw)
    assert (raw / "tracking.sqlite-wal").stat().st_size > 0
    restore(raw / "tracking.sqlite", url_of(tmp_path / "other.sqlite"))
    assert passengers(tmp_path / "other.sqlite")[-1] == 4711


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_the_database_is_neither_its_backup_nor_made_of_it(
    link: Callable[[Path, Path], None] | None, database: Path, tmp_path: Path
) -> None:
    name = tmp_path / "link" if link else database
    if link:
        link(database, name)
    before = content(database)
    with pytest.raises(OutputError, match=r"is the tracking database .* itself"):
        back_up(url_of(database), name)
    with pytest.raises(DataError, match="is the tracking database itself"):
        restore(name, url_of(database))
    assert content(database) == before


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_what_sqlite_keeps_beside_the_database_is_no_output(end: str, database: Path) -> None:
    with connected(database) as connection:
        connection.execute(ROW, (4711,))
        output = database.with_name(database.name + end)
        with pytest.raises(OutputError, match="a part of it"):
            back_up(url_of(database), output)
    assert passengers(database)[-1] == 4711


def test_a_database_that_is_not_there_is_not_made_to_be_backed_up(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no tracking database .*tracking\.sqlite yet"):
        back_up(url_of(tmp_path / "home" / "tracking.sqlite"), tmp_path / "saved")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "says"), [(None, "lacks its tables"), ("no database " * 500, "no SQLite file")]
)
def test_a_file_that_is_no_tracking_database_is_not_backed_up(
    text: str | None, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "other.sqlite"
    if text:
        file.write_text(text)
    else:
        run("CREATE TABLE other (x)")(file)
    with pytest.raises(StoreError, match=says):
        back_up(url_of(file), tmp_path / "saved")
    assert names_in(tmp_path) == ["other.sqlite"]


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("nowhere/saved", "cannot be written: there is no folder .*make the folder"),
        ("home", "is a folder"),
    ],
)
def test_an_output_that_cannot_be_is_told(
    output: str, says: str, database: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=says):
        back_up(url_of(database), tmp_path / output)
    assert names_in(tmp_path) == ["home"]


def test_a_folder_without_rights_is_told() -> None:
    # Not in pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="clv-backup-") as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "theirs"
        folder.mkdir(mode=0o555)
        with without_rights():
            (mine := Path(tempfile.mkdtemp(prefix="clv-backup-"))).chmod(0o700)
            fill(mine / "tracking.sqlite")
            with pytest.raises(OutputError, match="cannot be written: Permission denied"):
                back_up(url_of(mine / "tracking.sqlite"), folder / "saved")
            back_up(url_of(mine / "tracking.sqlite"), mine / "saved")
            with pytest.raises(StoreError, match="cannot be written: Permission denied"):
                restore(mine / "saved", url_of(folder / "tracking.sqlite"))
            shutil.rmtree(mine)
        assert names_in(folder) == []
        folder.chmod(0o755)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_what_was_there(database: Path, saved: Path, tmp_path: Path) -> None:
    before, folder = saved.read_bytes(), tmp_path / "backups"
    folder.mkdir()
    shutil.copy(saved, folder)
    with connected(database) as connection:
        connection.execute(MANY)
    old = content(database)
    with files_of_at_most(1_000_000), pytest.raises(OutputError, match="free some space"):
        back_up(url_of(database), folder / saved.name)
    assert everything_in(folder) == {saved.name: before}

    kept = tmp_path / "kept"
    with files_of_at_most(1_000_000), pytest.raises(OutputError, match="kept' cannot be written"):
        restore(saved, url_of(database), keep=kept)
    assert content(database) == old
    assert names_in(database.parent) == ["tracking.sqlite"]

    large = tmp_path / "large"
    back_up(url_of(database), large)
    with files_of_at_most(1_000_000), pytest.raises(ClvError, match="disk"):
        restore(large, url_of(database))
    with files_of_at_most(large.stat().st_size), pytest.raises(StoreError, match="disk"):
        # There is room for a copy, and none for the log, which is a little larger.
        restore(large, url_of(database))
    assert content(database) == old
    assert names_in(database.parent) == ["tracking.sqlite"]


def test_files_are_made_for_their_owner_alone_and_keep_what_they_were_given(
    database: Path, tmp_path: Path
) -> None:
    def mode(file: Path) -> int:
        return file.stat().st_mode & 0o777

    before = os.umask(0o022)
    try:
        new, saved = tmp_path / "new" / "tracking.sqlite", tmp_path / "saved"
        engine = open_database(f"sqlite:///{new}")
        upgrade(engine)
        assert [mode(one) for one in sorted(new.parent.iterdir())] == [0o600] * 3
        engine.dispose()
        database.chmod(0o640)
        back_up(f"sqlite:///{database}", saved)
        assert mode(saved) == 0o600
        saved.chmod(0o640)
        back_up(f"sqlite:///{database}", saved)
        assert mode(saved) == 0o640
        kept = tmp_path / "kept"
        restore(saved, f"sqlite:///{database}", keep=kept)
        assert (mode(kept), mode(database)) == (0o600, 0o640)
    finally:
        os.umask(before)


def test_what_was_there_is_kept_only_where_it_has_rows_and_never_over_another(
    saved: Path, tmp_path: Path
) -> None:
    file, kept = tmp_path / "other.sqlite", tmp_path / "kept"
    for _ in range(2):  # where there is no file, and where it has tables only
        restore(saved, url_of(file), keep=kept)
        assert not kept.exists()
        with connected(file) as connection:
            for table in metadata.tables:
                connection.execute(f"DELETE FROM {table}")
    write(file, 1)
    before = content(file)
    restore(saved, url_of(file), keep=kept)
    assert content(kept) == before
    with pytest.raises(OutputError, match="exists already"):
        restore(saved, url_of(file), keep=kept)
    assert content(kept) == before
    assert content(file) == content(saved)


@pytest.mark.parametrize("damage", [spoil, lambda file: file.write_text("no database " * 500)])
def test_a_damaged_database_is_told_how_to_be_replaced(
    damage: Callable[[Path], object], database: Path, saved: Path, tmp_path: Path
) -> None:
    damage(database)
    before = database.read_bytes()
    with pytest.raises(StoreError, match=r"Stop the service, move it away .* and restore again"):
        restore(saved, url_of(database), keep=tmp_path / "kept")
    assert database.read_bytes() == before
    database.rename(tmp_path / "damaged.sqlite")
    restore(saved, url_of(database), keep=tmp_path / "kept")
    assert content(database) == content(saved)


def test_a_database_of_a_newer_release_can_be_replaced_and_is_kept(
    database: Path, saved: Path, tmp_path: Path
) -> None:
    run("UPDATE tracking_version SET version_num = '9999'")(database)
    before = content(database)
    restore(saved, url_of(database), keep=tmp_path / "kept")
    assert content(tmp_path / "kept") == before
    assert content(database)["tracking_version"] == [(newest(),)]


def test_postgresql_is_referred_to_its_own_tools(saved: Path, tmp_path: Path) -> None:
    for attempt in (
        lambda: back_up(POSTGRESQL, tmp_path / "output"),
        lambda: restore(saved, POSTGRESQL),
    ):
        with pytest.raises(StoreError, match=r"pg_dump .*pg_restore") as caught:
            attempt()
        assert "s3cret" not in str(caught.value)
    assert not (tmp_path / "output").exists()
