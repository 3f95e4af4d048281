"""Opening a partition: it goes on exactly where the last owner's last transaction ended, or stays closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from service.contracts.commands import ExecuteTask
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, HANDLER_GROUP, STATE_TOPIC
from service.handling import metrics, opened
from service.handling.handler import utc_now
from service.handling.producer import start_producer, stop_producer
from service.handling.recovery import StateLostError
from service.handling.restoring import Progress, StoreRecords, restore
from service.handling.snapshots import POSITION_KEY, state_key
from service.handling.state_store import MARK_KEY
from service.handling.state_topic import ForeignTransactionError, state_topic
from service.handling.stores import StateStores
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from tests.handling.world import PARTITIONS, QUICK, SECONDS, World, eventually, execution_id, id_owned_by
from tests.ids import id_of

OTHERS = (id_of("of a foreigner"), id_of("behind it"))
EXECUTE = ExecuteTask(task_id="faults:task", task_version="1.0.0", inputs={})


@asynccontextmanager
async def transaction(world: World, transactional_id: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer in an open transaction."""
    producer = AIOKafkaProducer(bootstrap_servers=world.servers, transactional_id=transactional_id)
    await producer.start()
    try:
        await producer.begin_transaction()
        yield producer
    finally:
        await stop_producer(producer, QUICK)


async def refused(world: World, number: int) -> tuple[int, int]:
    """Write a command whose every handling leaves one more rejection: idempotency can't hide the second."""
    return await world.command({}, "NoSuchCommand", partition=number)


async def handled(world: World, place: tuple[int, int]) -> int:
    """How often the command was handled, once it was."""
    async with asyncio.timeout(SECONDS):
        while not (found := await world.rejections(place)):
            await asyncio.sleep(0.005)
    return len(found)


async def one_execution(world: World, number: int) -> str:
    """An execution that this partition remembers."""
    id_ = id_owned_by(number)
    await world.command(EXECUTE, id_=id_, partition=number)
    async with world.handler() as running:
        await running.all_open()
        await world.settled()
    return execution_id(id_)


def resets(error: type[Exception]) -> float:
    """How often this error has closed a partition."""
    return float(metrics.PARTITION_RESETS.labels(error.__name__)._value.get())


async def test_an_opening_goes_on_behind_the_last_transaction(world: World) -> None:
    places = []
    for _ in range(3):
        places += [await refused(world, number) for number in range(PARTITIONS)]
        async with world.handler():
            await world.settled()
    assert [await handled(world, place) for place in places] == [1] * len(places)


@asynccontextmanager
async def old_owner(world: World) -> AsyncIterator[tuple[AIOKafkaProducer, list[tuple[int, int]]]]:
    """An owner of partition 1 that has written everything about these commands, and has yet to commit it."""
    places = [await refused(world, 1) for _ in range(3)]
    end = places[-1][1] + 1
    async with transaction(world, f"{HANDLER_GROUP}.1") as old:
        await old.send_offsets_to_transaction({TopicPartition(COMMANDS_TOPIC, 1): end}, HANDLER_GROUP)
        await (await old.send(STATE_TOPIC, b"%d" % end, POSITION_KEY, 1))
        yield old, places


async def test_an_opening_ends_the_old_owners_open_transaction(world: World) -> None:
    async with old_owner(world) as (old, places):
        await (await old.send(EVENTS_TOPIC, b"{}", b"never-committed", 1))
        async with world.handler():
            await world.settled()
        with pytest.raises(KafkaError):
            await old.commit_transaction()
    assert [await handled(world, place) for place in places] == [1, 1, 1]
    assert await world.events("never-committed") == []


async def restored(world: World, partition: int) -> dict[bytes, bytes]:
    """What a new store has after a restore."""
    async with state_topic(world.kafka, partition, QUICK) as topic:
        records = StoreRecords(topic.origin, None, utc_now)
        store = await StateStores(None).open(records.origin, topic, utc_now())
        await restore(topic, store, records, Progress(partition, lambda: None))
    assert store.offset == topic.end
    found = dict(store._db.items())
    store.close()
    return {key: value for key, value in found.items() if key != MARK_KEY}


