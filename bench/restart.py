"""How long a handler that comes back takes until every partition has answered, with many executions open."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer

from bench.cluster import PARTITIONS, Cluster
from bench.handlers import handler, stop
from bench.workload import TYPES, command, execution_id
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
    follower = cluster.follower()
    deadline = time.monotonic() + _DEADLINE_SECONDS
    with ExitStack() as stack:
        running = stack.enter_context(handler(cluster.servers, log))
        while cluster.committed(follower) < total and time.monotonic() < deadline:
            time.sleep(0.2)
        follower.close()
        for (name, how), next_type in zip(_HOW.items(), TYPES[1:], strict=True):
            stop(running, how)
            reader = cluster.event_reader()
            cluster.fill(command(number, next_type, _RUN) for number in ones(_RUN))
            began = time.monotonic()
            running = stack.enter_context(handler(cluster.servers, log))
            result[name] = first_answers(reader, began, _DEADLINE_SECONDS)
    return result


def ones(run: str) -> list[int]:
    """The number of one execution for each partition."""
    numbers: dict[int, int] = {}
    number = 0
    while len(numbers) < PARTITIONS:
        numbers.setdefault(partition_of(execution_id(number, run).encode(), PARTITIONS), number)
        number += 1
    return list(numbers.values())


def first_answers(reader: Consumer, began: float, deadline: float) -> float:
    """Seconds until an event of every partition was seen; the reader is then closed."""
    seen: set[int | None] = set()
    while len(seen) < PARTITIONS and time.monotonic() < began + deadline:
        message = reader.poll(0.05)
        if message is not None and message.error() is None:
            seen.add(message.partition())
    reader.close()
    return round(time.monotonic() - began, 2)
