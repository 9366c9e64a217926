"""The tables of today's database under yesterday's, today's and tomorrow's code."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from clv.errors import StoreError
from clv.tracking import (
    KeyStore,
    TrackedRequest,
    metadata,
    migrate,
    open_database,
    open_request_log,
    upgrade,
)
from clv.tracking.migrate import downgrade
from clv.tracking.tables import REVISION, VERSION_TABLE

HEAD = ScriptDirectory(str(migrate.SCRIPTS)).get_current_head()

NEXT_RELEASE = f'''
"""What a later release may do: a column more, and one that SQLite can only rebuild."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "next", "{HEAD}", None, None


def upgrade():
    with op.batch_alter_table("requests") as table:
        table.add_column(sa.Column("channel", sa.Text, nullable=False, server_default="api"))
        table.alter_column("model_version", existing_type=sa.Text, nullable=True)


def downgrade():
    with op.batch_alter_table("requests") as table:
        table.alter_column("model_version", existing_type=sa.Text, nullable=False)
        table.drop_column("channel")
'''

BROKEN_RELEASE = f'''
"""Fails after it has changed something."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "broken", "{HEAD}", None, None


def upgrade():
    op.create_table("half_done", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO no_such_table VALUES (1)")
'''

ROW = (
    "INSERT INTO requests (passenger_id, recency, frequency, monetary, predicted, "
    "expected_increment, model_version, requested_at) "
    "VALUES (:id, 1, 2, 3.5, 4.5, 1.0, '7', '2026-01-01 00:00:00')"
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Install a release with one migration more; "" goes back to the present one."""
    present = migrate.SCRIPTS

    def install(script: str) -> None:
        folder = tmp_path / "100% next"  # configparser would stumble over the sign
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(present, folder)
        (folder / "versions" / "9999_next.py").write_text(script)
        scripts = folder if script else present
        monkeypatch.setattr(migrate, "SCRIPTS", scripts)
        newest = ScriptDirectory(str(scripts)).get_current_head()
        monkeypatch.setattr("clv.tracking.revision.REVISION", newest)

    return install


def read(engine: Engine, query: str) -> list[object]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_the_tables_are_of_the_newest_revision() -> None:
    assert HEAD == REVISION


def test_the_migrations_build_exactly_the_tables_of_the_code(engine: Engine) -> None:
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    assert inspect(engine).get_pk_constraint("requests")["name"] == "pk_requests"
    assert inspect(engine).get_pk_constraint("api_keys")["name"] == "pk_api_keys"
    indexes = inspect(engine).get_indexes("requests")
    assert {index["name"]: index["column_names"] for index in indexes} == {
        "ix_requests_passenger_id": ["passenger_id"],
        "ix_requests_requested_at": ["requested_at"],
    }


def test_upgrading_again_changes_nothing(engine: Engine) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(ROW), {"id": 1})
    upgrade(engine)
    assert read(engine, "SELECT passenger_id FROM requests") == [(1,)]


def test_rows_survive_the_next_release_and_the_way_back(
    engine: Engine, release: Callable[[str], None]
) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(ROW), [{"id": n} for n in range(10)])
    before = read(engine, "SELECT * FROM requests ORDER BY id")

    release(NEXT_RELEASE)
    upgrade(engine)
    assert read(engine, "SELECT DISTINCT channel FROM requests") == [("api",)]
    downgrade(engine, HEAD)
    assert read(engine, "SELECT * FROM requests ORDER BY id") == before

    downgrade(engine, "base")
    assert inspect(engine).get_table_names() == [VERSION_TABLE]
    upgrade(engine)
    assert read(engine, "SELECT * FROM requests") == []


def test_rows_of_the_first_release_are_kept_and_have_no_uncertainty(engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text(ROW), [{"id": n} for n in range(10)])
    first = read(engine, "SELECT * FROM requests ORDER BY id")

    upgrade(engine)
    uncertainty = "p_return, level, low, high, score_bin, in_support"
    assert read(engine, f"SELECT DISTINCT {uncertainty} FROM requests") == [(None,) * 6]
    old = ", ".join(column["name"] for column in inspect(engine).get_columns("requests")[:9])
    assert read(engine, f"SELECT {old} FROM requests ORDER BY id") == first


def test_going_back_to_the_first_release_keeps_all_that_it_knows_of(
    engine: Engine, database_url: str, a_row: Callable[..., TrackedRequest]
) -> None:
    async def answer(passengers: range) -> None:
        log = open_request_log(database_url, 100)
        await log.append([a_row(n) for n in passengers])
        await log.close()

    asyncio.run(answer(range(10)))
    known = "id, passenger_id, recency, frequency, monetary, predicted, expected_increment"
    before = read(engine, f"SELECT {known}, model_version FROM requests ORDER BY id")
    downgrade(engine, "0001")
    assert len(inspect(engine).get_columns("requests")) == 9
    assert read(engine, f"SELECT {known}, model_version FROM requests ORDER BY id") == before
    (index,) = inspect(engine).get_indexes("requests")
    assert index["name"] == "ix_requests_passenger_id"

    asyncio.run(answer(range(10, 12)))  # which upgrades again, and counts on
    ids = read(engine, "SELECT id, passenger_id, p_return FROM requests ORDER BY id")
    assert ids[8:] == [(9, 8, None), (10, 9, None), (11, 10, 0.1593), (12, 11, 0.1593)]


