"""Uploaded lists: how many are held, who waits for whom, and what is left behind."""

import contextlib
import http.client
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import Server, serving, start
from support.waiting import until

HEADING = b"id,recency_7,frequency_7,monetary_value_7\n"
SMALL = HEADING + b"1,1,1,8.5\n2,7,4,80\n"
LARGE = HEADING + b"".join(b"%d,1,1,8.5\n" % k for k in range(120_000))
# Judging a large list waits until a file is there.
GATE = """
import os, time
from pathlib import Path
from clv.service import uploads
uploads._LAST_S = 1
run = uploads.Uploads.run
async def held(self, function, *arguments):
    large = self._large.turn.locked() and not self._small.turn.locked()
    def begin():
        gate = Path(os.environ["TMPDIR"]) / "gate"
        while large and not gate.exists():
            time.sleep(0.01)
        return function(*arguments)
    return await run(self, begin)
uploads.Uploads.run = held
"""


@contextlib.contextmanager
def gated(home: Path, folder: Path, most: int) -> Iterator[Server]:
    """A server whose large lists wait for the file `gate`; at its end it need not wait for them."""
    database = folder / "database"
    database.mkdir()
    server = start(
        home,
        database_url=f"sqlite:///{database / 'tracking.sqlite'}",
        environment={"CLV_MAX_UPLOADS": str(most), "TMPDIR": str(folder)},
        prelude=GATE,
    )
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def send(server: Server, content: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), 60)
    connection.sendall(
        b"POST /campaign/judge?margin=0.2&cost=1 HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % len(content) + content
    )
    return connection


def answer(connection: socket.socket) -> tuple[int, str]:
    """Status and body of an answer."""
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        return response.status, response.read().decode()


def held(folder: Path) -> list[Path]:
    return list(folder.glob("clv-upload-*/*.csv"))


def stored(folder: Path) -> int:
    """Large lists that have been received whole."""
    return sum(path.stat().st_size == len(LARGE) for path in held(folder))


def test_a_list_too_many_is_503_at_once_and_small_ones_do_not_wait_for_large_ones(
    trained_home: Path, tmp_path: Path
) -> None:
    with gated(trained_home, tmp_path, most=2) as server:
        with send(server, LARGE) as first, send(server, LARGE) as second:
            until(lambda: stored(tmp_path) == 2)
            with send(server, LARGE) as third:
                status, refused = answer(third)
            assert status == 503
            assert "2 lists are being received or judged already" in refused
            assert len(held(tmp_path)) == 2, "what is refused is not stored"
            with send(server, SMALL) as small:
                assert answer(small)[0] == 200
            (tmp_path / "gate").touch()
            for one in (first, second):
                assert answer(one)[0] == 200
        until(lambda: held(tmp_path) == [])


def test_a_list_whose_client_hung_up_is_dropped_before_it_is_judged(
    trained_home: Path, tmp_path: Path
) -> None:
    with gated(trained_home, tmp_path, most=3) as server, send(server, LARGE) as first:
        until(lambda: stored(tmp_path) == 1)
        for _ in range(2):
            gone = send(server, LARGE)
            until(lambda: stored(tmp_path) == 2)
            gone.close()
            until(lambda: len(held(tmp_path)) == 1)
        (tmp_path / "gate").touch()
        assert answer(first)[0] == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_that_is_asked_to_stop_ends_although_a_list_is_being_judged(
    trained_home: Path, tmp_path: Path, workers: str
) -> None:
    database = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    environment = {"TMPDIR": str(tmp_path), "CLV_WORKERS": workers, "PYTHONPATH": str(tmp_path)}
    # Workers are processes of their own, which begin with what is on their path.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif '--multiprocessing-fork' in sys.orig_argv:\n"
        + "".join(f"    {line}\n" for line in GATE.splitlines())
    )
    with (
        serving(
            trained_home,
            database_url=database,
            environment=environment,
            prelude=GATE if workers == "1" else "",
            cold=True,
        ) as server,
        send(server, LARGE) as working,
        send(server, LARGE) as waiting,
    ):
        until(lambda: stored(tmp_path) == 2)
        server.process.send_signal(signal.SIGTERM)
        for one in (waiting, working):
            status, refused = answer(one)
            assert status == 503
            assert "shutting down" in refused
        assert server.process.wait(30) == 0, server.log()
    assert "Traceback" not in server.log()
    assert list(tmp_path.glob("clv-*")) == []


def test_a_list_is_its_owners_alone_and_does_not_outlive_a_killed_service(
    trained_home: Path, tmp_path: Path
) -> None:
    with gated(trained_home, tmp_path, most=1) as server, send(server, LARGE):
        until(lambda: stored(tmp_path) == 1)
        (left,) = held(tmp_path)
        assert stat.S_IMODE(left.parent.stat().st_mode) == 0o700
        assert left.parent.stat().st_uid == os.getuid()
        server.process.kill()
        server.process.wait()
        assert left.exists()
    with serving(
        trained_home,
        database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
        environment={"TMPDIR": str(tmp_path)},
    ):
        assert not left.exists()
