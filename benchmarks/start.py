"""How long a server and the command line take to start."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np

__all__ = ["start"]

ROUNDS = 5
ROOT = Path(__file__).parent.parent
_CLV = (sys.executable, "-m", "clv")
_PATIENCE_S = 60.0
_PASSENGER = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
_OPENER = build_opener(ProxyHandler({}))
_FIRST_HEALTH = "`clv serve` to the first 200 of `/health`"
_FIRST_PREDICTION = "`clv serve` to the first 200 of `/api/predict`"
_SECOND_PREDICTION = "the second `/api/predict`"
#: Seconds that each is promised to stay under.
_PROMISED = {
    _FIRST_HEALTH: 1.2,
    _FIRST_PREDICTION: 2.0,
    _SECOND_PREDICTION: 0.1,
    "`clv --help`": 0.3,
    "`clv models list`": 1.0,
}

_METHOD = (
    "Processes of their own with the libraries in the file cache and a "
    f"copy of the champion's bundle from the last start; medians of {ROUNDS} rounds. CPU seconds "
    "are the process's own until then."
)

Taken = tuple[float, float]


def start(home: Path) -> str:
    """The section; `home` is a CLV_HOME with a champion.

    The round before the first is not counted: it brings the libraries into the file cache and
    keeps the champion's bundle for a restart.
    """
    variables = {
        **os.environ,
        "CLV_HOME": str(home),
        "CLV_DATABASE_URL": f"sqlite:///{home / 'start.sqlite'}",  # of its own: without keys
        "CLV_LOG_LEVEL": "WARNING",
    }
    variables.pop("MLFLOW_TRACKING_URI", None)
    taken: dict[str, list[Taken]] = {name: [] for name in _PROMISED}
    for counted in (False, *[True] * ROUNDS):
        found = {
            **_served(variables),
            "`clv --help`": _run(variables, "--help"),
            "`clv models list`": _run(variables, "models", "list"),
        }
        if counted:
            for name, seconds in found.items():
                taken[name].append(seconds)
    lines = [
        "## Starting",
        "",
        _METHOD,
        "",
        "| | wall (s) | CPU (s) | promised wall (s) |",
        "|---|--:|--:|--:|",
    ]
    for name, rounds in taken.items():
        wall, cpu = np.median(rounds, axis=0)
        lines.append(f"| {name} | {wall:.3f} | {cpu:.2f} | under {_PROMISED[name]:g} |")
    return "\n".join([*lines, ""])


def _run(variables: dict[str, str], *arguments: str) -> Taken:
    """Wall and CPU seconds of a command."""
    before, began = os.times(), time.perf_counter()
    subprocess.run([*_CLV, *arguments], env=variables, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - began, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    return wall, cpu


def _served(variables: dict[str, str]) -> dict[str, Taken]:
    """Wall and CPU seconds of a server until it answered each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    began = time.perf_counter()
    with subprocess.Popen([*_CLV, "serve", "--port", str(port)], env=variables) as process:
        try:

            def until(call: Callable[[], None]) -> Taken:
                _wait(process, call)
                return time.perf_counter() - began, _cpu_s(process)

            health = until(lambda: _ask(port, "/health"))
            first = until(lambda: _ask(port, "/api/predict", _PASSENGER))
            second = until(lambda: _ask(port, "/api/predict", _PASSENGER))
        finally:
            process.terminate()
    return {
        _FIRST_HEALTH: health,
        _FIRST_PREDICTION: first,
        _SECOND_PREDICTION: (second[0] - first[0], second[1] - first[1]),
    }


def _wait(process: "subprocess.Popen[bytes]", call: Callable[[], None]) -> None:
    """Until the server answers well."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended as it started")
        try:
            call()
        except HTTPError as error:
            if error.code != 503:  # nothing but a model that is not there yet
                raise
            time.sleep(0.01)
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"{process.args} did not answer")


def _ask(port: int, path: str, body: dict[str, float] | None = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    _OPENER.open(request, timeout=_PATIENCE_S).close()


def _cpu_s(process: "subprocess.Popen[bytes]") -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
