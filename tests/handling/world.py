"""What the tests of the write side have in hand: they write raw records, run handlers, and read what was committed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import stamina
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import _MemoryRecordsPy
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from service.contracts.definitions import TaskDefinition
from service.contracts.topics import (
    COMMANDS_TOPIC,
    DEFINITIONS_TOPIC,
    EVENTS_TOPIC,
    HANDLER_GROUP,
    REJECTIONS_TOPIC,
    REPLIES_TOPIC,
    STATE_TOPIC,
    TOPICS,
)
from service.domain.execution import Execution, Expected
from service.domain.identity import command_id
from service.handling import handler
from service.handling.handler import HandlerOptions, running_handler
from service.handling.partition import PartitionOwner
from service.handling.rebalancing import PartitionGroup
from service.handling.snapshots import decode_snapshot, execution_id_of, is_state_key, state_key
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from service.kafka.internals.partition_records import BoundedRecords
from service.kafka.murmur2 import partition_of
from service.kafka.records import Record

PARTITIONS = 4
SECONDS = 60.0
_FETCH_BYTES = 4 << 20
QUICK = Timeouts(  # in the same order as the real ones; a machine may stand still for seconds
    heartbeat=0.2, transaction=10, request=12, opening=20, revoke=1, stop=1, max_pause=0.4
)
HeaderPairs = list[tuple[str, bytes | None]]


async def eventually(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Return once the condition holds."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"within {seconds} s, it did not happen that {what}") from None


def _was_given_up(error: Exception) -> bool:
    """Whether librdkafka only lost sight of the broker it had asked: one that has just come, or has just gone."""
    return isinstance(error, KafkaException) and error.args[0].code() == KafkaError._DESTROY_BROKER


def header(record: Record, name: str) -> str | None:
    """The header's text; None where it is absent."""
    values = [value for key, value in record.headers if key == name]
    return values[-1].decode(errors="replace") if values else None


def body(record: Record) -> Any:
    """The record's JSON."""
    return json.loads(record.value or b"null")


def execution_id(id_: str, source: str = "/tests") -> str:
    """The execution that an ExecuteTask with this identity makes."""
    return command_id(source, id_)


def id_owned_by(partition: int) -> str:
    """A new `ce_id` whose execution, for our source, belongs to this partition."""
    while owner(execution_id(id_ := str(uuid7()))) != partition:
        pass
    return id_


def owner(execution: str) -> int:
    """The partition that the execution belongs to."""
    return partition_of(execution.encode(), PARTITIONS)