async def test_nothing_is_read_before_the_old_owner_is_fenced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transaction commits at the last moment: what was read earlier would be the offset and state before it."""
    lost = metrics.OFFSETS_LOST._value.get()
    async with old_owner(world) as (old, places):

        async def just_before(kafka: Kafka, transactional_id: str, timeouts: Timeouts) -> AIOKafkaProducer:
            if transactional_id == f"{HANDLER_GROUP}.1":
                await old.commit_transaction()
            return await start_producer(kafka, transactional_id, timeouts)

        monkeypatch.setattr(opened, "start_producer", just_before)
        async with world.handler() as running:
            await running.all_open()
            new = await refused(world, 1)
            assert await handled(world, new) == 1
    assert [await world.rejections(place) for place in places] == [[], [], []]
    assert metrics.OFFSETS_LOST._value.get() == lost


async def test_a_partition_stays_closed_while_a_foreign_transaction_is_open_on_its_state(world: World) -> None:
    """Behind an open transaction, records that are committed already are invisible."""
    execution, before = await one_execution(world, 2), resets(ForeignTransactionError)
    (snapshot,) = await world.snapshots(execution)
    async with transaction(world, "a-foreigner") as foreign:
        await (await foreign.send(STATE_TOPIC, snapshot.value, state_key(OTHERS[0]), 2))
        await world.write(snapshot.value, key=state_key(OTHERS[1]), partition=2, topic=STATE_TOPIC)
        async with world.handler() as running:
            await running.all_open({0, 1, 3})
            await eventually(lambda: resets(ForeignTransactionError) > before, "the opening was refused")
            assert not running.owners[2].is_open
            await foreign.commit_transaction()
            await running.all_open()
            assert running.states(2).keys() >= {execution, *OTHERS}


async def test_restoring_passes_markers_aborted_records_and_tombstones(world: World) -> None:
    """An end marker has an offset but no record: who waits for the last offset's record waits for ever."""
    execution = await one_execution(world, 3)
    (snapshot,) = await world.snapshots(execution)
    async with asyncio.timeout(SECONDS / 2):
        before = await restored(world, 3)
        async with transaction(world, "aborter") as aborter:
            await (await aborter.send(STATE_TOPIC, None, state_key(execution), 3))
            await (await aborter.send(STATE_TOPIC, snapshot.value, state_key(OTHERS[0]), 3))
            await (await aborter.send(STATE_TOPIC, b"0", POSITION_KEY, 3))
            await aborter.abort_transaction()
        await world.read(STATE_TOPIC)
        assert (await restored(world, 3)) == before
        assert state_key(execution) in before
        await world.write(None, key=state_key(execution), partition=3, topic=STATE_TOPIC)
        assert state_key(execution) not in (await restored(world, 3))


async def test_lost_group_offsets_raise_the_alarm_and_nothing_is_handled_twice(world: World) -> None:
    old = [await refused(world, number) for number in range(PARTITIONS)]
    async with world.handler():
        await world.settled()
    await asyncio.to_thread(world.admin.delete_consumer_groups([HANDLER_GROUP])[HANDLER_GROUP].result)
    lost = metrics.OFFSETS_LOST._value.get()
    async with world.handler() as running:
        await running.all_open()
        new = [await refused(world, number) for number in range(PARTITIONS)]
        await world.settled()
    assert metrics.OFFSETS_LOST._value.get() == lost + PARTITIONS
    assert [await handled(world, place) for place in old + new] == [1] * 2 * PARTITIONS


async def test_a_state_that_is_ahead_of_the_commands_ends_the_process(world: World) -> None:
    """Until it is repaired, here by the right position."""
    await one_execution(world, 3)
    position, lost = await world.committed(3), metrics.STATE_LOST._value.get()
    await world.write(b"1000000", key=POSITION_KEY, partition=3, topic=STATE_TOPIC)
    try:
        waiting = await refused(world, 3)
        async with world.handler() as running:
            with pytest.raises(StateLostError, match=r"the state says offset 1000000.*taskexec state rebuild"):
                await asyncio.wait_for(running.task, SECONDS)
        assert metrics.STATE_LOST._value.get() == lost + 1
        assert await world.rejections(waiting) == []
    finally:
        await world.write(b"%d" % (position or 0), key=POSITION_KEY, partition=3, topic=STATE_TOPIC)
    async with world.handler():
        assert await handled(world, waiting) == 1
