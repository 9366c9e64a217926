"""Processes of Python that need not import first what takes seconds to import.

A warm process imports once what many others need, and becomes each of them by a fork. Such a
process is as real as one that was started cold: it has a pid, files, signals, limits and an exit
code of its own, and what it runs runs at the top of `__main__`, so that it also ends as usual.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

__all__ = ["Forked", "Warm"]

# Who is forked leaves the loop and goes on below it. Whoever was forked ends with the warm process,
# and that with its parent, whose end closes the connection.
_LOOP = """
import json, os, signal, socket, sys
connection = socket.socket(fileno=int(sys.argv[1]))
signal.signal(signal.SIGINT, signal.SIG_IGN)
children = set()
connection.sendall(b"warm\\n")
while True:
    message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    if not message:
        for child in children:
            os.kill(child, signal.SIGKILL)
        os._exit(0)
    request = json.loads(message)
    if "pid" in request:
        pid, status = os.waitpid(request["pid"], os.WNOHANG)
        children.discard(pid)
        connection.sendall(b"%d\\n" % os.waitstatus_to_exitcode(status) if pid else b"runs\\n")
        continue
    if not (pid := os.fork()):
        break
    children.add(pid)
    for file in files:
        os.close(file)
    connection.sendall(b"%d\\n" % pid)
connection.close()
for number, file in enumerate(files):
    os.dup2(file, number)
    os.close(file)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.clear()
os.environ.update(request["environment"])
if request["folder"]:
    os.chdir(request["folder"])
sys.argv[:] = request["arguments"]
"""

# What was worked out of the environment when it was imported, is worked out of the new one, and
# what tells processes apart is drawn anew.
_ANEW = """
import importlib, tempfile, time
import clv.offline
importlib.reload(clv.offline)
if "clv.service.logs" in sys.modules:
    sys.modules["clv.service.logs"]._PREFIX = os.urandom(8).hex()
tempfile.tempdir = None
time.tzset()
exec(compile(request["code"], "<string>", "exec"))
"""

# Whoever sets one of these means the start of Python or of MLflow, which a warm process has behind
# it.
_OF_A_START = ("PYTHON", "LD_", "MLFLOW_")
_MAY_CHANGE = "MLFLOW_TRACKING_URI"


class Forked:
    """A process that was forked from a warm one, with what tests use of `subprocess.Popen`."""

    def __init__(self, warm: "Warm", pid: int, arguments: Sequence[str]) -> None:
        self.pid = pid
        self.args = list(arguments)
        self.returncode: int | None = None
        self._warm = warm

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._warm.status(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """As of `Popen`; a process that ended is a zombie until this or `poll` is asked."""
        end = float("inf") if timeout is None else time.monotonic() + timeout
        delay = 0.001
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(delay)
            delay = min(2 * delay, 0.02)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Warm:
    """Processes that have run `preparation` already; it must start no threads and open no files.

    The warm process starts when first needed and ends with this one, whichever way that ends.
    """

    def __init__(self, preparation: str) -> None:
        self._preparation = preparation
        self._lock = threading.RLock()
        self._connection: socket.socket | None = None
        self._environment: dict[str, str] = {}

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a process with this environment may be forked, or has to start cold."""
        self._connected()
        names = set(self._environment) | set(environment)
        return not any(
            name.startswith(_OF_A_START)
            and name != _MAY_CHANGE
            and environment.get(name) != self._environment.get(name)
            for name in names
        )

    def start(
        self,
        code: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
        folder: Path | None = None,
    ) -> Forked:
        """Run `code`, whose `sys.argv` are the arguments."""
        request = {
            "code": code,
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder or Path.cwd()),
        }
        with self._lock, Path(os.devnull).open("rb") as nothing:
            files = [nothing.fileno(), stdout.fileno(), stderr.fileno()]
            pid = int(self._ask(request, files))
        return Forked(self, pid, arguments)

    def run(
        self,
        code: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
        timeout: float = 120,
    ) -> "subprocess.CompletedProcess[str]":
        """Run `code` to its end; what it wrote is captured."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.start(
                code, arguments, environment=environment, stdout=out, stderr=err, folder=folder
            )
            try:
                process.wait(timeout)
            except BaseException:
                process.kill()
                process.wait()
                raise
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        assert process.returncode is not None
        return subprocess.CompletedProcess(process.args, process.returncode, *texts)

    def status(self, pid: int) -> int | None:
        """Exit code of a process, or None while it runs."""
        with self._lock:
            answer = self._ask({"pid": pid}, [])
        return None if answer == "runs" else int(answer)

    def _ask(self, request: Mapping[str, Any], files: list[int]) -> str:
        connection = self._connected()
        socket.send_fds(connection, [json.dumps(request).encode()], files)
        return connection.recv(100).decode().strip()

    def _connected(self) -> socket.socket:
        with self._lock:
            if self._connection is None:
                # Messages keep their bounds.
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self._environment = dict(os.environ)
                with theirs:
                    process = subprocess.Popen(
                        [
                            sys.executable,
                            "-c",
                            self._preparation + _LOOP + _ANEW,
                            str(theirs.fileno()),
                        ],
                        pass_fds=[theirs.fileno()],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                    )
                greeting = ours.recv(100)
                assert greeting == b"warm\n", f"The warm process ended: {process.wait()}"
                self._connection = ours
                atexit.register(self._end, process)
            return self._connection

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        assert self._connection is not None
        with contextlib.suppress(OSError):
            self._connection.close()
        process.wait()