async def fetch(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> tuple[list[Record], int]:
    """The committed records from this offset on, as many as one fetch gives, and the offset after them."""
    leader = consumer._client.cluster.leader_for_partition(tp)
    if leader is None or leader < 0:
        return [], offset
    place = [(tp.topic, [(tp.partition, offset, _FETCH_BYTES)])]
    response = await consumer._client.send(leader, FetchRequest(0, 1, _FETCH_BYTES, READ_COMMITTED, place))
    ((_, ((_, error, _, *details),)),) = response.topics
    if error:
        return [], offset
    aborted = details[2 if response.API_VERSION >= 11 else -2]
    found = BoundedRecords(tp, _MemoryRecordsPy(details[-1]), aborted, offset, None, None, True, READ_COMMITTED)  # noqa: FBT003 - aiokafka's own signature
    return [record for record in found if record is not None], found.next_fetch_offset


@dataclass
class Running:
    """A handler that runs in this process, opened up."""

    task: asyncio.Task[None]
    group: PartitionGroup

    @property
    def owners(self) -> dict[int, PartitionOwner]:
        return self.group._owners

    def states(self, partition: int) -> dict[str, Execution | Expected]:
        """What the owner of this partition remembers."""
        states = self.owners[partition]._opened.states
        known = {**dict(states._store._db.items()), **states._unwritten}
        return {
            (id_ := execution_id_of(key)): decode_snapshot(id_, value)
            for key, value in known.items()
            if is_state_key(key) and value is not None
        }

    async def all_open(self, partitions: Iterable[int] = range(PARTITIONS)) -> Self:
        """Return once it has opened all these partitions; raises what the handler has ended with."""

        def are_open() -> bool:
            if self.task.done():
                self.task.result()
            return all(n in self.owners and self.owners[n].is_open for n in partitions)

        await eventually(are_open, f"{partitions} are open")
        return self


@dataclass
class World:
    """One broker with the service's topics; `read` gives all that was committed since the start."""

    servers: str
    reader: AIOKafkaConsumer
    probe: AIOKafkaConsumer
    producer: Producer
    admin: AdminClient
    positions: dict[TopicPartition, int]
    records: dict[str, list[Record]] = field(default_factory=lambda: {topic.name: [] for topic in TOPICS})

    @property
    def kafka(self) -> Kafka:
        return Kafka(self.servers)

    # -- writing

    async def write(  # noqa: PLR0913 - one for each part of a record
        self,
        value: bytes | None,
        headers: HeaderPairs | None = None,
        *,
        key: bytes | None = None,
        partition: int = -1,
        topic: str = COMMANDS_TOPIC,
        timestamp: int = 0,
    ) -> tuple[int, int]:
        """Write a record as librdkafka does; returns its partition and offset."""
        sent: list[tuple[KafkaError | None, Message]] = []
        self.producer.produce(
            topic, value, key, partition, headers=headers or [], timestamp=timestamp,
            on_delivery=lambda *result: sent.append(result),
        )  # fmt: skip
        await asyncio.to_thread(self.producer.flush, 10)
        ((error, message),) = sent
        assert error is None
        return message.partition() or 0, message.offset() or 0

    async def command(
        self, command: BaseModel | dict[str, Any], type_: str | None = None, *, reply: bool = False, **more: Any
    ) -> tuple[int, int]:
        """Write a command in binary mode. `id_` and `source` are made up; None leaves the header out."""
        id_, source = more.pop("id_", str(uuid7())), more.pop("source", "/tests")
        if isinstance(command, BaseModel):
            type_ = type_ or type(command).__name__
            value = command.model_dump_json(exclude_none=True).encode()
        else:
            value = json.dumps(command).encode()
        headers: HeaderPairs = [("ce_specversion", b"1.0"), ("ce_type", (type_ or "").encode())]
        headers += [(name, text.encode()) for name, text in (("ce_id", id_), ("ce_source", source)) if text is not None]
        if reply:
            headers += [("reply_to", REPLIES_TOPIC.encode()), ("correlation_id", f"re:{id_}".encode())]
        return await self.write(value, headers + more.pop("headers", []), **more)

    async def define(self, *definitions: TaskDefinition | dict[str, Any]) -> None:
        """Publish definitions as their owner does, who may break the rule that a published one never changes."""
        for item in map(TaskDefinition.model_validate, definitions):
            value = item.model_dump_json(exclude_none=True).encode()
            await self.write(value, topic=DEFINITIONS_TOPIC, key=item.key.encode())

    async def create_topic(self, name: str, brokers: Sequence[int] = (1,), **config: str) -> None:
        """Create a topic with one partition, on these brokers."""
        named = {key.replace("_", "."): value for key, value in config.items()}
        topic = NewTopic(name, 1, replica_assignment=[[*brokers]], config=named)
        async for attempt in stamina.retry_context(_was_given_up, timeout=SECONDS):
            with attempt:
                try:
                    await asyncio.to_thread(self.admin.create_topics([topic])[name].result, 10)
                except KafkaException as error:
                    if attempt.num == 1 or error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise

    async def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        await asyncio.to_thread(self.admin.delete_topics([name])[name].result, 10)

    # -- reading

    async def read(self, topic: str) -> list[Record]:
        """All that was committed to the topic since the start, once no transaction is open on it."""
        tps = [tp for tp in self.positions if tp.topic == topic]
        async with asyncio.timeout(SECONDS):
            while (ends := await self.reader.end_offsets(tps)) != await self.probe.end_offsets(tps):
                await asyncio.sleep(0.005)
            begins = await self.reader.beginning_offsets(tps)
            for tp, end in ends.items():
                self.positions[tp] = max(self.positions[tp], begins[tp])
                while self.positions[tp] < end:
                    records, self.positions[tp] = await fetch(self.reader, tp, self.positions[tp])
                    self.records[topic] += records
        return self.records[topic]

    async def committed(self, partition: int) -> int | None:
        """The group's offset."""
        return await self.reader.committed(TopicPartition(COMMANDS_TOPIC, partition))  # type: ignore[no-any-return]

    async def read_all(self, topic: str) -> list[Record]:
        """All that was committed to partition 0 of any topic."""
        tp = TopicPartition(topic, 0)
        await self.reader.end_offsets([tp])
        return (await fetch(self.reader, tp, 0))[0]

    async def settled(self, seconds: float = SECONDS) -> None:
        """Return once every command, forwarded ones included, has been handled."""
        async with asyncio.timeout(seconds):
            while True:
                committed = {partition: await self.committed(partition) or 0 for partition in range(PARTITIONS)}
                if all(record.offset < committed[record.partition] for record in await self.read(COMMANDS_TOPIC)):
                    return
                await asyncio.sleep(0.005)

    async def events(self, execution_id: str) -> list[Record]:
        """The events of one execution."""
        return [record for record in await self.read(EVENTS_TOPIC) if record.key == execution_id.encode()]

    async def rejections(self, place: tuple[int, int]) -> list[Any]:
        """What is on the rejections topic about the command at this place."""
        all_ = [body(record) for record in await self.read(REJECTIONS_TOPIC)]
        return [item for item in all_ if (item["record"]["partition"], item["record"]["offset"]) == place]

    async def replies(self, id_: str, topic: str = REPLIES_TOPIC) -> list[Any]:
        """The replies to the command with this `ce_id`."""
        records = await self.read(topic)
        return [body(record) for record in records if header(record, "correlation_id") == f"re:{id_}"]

    async def snapshots(self, execution: str) -> list[Record]:
        """What the state topic holds of this execution."""
        return [record for record in await self.read(STATE_TOPIC) if record.key == state_key(execution)]

    # -- handlers

    @asynccontextmanager
    async def handler(self, options: HandlerOptions | None = None, **changes: Any) -> AsyncIterator[Running]:
        """Run a handler; on entry it has joined the group, but its partitions may not be open yet."""
        options = replace(options or HandlerOptions(self.kafka, PARTITIONS, timeouts=QUICK), **changes)
        groups: list[PartitionGroup] = []
        original = handler.PartitionGroup

        class Seen(PartitionGroup):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                groups.append(self)

        handler.PartitionGroup = Seen  # type: ignore[misc]
        try:
            async with running_handler(options) as at_work:
                handler.PartitionGroup = original  # type: ignore[misc]
                yield Running(at_work.task, groups[0])
        finally:
            handler.PartitionGroup = original  # type: ignore[misc]


@asynccontextmanager
async def a_world(servers: str) -> AsyncIterator[World]:
    """Begin to read at the topics' ends as of now."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=servers, group_id=HANDLER_GROUP, isolation_level="read_committed", enable_auto_commit=False
    )
    probe = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level="read_uncommitted")
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "message.max.bytes": 4 << 20})
    admin = AdminClient({"bootstrap.servers": servers})
    await reader.start()
    await probe.start()
    try:
        tps = [
            TopicPartition(topic.name, number) for topic in TOPICS for number in range(PARTITIONS if topic.owned else 1)
        ]
        yield World(servers, reader, probe, producer, admin, await probe.end_offsets(tps))
    finally:
        await probe.stop()
        await reader.stop()
