"""A load generator, to be run in a process of its own: `python -m benchmarks.load PLAN`.

The plan is JSON on standard input: port, connections, seconds, warm-up, and the requests, as raw
bytes of HTTP/1.1. Each connection sends one after another and waits for each answer, as a client
with a pool does. Printed is JSON: requests a second, latencies, and how many answers were not 200.
"""

import asyncio
import base64
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import uvloop

__all__ = ["main"]


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last is whole."""

    def __init__(self, requests: Iterator[bytes], stop_at: float, begin_at: float) -> None:
        self._requests = requests
        self._stop_at = stop_at
        self._begin_at = begin_at
        self._buffer = b""
        self.latencies: list[float] = []
        self.failures: list[str] = []
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = self._buffer[:head].lower()
        at = lower.index(b"content-length:") + 15
        length = int(lower[at:].split(b"\r\n", 1)[0])
        if len(self._buffer) < head + 4 + length:
            return
        now = time.perf_counter()
        if self._sent_at >= self._begin_at and now <= self._stop_at:
            self.latencies.append(now - self._sent_at)
        if self._buffer[9:12] != b"200":
            self.failures.append(self._buffer[:500].decode(errors="replace"))
        self._buffer = b""
        if now < self._stop_at:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(exc)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


async def _load(plan: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    requests = itertools.cycle([base64.b64decode(one) for one in plan["requests"]])
    begin_at = time.perf_counter() + plan["warm_up_s"]
    stop_at = begin_at + plan["seconds"]
    connections = []
    for _ in range(plan["connections"]):
        _, one = await loop.create_connection(
            lambda: Connection(requests, stop_at, begin_at), "127.0.0.1", plan["port"]
        )
        connections.append(one)
    await asyncio.gather(*(one.closed for one in connections))
    latencies = np.array([latency for one in connections for latency in one.latencies])
    failures = [text for one in connections for text in one.failures]
    return {
        "requests": len(latencies),
        "per_s": len(latencies) / plan["seconds"],
        "p50_ms": float(np.quantile(latencies, 0.5)) * 1e3,
        "p99_ms": float(np.quantile(latencies, 0.99)) * 1e3,
        "failures": len(failures),
        "first_failure": failures[0] if failures else "",
    }


def main() -> None:
    print(json.dumps(uvloop.run(_load(json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
