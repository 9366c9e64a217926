"""Mutated requests over all routes of a service, as bytes on a socket, each answer looked at.

Usable by hand: `python -m support.fuzz PORT PID REQUESTS [SEED]` from the folder of the tests.
"""

import contextlib
import json
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["TARGETS", "Findings", "fuzz", "resident_kib"]

_CONNECTIONS = 8
_PATIENCE_S = 120
_WARM_UP = 0.3

_PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}
_LIST = b"id,recency_7,frequency_7,monetary_value_7\n1,1,1,8.5\n2,7,4,80\n3,0,0,0\n"
_TERMS = b"margin=0.25&cost=1.5"
_JSON, _CSV, _FORM = (
    b"application/json",
    b"text/csv",
    b"application/x-www-form-urlencoded",
)


def _document(value: object) -> bytes:
    return json.dumps(value).encode()


# Method, target, type of the body, body: one that is right for each route.
_REQUESTS: tuple[tuple[bytes, bytes, bytes, bytes], ...] = (
    *((b"GET", path, b"", b"") for path in (
        b"/health", b"/ready", b"/metrics", b"/docs", b"/redoc", b"/openapi.json", b"/",
        b"/campaign", b"/predict", b"/model", b"/model/report", b"/monitoring", b"/reality",
        b"/activity",
        b"/signin?next=/model",
        b"/static/page.css", b"/api/models", b"/api/models/history", b"/api/monitoring",
        b"/api/requests/7",
        b"/api/requests/7/latest", b"/api/activity?from=2026-01-01", b"/api/explain",
        b"/api/explain?recency_7=3&frequency_7=2&monetary_7=41.5",
    )),
    (b"POST", b"/api/predict", _JSON, _document(_PASSENGER | {"level": 0.8})),
    (b"POST", b"/api/predict/tryout", _JSON, _document(_PASSENGER)),
    (b"POST", b"/predict", _FORM, b"recency_7=3&frequency_7=2&monetary_7=41%2C50&id=7"),
    (b"POST", b"/api/predict/batch", _JSON, _document({"passengers": [_PASSENGER] * 5})),
    (b"POST", b"/api/outcomes", _JSON, _document({"outcomes": [{"id": 7, "monetary_30": 50.0}]})),
    (b"POST", b"/api/segments/evaluate", _JSON,
        _document({"passengers": [_PASSENGER] * 3, "margin": 0.25, "cost": 2.5, "level": 0.9})),
    (b"POST", b"/api/segments/evaluate?" + _TERMS, _CSV, _LIST),
    (b"POST", b"/campaign/preview?name=list.csv", _CSV, _LIST),
    (b"POST", b"/campaign/judge?" + _TERMS, _CSV, _LIST),
    (b"POST", b"/campaign/chosen?customers=2&" + _TERMS, _CSV, _LIST),
    (b"POST", b"/api/models/1/promote", _JSON, b'{"reason": "tried"}'),
    (b"POST", b"/api/models/1/rollback", _JSON, b""),
    (b"POST", b"/signin", _FORM, b"key=none&next=/model"),
    (b"POST", b"/signout", _FORM, b""),
    (b"POST", b"/reset", b"", b""),
)  # fmt: skip

_TOKENS = (
    b"", b"0", b"-1", b"1e400", b"NaN", b"Infinity", b"9007199254740993.0", b"9" * 400, b"null",
    b"true", b"[]", b"{}", b'"', b"\\", b"\x00", b"\xff\xfe", b"\r\n", b"%00", b"%0d%0a", b"..%2f",
    b"../../etc/passwd", b"'; DROP TABLE requests;--", b"<script>", b"{{7*7}}", b"\xed\xa0\x80",
    b'"\\ud800"', b"=1+1", b",", b";", b"?", b"&", b"=", b"#", b"//", b"*", b"a" * 5_000, b"1" * 19,
)  # fmt: skip
_HEADERS = (
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings", b"Transfer-Encoding: chunked",
    b"Expect: 100-continue", b"Origin: http://evil.example", b"Sec-Fetch-Site: cross-site",
    b"Host: evil.example", b"X-Request-ID: \xff", b"Cookie: clv_key=x; clv_key=y",
    b"Authorization: Basic eDp5", b"Content-Length: 3", b"Accept: text/html", b"Range: bytes=0-1",
    b"X-Forwarded-For: ::1", b"X-Long: " + b"x" * 3_000, b"Content-Type: text/csv",
    b"Content-Encoding: gzip", b"Accept-Encoding: gzip",
)  # fmt: skip
_METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"get")

_LAST = b"\r\n\r\nGET /health HTTP/1.1\r\nConnection: close\r\n\r\n"

# What no answer may hold unless it was sent: paths, statements, modules.
_LEAKS = re.compile(
    rb"/(?:home|root|tmp|usr|opt|var|etc|work)/[\w.-]+|\b(?:SELECT|INSERT INTO|DELETE FROM|UPDATE)"
    rb" \w+|Traceback \(most|site-packages|\w+\.py\b|\bsqlalchemy\b|\bsqlite3\b|\bpsycopg\b"
)

