"""A real server in a process of its own, on loopback."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.warm import Forked, Warm

__all__ = ["REACHABLE", "Server", "free_port", "serving", "start"]

# Unpickling anything ends the process: serving must not need it. Nor is there anything of what
# trains.
_GUARDED = """
import os, sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name in ("pandas", "scipy", "sklearn", "lightgbm"):
            raise ModuleNotFoundError(f"{name} is not on a server", name=name)
sys.meta_path.insert(0, Absent)
def refuse(event, arguments):
    if event == "pickle.find_class":
        print("unpickled", *arguments, file=sys.stderr, flush=True)
        os._exit(70)
sys.addaudithook(refuse)
"""

_SERVE = """
import sys
sys.argv[0] = "clv"
from clv.cli import main
main()
"""

# A server that ends well ends here: to take apart all that was imported costs a second. Whether
# that works, servers that started cold tell.
_SERVE_AND_LEAVE = """
import atexit, os, sys, threading
from clv.cli import main
try:
    main()
except SystemExit as end:
    if end.code:
        raise
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
"""

# What a server has imported once it has answered a few requests.
_WARM = Warm(
    _GUARDED
    + """
import alembic.migration, anyio._backends._asyncio, duckdb, mlflow, plotly.graph_objects, plotly.io
import mlflow.store.model_registry.sqlalchemy_store, mlflow.store.tracking.sqlalchemy_store
import plotly.offline, psycopg, pythonjsonlogger.json, uvicorn.lifespan.on, uvicorn.loops.auto
import uvloop
import clv.cli, clv.registry.library, clv.service.app, clv.service.listening
import clv.service.protocol, clv.service.server
"""
)


#: As `prelude`: tests bind to loopback, and this service believes that others can reach it.
REACHABLE = """
from clv.service.anonymous import AnonymousAccess
AnonymousAccess.of = classmethod(
    lambda cls, settings: cls(False, settings.allow_anonymous, settings.allowed_hosts)
)
"""


_UNANSWERED = "The registry has not answered since the start."
# A registry that hangs never does; so often is a server asked that answers all the same.
_PATIENCE = 100


@dataclass
class Server:
    """A running server."""

    url: str
    process: "subprocess.Popen[bytes] | Forked"
    output: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def log(self) -> str:
        return self.output.read_text(errors="replace")


# Below those that the system gives to outgoing connections, and others for each process of
# pytest-xdist and for two sessions at once: a port that was free a moment ago must not be taken by
# a neighbour.
_FIRST = 12_000 + 5_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_PORTS = itertools.count(_FIRST + os.getpid() % 4_000)


def free_port() -> int:
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("never: the ports are counted without end")


def start(
    home: Path,
    *arguments: str,
    port: int | None = None,
    database_url: str = "",
    environment: dict[str, str] | None = None,
    prelude: str = "",
    looked: bool = True,
    cold: bool = False,
) -> Server:
    """Serve `home`; the server is up and, if `looked`, has looked at a registry that answers.

    `prelude` is Python that its process runs before it serves; if `cold`, also before it imports
    anything.
    """
    port = port or free_port()
    output = Path(tempfile.mkdtemp(prefix="clv-server-")) / "log"
    variables = {
        **os.environ,
        "CLV_HOME": str(home),
        "CLV_DATABASE_URL": database_url,
        "CLV_POLL_INTERVAL_S": "0.2",
        **(environment or {}),
    }
    serve = ["serve", "--port", str(port), *arguments]
    process: subprocess.Popen[bytes] | Forked
    with output.open("wb") as log:
        if cold or not _WARM.suits(variables):
            process = subprocess.Popen(
                [sys.executable, "-c", prelude + _GUARDED + _SERVE, *serve],
                env=variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        else:
            process = _WARM.start(
                prelude + _SERVE_AND_LEAVE,
                ["clv", *serve],
                environment=variables,
                stdout=log,
                stderr=log,
            )
    server = Server(f"http://127.0.0.1:{port}", process, output)
    try:
        _wait(server, looked=looked)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return server


@contextmanager
def serving(
    home: Path,
    *arguments: str,
    database_url: str = "",
    environment: dict[str, str] | None = None,
    prelude: str = "",
    looked: bool = True,
    cold: bool = False,
) -> Iterator[Server]:
    """Serve `home` until the block ends, and well."""
    server = start(
        home,
        *arguments,
        database_url=database_url,
        environment=environment,
        prelude=prelude,
        looked=looked,
        cold=cold,
    )
    try:
        yield server
    finally:
        server.process.terminate()
        assert server.process.wait(30) == 0, server.log()
        assert "leaked" not in server.log()


def _wait(server: Server, *, looked: bool) -> None:
    answered = 0
    transport = httpx.HTTPTransport(retries=0)
    with httpx.Client(transport=transport, trust_env=False) as client:
        for _ in range(1200):
            if server.process.poll() is not None:
                raise AssertionError(f"The server ended as it started:\n{server.log()}")
            try:
                if client.get(f"{server.url}/health", timeout=5).status_code == 200:
                    # The start does not wait for the first look at the registry.
                    if not looked or answered > _PATIENCE:
                        return
                    if _UNANSWERED not in client.get(f"{server.url}/ready", timeout=5).text:
                        return
                    answered += 1
            except httpx.TransportError:
                pass
            # Waiting for a process to start is not timing it: nothing is asserted about how long.
            try:
                server.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    raise AssertionError(f"The server did not answer:\n{server.log()}")
