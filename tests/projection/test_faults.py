"""What the projector does when its neighbours fail: it waits, it says so, it skips nothing."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from service.contracts.topics import EVENTS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of
from service.ports.errors import ForeignStoreError, UnavailableError
from service.ports.positions import PartitionPosition
from service.ports.projection_store import EventRow
from service.projection import lag
from service.projection import projector as projector_module
from service.projection.projector import Projector
from tests.projection.stage import ALL, PARTITIONS, Delegating, Stage, until, whole
from tests.queries.lives import life


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Failing(Delegating):
    """Down for a while: events and positions in turn; the last failing insert happens, but is not acknowledged."""

    failures = 0

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        await self._disturbed(0, super().insert_events(rows, token))

    async def write_positions(self, positions: Sequence[PartitionPosition]) -> None:
        await self._disturbed(1, super().write_positions(positions))

    async def _disturbed(self, turn: int, insert: Coroutine[Any, Any, None]) -> None:
        if self.failures < 4 and self.failures % 2 == turn:
            self.failures += 1
            if self.failures > 2:
                await insert
            else:
                insert.close()
            raise UnavailableError("down")
        await insert


async def test_while_clickhouse_is_down_it_alarms_and_afterwards_nothing_is_missing(stage: Stage) -> None:
    lives = [life(number) for number in range(50)]
    await stage.publish(event for events in lives for event in events)
    failing = Failing(stage.store)
    before = metric("taskexec_projector_interruptions_total", error="UnavailableError")
    with capture_logs() as logs:
        async with stage.projecting(failing):
            await stage.caught_up()
    assert await stage.projected() == whole(lives)
    assert metric("taskexec_projector_interruptions_total", error="UnavailableError") == before + 4
    alarms = [entry for entry in logs if entry["event"] == "projection_interrupted"]
    assert [(alarm["log_level"], alarm["error"]) for alarm in alarms] == [("error", "down")] * 4


async def test_while_kafka_is_down_answers_grow_old_and_afterwards_nothing_is_missing(
    stage: Stage, broker: EmbeddedBroker
) -> None:
    first, second = [life("before")], [life("after")]
    async with stage.projecting():
        await stage.publish(first[0])
        await stage.caught_up()
        await broker.kill()
        killed = time.time()

        async def committed_twice_since() -> bool:
            return metric("taskexec_projector_last_commit_timestamp_seconds") > killed + 1.5

        await until(committed_twice_since)
        assert max(position.as_of for position in (await stage.positions()).values()) <= killed * 1000
        await broker.start()
        await stage.producer.stop()
        async with Stage.prepared(broker.bootstrap_servers, stage.driver) as again:
            await again.publish(second[0])
            await until(again.visible)
        await stage.caught_up()
    assert await stage.projected() == whole(first + second)


async def test_kafka_may_be_down_at_the_start(stage: Stage, broker: EmbeddedBroker) -> None:
    lives = [life("early")]
    await stage.publish(lives[0])
    await until(stage.visible)
    await broker.kill()
    before = metric("taskexec_projector_interruptions_total", error="KafkaConnectionError")

    async def noticed() -> bool:
        return metric("taskexec_projector_interruptions_total", error="KafkaConnectionError") > before

    async with stage.projecting():
        await until(noticed)
        await broker.start()
        await stage.caught_up()
    assert await stage.projected() == whole(lives)


async def test_a_gap_is_reported_and_the_rest_projected(stage: Stage, broker: EmbeddedBroker) -> None:
    lost, kept = life("lost"), life("lost")[2:]
    await stage.publish(lost[:2])
    await stage.publish(kept)
    partition = partition_of(lost[0].execution_id.encode(), PARTITIONS)
    start = stage.published[partition][-1]
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    await admin.delete_records({TopicPartition(EVENTS_TOPIC, partition): RecordsToDelete(before_offset=start)})
    await admin.close()
    before = metric("taskexec_projector_offsets_missed_total", topic=EVENTS_TOPIC)
    with capture_logs() as logs:
        async with stage.projecting():
            await stage.caught_up()
    (report,) = [entry for entry in logs if entry["event"] == "records_missed"]
    assert (report["log_level"], report["topic"], report["partition"]) == ("error", EVENTS_TOPIC, partition)
    assert (report["first"], report["last"]) == (start - 3, start - 1)  # two events and their marker
    assert metric("taskexec_projector_offsets_missed_total", topic=EVENTS_TOPIC) == before + 3
    assert await stage.events_stored() == 1


async def test_a_record_that_cannot_be_read_stops_its_partition_loudly_and_no_other(stage: Stage) -> None:
    lives = [life(number) for number in range(30)]
    await stage.publish(event for events in lives for event in events)
    poisoned = TopicPartition(EVENTS_TOPIC, 0)
    offset = await stage.publish_raw(EVENTS_TOPIC, b"{}", [("ce_type", b"TaskExecutionStarted")], partition=0)
    late = [life(("late", number)) for number in range(30)]
    await stage.publish(event for events in late for event in events)
    with capture_logs() as logs:
        for alarms in (1, 2):  # a restart changes nothing
            async with stage.projecting():

                async def alarmed(wanted: int = alarms) -> bool:
                    return [entry["event"] for entry in logs].count("partition_blocked") == wanted

                async def others_go_on(since: int) -> bool:
                    now = await stage.positions()
                    return all(now[partition].as_of > since for partition in ALL if partition != poisoned)

                await until(alarmed)
                await until(partial(others_go_on, round(time.time() * 1000)))  # what was under way then is written
                await stage.caught_up([partition for partition in ALL if partition != poisoned])
                blocked = (await stage.positions())[poisoned]
                assert (blocked.offset, blocked.lag > 0) == (offset - 1, True)
                assert metric("taskexec_projector_blocked", topic=EVENTS_TOPIC, partition="0") == 1

                await until(partial(others_go_on, blocked.as_of + 1000))
                later = [life(("later", alarms, number)) for number in range(30)]
                await stage.publish(event for events in later for event in events)
                await stage.caught_up([partition for partition in ALL if partition != poisoned])
                assert (await stage.positions())[poisoned] == blocked
                late += later
    for alarm in (entry for entry in logs if entry["event"] == "partition_blocked"):
        assert alarm["log_level"] == "error"
        assert f"{EVENTS_TOPIC}/0/{offset}: " in alarm["flaw"]
    readable = [
        events for events in late if partition_of(events[0].execution_id.encode(), PARTITIONS) != poisoned.partition
    ]
    assert await stage.projected() == whole(lives + readable)


async def test_clickhouse_ahead_of_kafka_is_refused(stage: Stage) -> None:
    await stage.store.write_positions([PartitionPosition(EVENTS_TOPIC, 1, 10**9, 10**9 + 1, 0)])
    with pytest.raises(ForeignStoreError, match="drop the ClickHouse tables"):
        await asyncio.wait_for(Projector(stage.store, Kafka(stage.bootstrap_servers), PARTITIONS).run(), 30)


class Hanging(Delegating):
    """Does not answer any more, as a server that is frozen."""

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:  # noqa: ARG002 - as in the port
        await asyncio.Event().wait()


async def test_while_the_store_hangs_it_is_not_ready_and_the_lag_is_what_kafka_says(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "_SILENT_SECONDS", 1.0)
    monkeypatch.setattr(lag, "PERIOD_SECONDS", 0.1)
    kafka = Kafka(stage.bootstrap_servers)
    projector = Projector(Hanging(stage.store), kafka, PARTITIONS)
    watching = asyncio.create_task(lag.watch_lag(kafka, lambda: projector.next_offsets))
    running = asyncio.create_task(projector.run())
    lives = [life(number) for number in range(40)]
    try:
        await stage.publish(event for events in lives for event in events)

        async def told() -> bool:
            behind = sum(
                metric("taskexec_projector_lag_offsets", topic=EVENTS_TOPIC, partition=str(number))
                for number in range(PARTITIONS)
            )
            return behind >= 120 and "has written nothing for" in projector.readiness.detail

        await until(told)
        assert not projector.readiness.ready
    finally:
        for task in (running, watching):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
