"""Requests a second over loopback, beside an empty route and the published way."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clv.data.simulate import simulate

__all__ = ["Server", "http", "serving"]

CONNECTIONS = 32
ROUNDS = 5
SECONDS = 4.0
WARM_UP_S = 1.0
BATCH = 10_000
ROOT = Path(__file__).parent.parent
_EMPTY, _OURS, _PUBLISHED = "an empty FastAPI route", "`POST /api/predict`", "the published way"


@dataclass(frozen=True)
class Figures:
    """Of one server in one round."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the server, a request


@dataclass(frozen=True)
class Server:
    """A running one; `load` asks it from a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    key: str = ""

    @property
    def address(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}"

    def load(self, bodies: list[bytes], path: str, connections: int) -> Figures:
        """Send the bodies again and again over so many connections, for a while."""
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        if self.key:
            head += f"Authorization: Bearer {self.key}\r\n"
        requests = [f"{head}Content-Length: {len(one)}\r\n\r\n".encode() + one for one in bodies]
        plan = {
            "port": self.port,
            "connections": connections,
            "seconds": SECONDS,
            "warm_up_s": WARM_UP_S,
            "requests": [base64.b64encode(one).decode() for one in requests],
        }
        before = self._cpu_s()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load"],
            input=json.dumps(plan),
            text=True,
            capture_output=True,
            check=True,
            cwd=ROOT,
            timeout=120,
        )
        cpu_s = self._cpu_s() - before
        found = json.loads(done.stdout)
        if found["failures"]:
            raise RuntimeError(f"{found['failures']} failed, as {found['first_failure']}")
        asked = found["requests"] * (SECONDS + WARM_UP_S) / SECONDS
        return Figures(found["per_s"], found["p50_ms"], found["p99_ms"], cpu_s / asked * 1e6)

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def http(home: Path) -> str:
    """The section; `home` is a CLV_HOME with a champion."""
    with ExitStack() as running:
        servers = {
            _EMPTY: running.enter_context(serving("-m", "benchmarks.servers", "empty")),
            _OURS: running.enter_context(_clv(home)),
            _PUBLISHED: running.enter_context(serving("-m", "benchmarks.servers", "published")),
        }
        singles, batch = _bodies()
        rounds: dict[str, list[Figures]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, server in servers.items():
                rounds[name].append(server.load(singles, "/api/predict", CONNECTIONS))
        batches = [servers[_OURS].load([batch], "/api/predict/batch", 2) for _ in range(ROUNDS)]
    rows_per_s = float(np.median([one.per_s for one in batches])) * BATCH
    return "\n".join([*_table(rounds), "", *_promises(rounds, rows_per_s), ""])


def _table(rounds: dict[str, list[Figures]]) -> Iterator[str]:
    yield "## Over HTTP"
    yield ""
    yield (
        f"One worker, {CONNECTIONS} connections on loopback, the load from a process of its own on "
        "the same two cores; in turns, medians of "
        f"{ROUNDS} rounds of {SECONDS:g} s, ratios within a round. Ours validates, asks for an API "
        "key, counts metrics and has each row committed to SQLite with `synchronous=FULL` before "
        "it answers."
    )
    yield ""
    yield "| | requests/s | of the empty route | p50 (ms) | p99 (ms) | CPU a request (µs) |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, figures in rounds.items():
        p50, p99, cpu = (
            float(np.median([getattr(one, field) for one in figures]))
            for field in ("p50_ms", "p99_ms", "cpu_us")
        )
        share = _ratio(rounds, name, _EMPTY, "per_s")
        per_s = float(np.median([one.per_s for one in figures]))
        yield f"| {name} | {per_s:,.0f} | {share:.3f} | {p50:.1f} | {p99:.1f} | {cpu:,.0f} |"


def _promises(rounds: dict[str, list[Figures]], rows_per_s: float) -> Iterator[str]:
    yield "| promised | measured |"
    yield "|---|--:|"
    share = _ratio(rounds, _OURS, _EMPTY, "per_s")
    yield f"| at least 0.45 of the empty route's throughput | {share:.2f} |"
    times = _ratio(rounds, _OURS, _PUBLISHED, "per_s")
    yield f"| at least 30 times the published way | {times:.0f} times |"
    slow = _ratio(rounds, _OURS, _EMPTY, "p99_ms")
    yield f"| p99 under 10 times the empty route's | {slow:.1f} times |"
    yield (
        f"| batches of {BATCH:,}: at least 30,000 rows/s scored and tracked | {rows_per_s:,.0f} |"
    )


def _ratio(rounds: dict[str, list[Figures]], one: str, other: str, field: str) -> float:
    pairs = zip(rounds[one], rounds[other], strict=True)
    return float(np.median([getattr(a, field) / getattr(b, field) for a, b in pairs]))


def _bodies() -> tuple[list[bytes], bytes]:
    table = next(iter(simulate(BATCH))).activity
    asked = [
        {
            "id": row["id"],
            "recency_7": row["recency_7"],
            "frequency_7": row["frequency_7"],
            "monetary_7": row["monetary_value_7"],
        }
        for row in table.to_pylist()
    ]
    singles = [json.dumps(one).encode() for one in asked[:2_000]]
    rows = [{**asked[k % len(asked)], "id": k} for k in range(BATCH)]
    return singles, json.dumps({"passengers": rows}).encode()


@contextmanager
def _clv(home: Path) -> Iterator[Server]:
    variables = {**os.environ, "CLV_HOME": str(home), "CLV_LOG_LEVEL": "WARNING"}
    made = subprocess.run(
        [sys.executable, "-m", "clv", "keys", "create", "bench", "--scope", "predict"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    with serving("-m", "clv", "serve", "--port", variables=variables) as server:
        yield Server(server.process, server.port, made.stdout.strip())


@contextmanager
def serving(*command: str, variables: dict[str, str] | None = None) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with subprocess.Popen([sys.executable, *command, str(port)], env=variables) as process:
        try:
            _wait(process, port)
            yield Server(process, port)
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended as it started")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args} did not listen")
