"""One chaos run: processes, client and faults together, then the check. The smoke test and longer runs share it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Final
from urllib.request import urlopen

from confluent_kafka import IsolationLevel, KafkaException
from prometheus_client.parser import text_string_to_metric_families

from service.embedded.broker import EmbeddedBroker
from service.embedded.ports import free_port
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from tests.chaos.checker import Verdict, check
from tests.chaos.client import Client
from tests.chaos.cluster import a_cluster
from tests.chaos.families import LONGEST_LEASE
from tests.chaos.faults import BROKER_KINDS, Faults
from tests.chaos.fleet import Fleet
from tests.chaos.read_side import check_clickhouse
from tests.chaos.summary import Summary
from tests.chaos.topics import Topics
from tests.chaos.workload import Workload

PARTITIONS: Final = 8
HANDLERS: Final = ("handler-a", "handler-b", "handler-c")

NOT_CAUGHT_UP: Final = "not caught up"

_SETTLE_SECONDS: Final = 150.0
_BURST_SECONDS: Final = 12.0
_TIMER_SECONDS: Final = 3.0
"""A timer may be so late."""

_COMMITS: Final = 2.0
"""The projector may know the end of a partition as it was a little earlier."""


@asynccontextmanager
async def _brokers(directory: Path, count: int) -> AsyncIterator[Sequence[EmbeddedBroker]]:
    if count == 1:
        async with EmbeddedBroker(directory, 0) as broker:
            yield [broker]
    else:
        async with a_cluster(directory) as nodes:
            yield nodes


async def run_chaos(  # noqa: PLR0913 - what a run can be told
    directory: Path,
    *,
    seed: int,
    seconds: float,
    rate: float,
    brokers: int = 1,
    source: Path | None = None,
    patience: float = _SETTLE_SECONDS,
) -> Summary:
    """Run for so many seconds under load and faults, then check everything that was written.

    `directory` is where the brokers (one or three), ClickHouse and the processes' logs are kept; it must be empty.
    `source` is the directory whose `service` package is run, if it is not ours; `patience` how long what was sent may
    take to be done.
    """
    summary, verdict = Summary(seed, seconds, brokers), Verdict()
    async with _brokers(directory, brokers) as running:
        servers = ",".join(broker.bootstrap_servers for broker in running)
        topics = Topics(servers, PARTITIONS)
        metrics_port = free_port("127.0.0.1")
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": servers, "TASKEXEC_PARTITIONS": str(PARTITIONS), "TASKEXEC_PROCESSES": "1",
            "CLICKHOUSE_DSN": f"chdb://{directory}/clickhouse", "TASKEXEC_REPLICATION_FACTOR": str(brokers),
        }  # fmt: skip
        fleet = Fleet(directory, environment, {"TASKEXEC_METRICS_PORT": str(metrics_port)}, HANDLERS[:2], source)
        try:
            await ensure_topics(Kafka(servers), PARTITIONS, brokers)
            await asyncio.to_thread(topics.create_own, brokers)
            for name in (*HANDLERS, "projector"):
                await fleet.start(name)
            await _eventually(lambda: topics.members() == len(HANDLERS))
            client = Client(servers, Workload(seed), rate)
            burst = partial(client.burst, round(rate * _BURST_SECONDS))
            positions = directory / "clickhouse/data/default/projector_position"
            faults = Faults(fleet, running, positions, Random(seed), burst)  # noqa: S311 - reproducible, not secret
            client.start()
            try:
                await faults.run(seconds)
            finally:
                await asyncio.to_thread(client.finish)
            summary.caught_up_seconds = await _eventually(topics.settled, patience)
            await _eventually(_Quiet(topics).holds, patience)
            await fleet.end_all("handler")
            await _eventually(partial(_projected, metrics_port, time.time()), patience)
            await fleet.end_all("projector")
        finally:
            fleet.kill_all()
        outages = [at for kind, at in faults.log if kind in BROKER_KINDS]
        written = await asyncio.to_thread(check, topics, client.count, PARTITIONS, verdict, outages)
        summary.rows = await asyncio.to_thread(check_clickhouse, directory / "clickhouse", written, verdict)
    for line in fleet.noise():
        verdict.blame("noise", line)
    for failure in client.failures:
        verdict.blame("not delivered", failure)
    for name in fleet.hung:
        verdict.blame("did not end on SIGTERM", name)
    if summary.caught_up_seconds is None:
        verdict.blame(NOT_CAUGHT_UP, f"after {patience} s")
    summary.describe(written, faults.log, verdict)
    summary.commands, summary.ended_by_itself = client.count, dict(fleet.ended_by_itself)
    return summary


async def _eventually(condition: Callable[[], bool], seconds: float = _SETTLE_SECONDS) -> float | None:
    """How long it took until the condition held; None: longer than we wait."""
    began = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(_holds, condition):
                await asyncio.sleep(0.2)
            return round(time.monotonic() - began, 1)
    return None


class _Quiet:
    """Whether nothing was written for longer than any timer runs: what is late by now has been seen to."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._ends: dict[tuple[str, int], int] = {}
        self._since = time.monotonic()

    def holds(self) -> bool:
        """As of now."""
        ends = self._topics.ends(IsolationLevel.READ_UNCOMMITTED)
        if ends != self._ends:
            self._ends, self._since = ends, time.monotonic()
        return time.monotonic() - self._since > LONGEST_LEASE + _TIMER_SECONDS


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (KafkaException, OSError):  # who was asked has only just started, or was killed
        return False


def _projected(metrics_port: int, since: float) -> bool:
    """Whether the projector says, later than `since`, that it has nothing left to read."""
    with urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as response:
        text = response.read().decode()
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    lags = [sample.value for sample in families["taskexec_projector_lag_offsets"]]
    (committed,) = [sample.value for sample in families["taskexec_projector_last_commit_timestamp_seconds"]]
    return committed > since + _COMMITS and len(lags) == 2 * PARTITIONS and not any(lags)
