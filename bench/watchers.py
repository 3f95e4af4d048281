"""Many who follow events over HTTP, in one process; prints what they were told, as a line of JSON, when its input ends.

`python -m bench.watchers PORT READERS`: a further reader never reads. One in fifty notes how late each event came.
"""

import asyncio
import json
import re
import resource
import sys
import time
from contextlib import suppress
from datetime import datetime
from statistics import quantiles
from typing import Final

_ONE_IN: Final = 50
_TIME: Final = re.compile(rb'data: \{"type":"[A-Za-z]+","time":"([^"]+)"')
_REQUEST: Final = b"GET /api/v1/task-executions/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def _watch(port: int, told: list[int], late: list[float] | None) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(_REQUEST)
    await reader.readuntil(b"retry: 2000")
    told[1] += 1
    while piece := await reader.read(1 << 18):
        now = time.time()
        told[0] += piece.count(b"\ndata: ")
        if late is not None:
            times = [datetime.fromisoformat(found.decode()).timestamp() for found in _TIME.findall(piece)]
            late += [now - at for at in times]


async def main(port: int, readers: int) -> None:
    """Follow until the input ends."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    told, late = [0, 0], list[float]()
    _, slow = await asyncio.open_connection("127.0.0.1", port, limit=1)
    slow.write(_REQUEST)
    watching = []
    for number in range(readers):
        watching.append(asyncio.create_task(_watch(port, told, late if number % _ONE_IN == 0 else None)))
        await asyncio.sleep(0.002)
    while told[1] < readers:  # noqa: ASYNC110 - the service opens them
        await asyncio.sleep(0.1)
    print(json.dumps({"open": told[1]}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "begin":
            told[0] = 0
            late.clear()
        else:
            cuts = quantiles(late, n=100) if len(late) > 1 else [0.0] * 99
            figures = {"messages": told[0], "p50_ms": round(cuts[49] * 1000), "p99_ms": round(cuts[98] * 1000)}
            print(json.dumps(figures), flush=True)
    for task in watching:
        task.cancel()
    with suppress(Exception):
        await asyncio.gather(*watching, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
