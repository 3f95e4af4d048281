"""How long a handler that comes back takes until every partition has answered, with many executions open."""

import signal
import time
from pathlib import Path
from typing import Any, Final

from bench.cluster import PARTITIONS, Cluster
from bench.handlers import handlers, stop
from bench.workload import TYPES, command, execution_id
from service.contracts.topics import HANDLER_GROUP
from service.kafka.murmur2 import partition_of

_RUN: Final = "restart"
_DEADLINE_SECONDS: Final = 300
_HOW: Final = {"sigterm_s": signal.SIGTERM, "kill_9_s": signal.SIGKILL}


def restart(cluster: Cluster, executions: int, log: Path) -> dict[str, Any]:
    """Seconds from the start of the new process to the last partition's first event.

    After SIGTERM the group knows that the old one has left; after kill -9 it first waits for the session to end.
    """
    cluster.empty(commands=True)
    cluster.publish_definition()
    total = cluster.fill(command(number, TYPES[0], _RUN) for number in range(executions))
    result: dict[str, Any] = {"what": "restart", "who": "ours", "open_executions": executions}
    commands = iter(TYPES[1:])
    deadline = time.monotonic() + _DEADLINE_SECONDS
    follower = cluster.consumer(**{"group.id": HANDLER_GROUP})
    for name, how in _HOW.items():
        with handlers(cluster.servers, 1, log) as running:
            while cluster.committed(follower) < total and time.monotonic() < deadline:
                time.sleep(0.2)
            stop(running, how)
        total += cluster.fill(command(number, next_type, _RUN) for next_type in [next(commands)] for number in _ones())
        result[name] = _recovery(cluster, log)
    follower.close()
    return result


def _ones() -> list[int]:
    """The number of one execution for each partition."""
    numbers: dict[int, int] = {}
    number = 0
    while len(numbers) < PARTITIONS:
        numbers.setdefault(partition_of(execution_id(number, _RUN).encode(), PARTITIONS), number)
        number += 1
    return list(numbers.values())


def _recovery(cluster: Cluster, log: Path) -> float:
    reader = cluster.event_reader()
    began, seen = time.monotonic(), set[int | None]()
    with handlers(cluster.servers, 1, log):
        while len(seen) < PARTITIONS and time.monotonic() < began + _DEADLINE_SECONDS:
            message = reader.poll(0.05)
            if message is not None and message.error() is None:
                seen.add(message.partition())
        seconds = time.monotonic() - began
    reader.close()
    return round(seconds, 2)
