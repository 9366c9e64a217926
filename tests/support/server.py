"""A real server in a process of its own, on loopback."""

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

__all__ = ["Server", "free_port", "serving"]

# `clv serve`, in which unpickling anything ends the process: serving must not need it.
_SERVE = """
import os, sys
def refuse(event, arguments):
    if event == "pickle.find_class":
        print("unpickled", *arguments, file=sys.stderr, flush=True)
        os._exit(70)
sys.addaudithook(refuse)
sys.argv[0] = "clv"
from clv.cli import main
main()
"""


@dataclass
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    output: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def log(self) -> str:
        return self.output.read_text(errors="replace")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    home: Path, *arguments: str, database_url: str = "", environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """Serve `home` until the block ends; the server is up when the block begins."""
    port = free_port()
    output = Path(tempfile.mkdtemp(prefix="clv-server-")) / "log"
    variables = {
        **os.environ,
        "CLV_HOME": str(home),
        "CLV_DATABASE_URL": database_url,
        "CLV_POLL_INTERVAL_S": "0.2",
        **(environment or {}),
    }
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, "serve", "--port", str(port), *arguments],
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", process, output)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        assert process.wait(30) == 0, server.log()


def _wait(server: Server) -> None:
    transport = httpx.HTTPTransport(retries=0)
    with httpx.Client(transport=transport, trust_env=False) as client:
        for _ in range(1200):
            if server.process.poll() is not None:
                raise AssertionError(f"The server ended as it started:\n{server.log()}")
            try:
                if client.get(f"{server.url}/health", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            # Waiting for a process to start is not timing it: nothing is asserted about how long.
            try:
                server.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    raise AssertionError(f"The server did not answer:\n{server.log()}")
