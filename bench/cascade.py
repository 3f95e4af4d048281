"""One execution fails, and very many wait for it: `python -m bench.cascade --downstream 100000 --json`.

A handler as it ships; others, at a steady rate, are watched before, and while those that waited are skipped.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from threading import Event
from typing import Annotated, Any, Final

import psutil
import typer

from bench.cluster import Cluster
from bench.handlers import handler, usage
from bench.load import Load, Repeating
from bench.workload import TASK, Written
from service.cli.progress import steps
from service.domain.identity import command_id
from service.embedded.broker import EmbeddedBroker
from service.ports.progress import Tell

_SOURCE: Final = "/bench/cascade"
_UPSTREAM: Final = "upstream"
_INPUTS: Final = {"url": "s3://bucket/a.png", "w": 640, "h": 480, "note": "x"}
_LOOK_SECONDS: Final = 0.2
_SETTLE_SECONDS: Final = 5.0


def main(
    downstream: Annotated[int, typer.Option(help="How many wait for the one that fails.")] = 100_000,
    rate: Annotated[int, typer.Option(help="Commands per second of others.")] = 200,
    seconds: Annotated[float, typer.Option(help="How long the others are watched before it fails.")] = 20,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The result as a line of JSON.")] = False,
) -> None:
    """Measure, and print what came of it."""
    with steps() as tell:
        result = asyncio.run(_on_a_broker(downstream, rate, seconds, tell))
    print(json.dumps(result) if as_json else "\n".join(f"{name:20} {value}" for name, value in result.items()))


async def _on_a_broker(downstream: int, rate: int, seconds: float, tell: Tell) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        async with EmbeddedBroker(Path(directory), 0) as broker:
            cluster, log = Cluster(broker.bootstrap_servers), Path(directory, "handler.log")
            return await asyncio.to_thread(_measured, cluster, log, (downstream, rate, seconds), tell)


def _measured(cluster: Cluster, log: Path, size: tuple[int, int, float], tell: Tell) -> dict[str, Any]:
    downstream, rate, seconds = size
    cluster.empty(commands=True)
    cluster.publish_definition()
    cluster.fill([_execute(_UPSTREAM), _told(_UPSTREAM, "StartTaskExecution")])
    with _Watch(cluster) as seen, handler(cluster.servers, log) as running:
        cluster.fill(_execute(f"downstream-{number}", waits=True) for number in range(downstream))
        _until(running, downstream + 1, lambda: seen.created, lambda done: tell("Creating", done, downstream + 1))
        time.sleep(_SETTLE_SECONDS)
        with Load(cluster, rate, seen.sent) as load:
            time.sleep(_SETTLE_SECONDS)
            cpu_at_first, _ = usage(running)
            seen.taken()
            time.sleep(seconds)
            before, (cpu, memory), began = seen.taken(), usage(running), time.monotonic()
            cluster.fill([_told(_UPSTREAM, "FailTaskExecution", errorMessage="disk full")])
            peak = _until(running, downstream, lambda: seen.skipped, lambda done: tell("Skipping", done, downstream))
            took, during, (cpu_at_last, _) = time.monotonic() - began, seen.taken(), usage(running)
            load.check()
    others = (cpu - cpu_at_first) / seconds * took
    return {
        "downstream": downstream, "seconds": round(took, 1), "skipped_per_second": round(downstream / took),
        "cpu_us_each": round((cpu_at_last - cpu - others) / downstream * 1e6, 1),
        "memory_mb_before": round(memory / 1e6), "memory_mb_peak": round(max(peak, memory) / 1e6),
        "others_per_second": rate, "others_ms_before": _percentiles(before), "others_ms_during": _percentiles(during),
    }  # fmt: skip


class _Watch(Repeating):
    """Reads what is committed: `created` and `skipped` so many; of others, how long it takes from `sent`."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(self._read)
        self.created = self.skipped = 0
        self.sent: dict[str, float] = {}
        self._waits: list[float] = []
        self._consumer = cluster.event_reader()

    def taken(self) -> list[float]:
        """The seconds that others have waited since the last call."""
        taken, self._waits = self._waits, []
        return taken

    def _read(self, stop: Event) -> None:
        while not stop.is_set():
            messages: list[Any] = self._consumer.consume(1000, 0.05)  # the library's types allow None everywhere
            now = time.time()
            for message in messages:
                if message.error() is not None:
                    continue
                headers = dict(message.headers())
                if (sent := self.sent.pop(headers["ce_causationid"].decode(), None)) is not None:
                    self._waits.append(now - sent)
                elif headers["ce_type"] == b"TaskExecutionCreated":
                    self.created += 1
                self.skipped += headers["ce_type"] == b"TaskExecutionSkipped"
        self._consumer.close()


def _until(running: psutil.Popen, wanted: int, done: Callable[[], int], tell: Callable[[int], None]) -> int:
    """Wait until so many are done; the most memory that the handler had meanwhile."""
    peak = 0
    while done() < wanted:
        if running.poll() is not None:
            raise RuntimeError("The handler has ended.")
        tell(done())
        peak = max(peak, usage(running)[1])
        time.sleep(_LOOK_SECONDS)
    tell(wanted)
    return peak


def _percentiles(waits: list[float]) -> dict[str, float]:
    found = quantiles(waits, n=100)
    return {"p50": round(found[49] * 1e3), "p99": round(found[98] * 1e3), "max": round(max(waits) * 1e3)}


def _execute(name: str, *, waits: bool = False) -> Written:
    body: dict[str, Any] = {**TASK, "inputs": _INPUTS}
    if waits:
        body["dependsOn"] = [{"executionId": command_id(_SOURCE, _UPSTREAM), "node": _UPSTREAM}]
    return _written("ExecuteTask", name, name, body)


def _told(name: str, type_: str, **body: object) -> Written:
    return _written(type_, name, f"{name}/{type_}", {"executionId": command_id(_SOURCE, name), **body})


def _written(type_: str, name: str, id_: str, body: dict[str, Any]) -> Written:
    headers = {"ce_specversion": "1.0", "ce_id": id_, "ce_source": _SOURCE, "ce_type": type_}
    encoded: list[tuple[str, str | bytes | None]] = [(key, text.encode()) for key, text in headers.items()]
    return Written(command_id(_SOURCE, name).encode(), json.dumps(body).encode(), encoded)


if __name__ == "__main__":
    typer.run(main)
