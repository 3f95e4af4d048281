"""How long after a command is sent its event is visible to a read_committed reader, at a fixed rate."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from threading import Event, Thread
from typing import Any, Final

from bench.cluster import PARTITIONS, Cluster
from bench.handlers import handler, usage
from bench.workload import TYPES, Written, command
from service.contracts.topics import COMMANDS_TOPIC

RATE: Final = 500
_SECONDS: Final = 16
_SKIPPED_SECONDS: Final = 5
_GROUP: Final = 200
_START_SECONDS: Final = 60
_LATE_SECONDS: Final = 3


def latency(cluster: Cluster, log: Path) -> dict[str, Any]:
    """One handler, beginning with nothing, and 500 commands a second. `start_s`: from its start to its first event."""
    cluster.empty(commands=True)
    cluster.publish_definition()
    cluster.fill(command(number, TYPES[0], "start") for number in range(8 * PARTITIONS))
    sent: dict[str, float] = {}
    with _seen(cluster) as seen, handler(cluster.servers, log) as running:
        began = time.time()
        while not seen and time.time() < began + _START_SECONDS:
            time.sleep(0.01)
        started = min(seen.values()) - began
        time.sleep(_LATE_SECONDS)
        cpu_before, _ = usage(running)
        _send(cluster, sent)
        cpu, memory = usage(running)
        time.sleep(_LATE_SECONDS)
    steady = list(sent)[RATE * _SKIPPED_SECONDS :]
    waits = [(seen[id_] - sent[id_]) * 1000 for id_ in steady if id_ in seen]
    percentiles = quantiles(waits, n=100)
    return {
        "what": "latency", "who": "ours", "start_s": round(started, 2), "p50": round(percentiles[49], 1),
        "p95": round(percentiles[94], 1), "p99": round(percentiles[98], 1), "max": round(max(waits), 1),
        "cores": round((cpu - cpu_before) / _SECONDS, 2), "memory_mb": round(memory / 1e6),
        "sent": len(sent), "got": sum(id_ in seen for id_ in sent),
    }  # fmt: skip


def _send(cluster: Cluster, sent: dict[str, float]) -> None:
    """The three commands of an execution come 0.4 s apart."""
    producer = cluster.producer(**{"linger.ms": 0})
    began = time.time()
    for number, written in enumerate(_commands(RATE * _SECONDS)):
        if (wait := began + number / RATE - time.time()) > 0:
            producer.poll(0)
            time.sleep(wait)
        sent[_header(written, "ce_id")] = time.time()
        producer.produce(COMMANDS_TOPIC, written.value, written.key, headers=written.headers)
    producer.flush()


def _commands(count: int) -> Iterator[Written]:
    for number in range(count):
        group, place = divmod(number, _GROUP * len(TYPES))
        yield command(group * _GROUP + place % _GROUP, TYPES[place // _GROUP], "steady")


@contextmanager
def _seen(cluster: Cluster) -> Iterator[dict[str, float]]:
    """When the event that each command caused was seen, by the command's id; read while the context is open."""
    seen: dict[str, float] = {}
    stop = Event()
    consumer = cluster.event_reader()

    def read() -> None:
        while not stop.is_set():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                headers: Any = dict(message.headers() or [])
                seen.setdefault(headers["ce_causationid"].decode(), time.time())
        consumer.close()

    thread = Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _header(written: Written, wanted: str) -> str:
    (value,) = (value for name, value in written.headers if name == wanted and isinstance(value, bytes))
    return value.decode()
