"""Whatever a batch holds, and however much: it is there all at once, in order, and each reply names its own event."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from service.contracts.commands import ExecuteTask, StartTaskExecution
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, REJECTIONS_TOPIC, REPLIES_TOPIC, STATE_TOPIC
from service.handling import bisection
from service.handling.batches import Batches
from service.handling.producer import MAX_SENT_BATCH_BYTES
from tests.handling.world import World, body, execution_id, header, id_owned_by

PARTITION = 2
NEXT = PARTITION + 1
TASK = ExecuteTask(task_id="faults:task", task_version="1.0.0", inputs={})
LARGE = "large" * 600


class InjectedError(Exception):
    """The first attempt fails."""


@pytest.fixture(scope="module", autouse=True)
async def definition(world: World) -> None:
    variables = [{"name": "text", "type": "string"}]
    await world.define(
        {
            "taskId": "faults:large",
            "version": "1.0.0",
            "status": "PUBLISHED",
            "type": "sql",
            "inputVariables": variables,
        }
    )
    async with world.handler() as running:  # which tells of it on a topic: once, and not during a test
        await running.all_open()


def write_all(world: World, ids: list[str]) -> None:
    """Write as many ExecuteTasks with a large input, each asking for a reply."""
    for id_ in ids:
        task = TASK.model_copy(update={"task_id": "faults:large", "inputs": {"text": LARGE + id_}})
        headers = {"ce_specversion": "1.0", "ce_type": "ExecuteTask", "ce_id": id_, "ce_source": "/tests"}
        headers |= {"reply_to": REPLIES_TOPIC, "correlation_id": f"re:{id_}"}
        world.producer.produce(
            COMMANDS_TOPIC, task.model_dump_json(exclude_none=True), partition=PARTITION, headers=list(headers.items())
        )
    assert world.producer.flush(10) == 0


async def assert_each_names_its_event(world: World, ids: list[str]) -> None:
    """One event and one reply for each, in the order of the commands."""
    events = {(event.partition, event.offset): event for event in await world.read(EVENTS_TOPIC)}
    ours = {f"re:{id_}" for id_ in ids}
    replies = [record for record in await world.read(REPLIES_TOPIC) if header(record, "correlation_id") in ours]
    assert [header(reply, "correlation_id") for reply in replies] == [f"re:{id_}" for id_ in ids]
    positions = [body(reply)["position"] for reply in replies]
    named = [events[position["partition"], position["offset"]] for position in positions]
    assert [event.key for event in named] == [execution_id(id_).encode() for id_ in ids]
    assert [body(event)["resolvedInputs"]["text"] for event in named] == [LARGE + id_ for id_ in ids]
    assert [len(await world.events(execution_id(id_))) for id_ in ids[::100]] == [1] * len(ids[::100])


@pytest.mark.parametrize("fails", [False, True], ids=["at once", "in halves, after an error"])
async def test_hundreds_of_large_commands_in_one_transaction(
    world: World, producers: Any, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """More than one batch of Kafka holds, of events and of replies."""
    sizes: list[int] = []
    submitted: dict[str, int] = {}
    send = Batches.send

    async def seen(batches: Batches, producer: AIOKafkaProducer) -> Any:
        for (topic, _), packed in batches.packed.items():
            submitted[topic] = len(packed)
            if topic == EVENTS_TOPIC:
                sizes.append(sum(batch.record_count() for batch in packed))
        return await send(batches, producer)

    async def watch(number: int, producer: AIOKafkaProducer) -> None:
        commit = producer.commit_transaction

        async def watched() -> None:
            if fails and number == PARTITION and len(sizes) == 1:
                raise InjectedError
            await commit()

        producer.commit_transaction = watched

    producers.prepare = watch
    monkeypatch.setattr(Batches, "send", seen)
    ids = [id_owned_by(PARTITION) for _ in range(500)]  # as many as one fetch brings
    await asyncio.to_thread(write_all, world, ids)
    async with world.handler():
        await world.settled()
    assert sizes == ([500, 250, 250] if fails else [500])
    assert min(submitted[EVENTS_TOPIC], submitted[REPLIES_TOPIC]) > len(LARGE) * sizes[-1] // MAX_SENT_BATCH_BYTES
    await assert_each_names_its_event(world, ids)


async def test_after_every_error_a_batch_is_smaller(
    world: World, producers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine too slow for a full batch gets one through before its deadline."""
    sizes: list[int] = []

    async def too_slow_for_thirty(number: int, producer: AIOKafkaProducer) -> None:
        commit = producer.commit_transaction

        async def watched() -> None:
            if number == PARTITION and sizes[-1] > 30:
                raise InjectedError
            await commit()

        producer.commit_transaction = watched

    async def seen(batches: Batches, producer: AIOKafkaProducer) -> Any:
        if packed := batches.packed.get((EVENTS_TOPIC, PARTITION)):
            sizes.append(sum(batch.record_count() for batch in packed))
        return await send(batches, producer)

    send = Batches.send
    producers.prepare = too_slow_for_thirty
    monkeypatch.setattr(Batches, "send", seen)
    monkeypatch.setattr(bisection, "MAX_BATCH_RECORDS", 100)
    ids = [id_owned_by(PARTITION) for _ in range(100)]
    await asyncio.to_thread(write_all, world, ids)
    async with world.handler():
        await world.settled()
    assert sizes[:3] == [100, 50, 25]
    await assert_each_names_its_event(world, ids)


