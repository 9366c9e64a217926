"""What was acknowledged is there, whatever happens to the process."""

import asyncio
import subprocess
import sys

from clv.tracking import DatabaseRequestLog, open_request_log

SERVER = """
import asyncio, sys
from datetime import UTC, datetime
from clv.tracking import TrackedRequest, open_request_log

moment = datetime(2026, 1, 1, tzinfo=UTC)
SAID = 1, 1, 8.5, 14.28, 5.78, 0.1593, 0.9, 8.5, 26.11, 2, True


async def client(log, numbers):
    for number in numbers:
        await log.append([TrackedRequest(number, *SAID, "3", moment)])
        print(number, flush=True)


async def main():
    log = open_request_log(sys.argv[1], 1000)
    await asyncio.gather(*(client(log, range(k, 1_000_000, 8)) for k in range(8)))


asyncio.run(main())
"""


def test_a_prediction_that_was_answered_survives_kill_dash_nine(database_url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, database_url], stdout=subprocess.PIPE, text=True
    ) as server:
        acknowledged = [server.stdout.readline() for _ in range(200)]
        server.kill()
        # What it still got out before it died counts, except for a line that was cut off.
        rest = server.stdout.read()
    acknowledged += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]

    async def look(log: DatabaseRequestLog) -> list[int]:
        try:
            return [await log.count(int(number)) for number in acknowledged]
        finally:
            await log.close()

    assert asyncio.run(look(open_request_log(database_url, 10))) == [1] * len(acknowledged)