#: Method and path of each request.
TARGETS = frozenset(
    (method.decode(), target.decode().partition("?")[0]) for method, target, _, _ in _REQUESTS
)
_NO_LEAKS = (b"/docs", b"/redoc", b"/openapi.json", b"/static", b"/model/report")


@dataclass
class Findings:
    """What became of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    warm_kib: int = 0
    end_kib: int = 0


def fuzz(
    port: int, pid: int, requests: int, *, keys: Sequence[str] = (), seed: int = 1
) -> Findings:
    """Send so many mutated requests, each of which has to be answered well or refused.

    Parameters
    ----------
    port, pid : int
        Of a service on this machine.
    requests : int
        How many to send.
    keys : sequence of str
        API keys, of which a request has one, none, or a mutated one.
    seed : int
        The same seed sends the same requests.
    """
    findings = Findings()
    warm = int(requests * _WARM_UP)
    with ThreadPoolExecutor(_CONNECTIONS) as senders:

        def send(numbers: range) -> None:
            list(senders.map(lambda number: _try(port, seed, number, keys, findings), numbers))

        send(range(warm))
        findings.warm_kib = resident_kib(pid)
        send(range(warm, requests))
        findings.end_kib = resident_kib(pid)
    return findings


def resident_kib(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def _try(port: int, seed: int, number: int, keys: Sequence[str], findings: Findings) -> None:
    chance = random.Random(f"{seed} {number}")
    request = _request(chance, keys)
    try:
        answers = list(_answers(_said(port, request)))
    except TimeoutError:
        findings.faults.append(f"request {number}: no answer within {_PATIENCE_S} s: {request!r}")
        return
    if not answers:
        findings.faults.append(f"request {number}: no answer at all: {request!r}")
    target = request.split(b" ", 2)[1] if request.count(b" ") > 1 else b""
    for status, body in answers:
        findings.statuses[status] += 1
        if status >= 500 and status != 503:
            findings.faults.append(f"request {number}: {status}: {request!r}: {body!r}")
        if target.startswith(_NO_LEAKS):
            continue
        for leak in _LEAKS.findall(body):
            # What was sent may be repeated, at the end of a sentence too.
            if leak.rstrip(b".,;:") not in request:
                findings.faults.append(f"request {number}: leaks {leak!r}: {request!r}")


def _request(chance: random.Random, keys: Sequence[str]) -> bytes:
    method, target, kind, body = chance.choice(_REQUESTS)
    if chance.random() < 0.1:
        method = chance.choice(_METHODS)
    if chance.random() < 0.4:
        target = _mutated(chance, target)
    if body and chance.random() < 0.7:
        body = _mutated(chance, body)
    headers = [b"Host: localhost", b"Connection: close"]
    if kind:
        headers.append(b"Content-Type: " + kind)
    if keys and chance.random() < 0.8:
        key = chance.choice(keys).encode()
        key = _mutated(chance, key) if chance.random() < 0.2 else key
        headers.append(b"Authorization: Bearer " + key)
    if chance.random() < 0.3:
        headers.insert(chance.randrange(len(headers) + 1), chance.choice(_HEADERS))
    if chance.random() < 0.1:
        headers.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif body or method == b"POST":
        headers.append(b"Content-Length: %d" % len(body))
    request = b"\r\n".join([b"%s %s HTTP/1.1" % (method, target), *headers, b"", body])
    return _mutated(chance, request) if chance.random() < 0.2 else request


def _mutated(chance: random.Random, text: bytes) -> bytes:
    changed = bytearray(text)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[at:at] = chance.choice(_TOKENS)
            case 1:
                del changed[at : at + chance.randrange(1, 12)]
            case 2:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                changed[at:at] = changed[at : at + chance.randrange(40)]
            case _:
                numbers = list(re.finditer(rb"[0-9.]+", changed))
                if numbers:
                    start, end = chance.choice(numbers).span()
                    changed[start:end] = chance.choice(_TOKENS)
    return bytes(changed)


def _said(port: int, request: bytes) -> bytes:
    """All that comes until the service hangs up, which it does if the request is not whole."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as connection:
        with contextlib.suppress(ConnectionError):
            # Behind what cannot be told to be whole comes another, which makes it so or breaks it.
            connection.sendall(
                request + b"\r\n\r\nGET /health HTTP/1.1\r\nConnection: close\r\n\r\n"
            )
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                said += part
        if not said:
            # Reset before it could be read, as what was sent was not read either.
            said = b"HTTP/1.1 0 Reset\r\n\r\n"
    return said


def _answers(said: bytes) -> Iterator[tuple[int, bytes]]:
    parts = re.split(rb"(?m)^HTTP/1\.1 (\d+) ", said)
    for status, answer in zip(parts[1::2], parts[2::2], strict=True):
        yield int(status), answer.partition(b"\r\n\r\n")[2]


def _main() -> None:
    port, pid, requests = map(int, sys.argv[1:4])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    findings = fuzz(port, pid, requests, keys=sys.argv[5:], seed=seed)
    for fault in findings.faults[:20]:
        sys.stdout.write(f"{fault[:2_000]}\n")
    memory = f"{findings.warm_kib} -> {findings.end_kib} KiB"
    sys.stdout.write(f"{dict(findings.statuses)}, {len(findings.faults)} faults, {memory}\n")


if __name__ == "__main__":
    _main()