def test_the_release_before_sources_counts_no_prediction_of_the_page(
    engine: Engine, database_url: str, a_row: Callable[..., TrackedRequest]
) -> None:
    async def answer() -> None:
        log = open_request_log(database_url, 100)
        await log.append([a_row(1), a_row(2, source="page"), a_row(None, source="page")])
        await log.close()

    asyncio.run(answer())
    downgrade(engine, "0006")
    assert read(engine, "SELECT passenger_id FROM requests") == [(1,)]
    upgrade(engine)
    assert read(engine, "SELECT passenger_id, source FROM requests") == [(1, None)]


def test_keys_and_requests_survive_the_release_before_keys(engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "0003")
    with engine.begin() as connection:
        connection.execute(text(ROW), [{"id": n} for n in range(10)])
    KeyStore(engine).create("marketing", ["predict"], at=datetime(2026, 1, 2, tzinfo=UTC))
    keys = read(engine, "SELECT * FROM api_keys")
    requests = read(engine, "SELECT * FROM requests ORDER BY id")
    for revision in ("0002", "0001"):
        downgrade(engine, revision)
        upgrade(engine)
        assert read(engine, "SELECT * FROM api_keys") == keys
    downgrade(engine, "0003")
    assert read(engine, "SELECT * FROM requests ORDER BY id") == requests


def test_going_back_without_keys_leaves_no_table_of_keys(engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "0002")
    assert "api_keys" not in inspect(engine).get_table_names()
    upgrade(engine)
    assert KeyStore(engine).keys() == []


def test_rebuilding_a_table_does_not_delete_what_points_to_it(
    engine: Engine, release: Callable[[str], None]
) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(ROW), {"id": 1})
        connection.execute(
            text("CREATE TABLE notes (request_id BIGINT REFERENCES requests ON DELETE CASCADE)")
        )
        connection.execute(text("INSERT INTO notes SELECT id FROM requests"))
    release(NEXT_RELEASE)
    upgrade(engine)
    assert len(read(engine, "SELECT * FROM notes NATURAL JOIN requests")) == 1


def test_a_database_of_a_newer_release_is_refused_with_what_to_do(
    engine: Engine, database_url: str, release: Callable[[str], None]
) -> None:
    release(NEXT_RELEASE)
    upgrade(engine)
    release("")
    for attempt in (
        lambda: upgrade(engine),
        lambda: downgrade(engine, "base"),
        lambda: open_request_log(database_url, 10),
    ):
        with pytest.raises(StoreError, match=r"version next.*newer\. Install the clv that"):
            attempt()
    assert "channel" in {column["name"] for column in inspect(engine).get_columns("requests")}


def test_a_migration_that_fails_leaves_nothing_behind(
    engine: Engine, release: Callable[[str], None]
) -> None:
    upgrade(engine)
    release(BROKEN_RELEASE)
    with pytest.raises(StoreError, match="lacks its tables"):
        upgrade(engine)
    assert "half_done" not in inspect(engine).get_table_names()
    release("")
    upgrade(engine)


def test_mlflow_may_live_in_the_same_database(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of mlflow')"))
    upgrade(engine)
    downgrade(engine, "base")
    assert read(engine, "SELECT * FROM alembic_version") == [("of mlflow",)]


def test_settings_of_a_migration_end_with_it(new_database: Callable[[str], str]) -> None:
    engine = open_database(new_database("sqlite"))
    upgrade(engine)
    settings = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
    values = [read(engine, f"PRAGMA {name}")[0] for name in settings]
    engine.dispose()
    assert values == [("wal",), (2,), (5000,), (1,)]


OPENER = """
import asyncio, sys
from clv.tracking import open_request_log

for line in sys.stdin:
    log = open_request_log(line.strip(), 10)
    asyncio.run(log.close())
    print("open", flush=True)
"""


@pytest.fixture(scope="module")
def four_servers() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that each open the database whose URL they are sent, and say so."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-c", OPENER], text=True, bufsize=1, **pipes)
            )
            for _ in range(4)
        ]
        yield servers
        assert [server.communicate()[1] for server in servers] == [""] * 4
        assert [server.returncode for server in servers] == [0] * 4


def test_four_servers_that_start_at_once_all_find_the_tables(
    kind: str,
    new_database: Callable[[str], str],
    four_servers: list[subprocess.Popen[str]],
) -> None:
    for _ in range(5):
        url = new_database(kind)
        for server in four_servers:
            server.stdin.write(url + "\n")
        assert [server.stdout.readline() for server in four_servers] == ["open\n"] * 4