async def test_all_kinds_of_answers_become_visible_together(world: World, producers: Any) -> None:
    ready, go = asyncio.Event(), asyncio.Event()

    async def hold(number: int, producer: AIOKafkaProducer) -> None:
        commit = producer.commit_transaction

        async def held() -> None:
            if number == PARTITION:
                ready.set()
                await go.wait()
            await commit()

        producer.commit_transaction = held

    producers.prepare = hold
    first, second, forwarded = id_owned_by(PARTITION), id_owned_by(PARTITION), id_owned_by(NEXT)
    for id_ in (first, second, first):
        await world.command(TASK, id_=id_, reply=True, partition=PARTITION)
    await world.command(TASK, id_=forwarded, reply=True, partition=PARTITION)
    start = StartTaskExecution(execution_id=execution_id(first))
    await world.command(start, id_=f"start-{first}", reply=True, partition=PARTITION)
    poison = await world.command({}, "NoSuchCommand", id_=f"poison-{first}", reply=True, partition=PARTITION)
    before = await world.probe.end_offsets(world.positions), await world.committed(PARTITION)
    async with world.handler():
        await ready.wait()
        written = await world.probe.end_offsets(world.positions)
        touched = {
            (tp.topic, tp.partition): written[tp] - before[0][tp] for tp in written if written[tp] != before[0][tp]
        }
        assert touched == {
            (EVENTS_TOPIC, PARTITION): 3,
            (REJECTIONS_TOPIC, PARTITION): 1,
            (COMMANDS_TOPIC, NEXT): 1,
            (REPLIES_TOPIC, 0): 5,
            (STATE_TOPIC, PARTITION): 3,
        }
        assert await world.reader.end_offsets(world.positions) == before[0]
        assert await world.committed(PARTITION) == before[1]
        go.set()
        await world.settled()
    assert [len(await world.events(execution_id(id_))) for id_ in (first, second, forwarded)] == [2, 1, 1]
    created, started = await world.events(execution_id(first))
    told = [(reply["outcome"], reply["position"]["offset"]) for reply in await world.replies(first)]
    assert told[0] == ("accepted", created.offset)
    assert told[1][0] == "duplicate"
    assert told[1][1] >= created.offset
    (reply,) = await world.replies(f"start-{first}")
    assert reply["position"] == {"partition": PARTITION, "offset": started.offset}
    assert [reply["outcome"] for reply in await world.replies(forwarded)] == ["accepted"]
    assert len(await world.rejections(poison)) == 1


@pytest.mark.parametrize("topic", [EVENTS_TOPIC, STATE_TOPIC, REJECTIONS_TOPIC, COMMANDS_TOPIC, REPLIES_TOPIC])
async def test_one_batch_that_is_not_written_prevents_the_commit(
    world: World, producers: Any, write_batch: Any, topic: str
) -> None:
    """Only its future says so: aiokafka would commit the rest."""
    committed: list[int] = []

    async def lose(number: int, producer: AIOKafkaProducer) -> None:
        send, commit, attempt = producer.send_batch, producer.commit_transaction, len(producers.of(number))

        async def lost(builder: Any, to: str, **options: Any) -> Any:
            if to != topic:
                return await send(builder, to, **options)
            future = asyncio.get_running_loop().create_future()
            future.set_exception(KafkaError("injected"))
            return future

        async def seen() -> None:
            committed.append(attempt)
            await commit()

        if number == PARTITION:
            producer.commit_transaction = seen
            producer.send_batch = lost if attempt == 1 else send

    producers.prepare = lose
    batch = await write_batch(PARTITION)
    async with world.handler():
        await batch.assert_exactly_once()
    assert set(committed) == {2}
