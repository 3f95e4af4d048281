"""A handler that lost a partition without noticing answers nothing on it, until the group says that it is its again."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.contracts.topics import COMMANDS_TOPIC, HANDLER_GROUP, STATE_TOPIC
from service.handling import metrics, partition
from service.handling.producer import start_producer, stop_producer
from service.handling.snapshots import POSITION_KEY
from tests.handling.world import QUICK, World, eventually

PARTITION = 1
TP = TopicPartition(COMMANDS_TOPIC, PARTITION)


class Membership:
    """What the group will answer: nothing, until `proven` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.proven = asyncio.Event(), asyncio.Event()
        ask = partition.is_member

        async def held(consumer: AIOKafkaConsumer) -> bool:
            self.asked.set()
            await self.proven.wait()
            return await ask(consumer)

        monkeypatch.setattr(partition, "is_member", held)


async def rightful_owner(world: World) -> AIOKafkaProducer:
    """Whoever starts it has the partition from now on."""
    return await start_producer(world.kafka, f"{HANDLER_GROUP}.{PARTITION}", QUICK)


async def handle(owner: AIOKafkaProducer, end: int) -> None:
    """Handle all commands before this offset, here by doing nothing."""
    await owner.begin_transaction()
    await owner.send_offsets_to_transaction({TP: end}, HANDLER_GROUP)
    await (await owner.send(STATE_TOPIC, b"%d" % end, POSITION_KEY, PARTITION))
    await owner.commit_transaction()


@pytest.mark.parametrize("step", ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"])
async def test_a_fenced_handler_is_silent_until_it_is_a_member_again(
    world: World, producers: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    lost, membership, owners = metrics.OFFSETS_LOST._value.get(), Membership(monkeypatch), list[AIOKafkaProducer]()

    async def fence_before(number: int, producer: AIOKafkaProducer) -> None:
        call = getattr(producer, step)

        async def fenced(*arguments: Any) -> None:
            owners.append(await rightful_owner(world))
            await call(*arguments)

        if number == PARTITION and len(producers.of(number)) == 1:
            setattr(producer, step, fenced)

    producers.prepare = fence_before
    async with world.handler() as running:
        await running.all_open()
        theirs = await world.command({}, "NoSuchCommand", reply=True, id_=f"fenced-{step}", partition=PARTITION)
        await membership.asked.wait()
        (owner,) = owners
        await handle(owner, theirs[1] + 1)
        ours = await world.command({}, "NoSuchCommand", partition=PARTITION)
        elsewhere = await world.command({}, "NoSuchCommand", partition=PARTITION + 1)
        await eventually(lambda: running.owners[PARTITION + 1]._opened.next_offset > elsewhere[1], "the others go on")
        await handle(owner, theirs[1] + 1)  # fenced by nobody
        assert not running.owners[PARTITION].is_open
        assert len(producers.of(PARTITION)) == 1
        assert await world.committed(PARTITION) == ours[1]
        membership.proven.set()
        await world.settled()
    await stop_producer(owner, QUICK)
    assert [len(await world.rejections(place)) for place in (theirs, ours, elsewhere)] == [0, 1, 1]
    assert await world.replies(f"fenced-{step}") == []
    assert metrics.OFFSETS_LOST._value.get() == lost
