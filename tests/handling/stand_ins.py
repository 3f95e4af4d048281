"""Stand-ins for what the stages of the write side talk to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from aiokafka import TopicPartition
from aiokafka.structs import RecordMetadata

from service.contracts.definitions import TaskDefinition
from service.contracts.timestamps import Timestamp
from service.domain.definitions import Definition
from service.handling.batches import Outgoing, Place
from service.handling.context import HandlerContext
from service.handling.stores import StateStores
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from tests.handling.stages import AT, WINDOW, Builder

DEFINITION = Definition(
    TaskDefinition.model_validate({"taskId": "a:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
)


@dataclass
class StandInProducer:
    """Gives offsets as a broker does; `calls` are those that a transaction is made of, with what they were given.

    `ends` are the next offsets by place, `partitions` how many a topic has; sending to a topic in `errors` fails.
    """

    ends: dict[Place, int] = field(default_factory=dict)
    partitions: int = 1
    errors: dict[str, BaseException] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    sent: dict[Place, list[Outgoing]] = field(default_factory=dict)

    create_batch = Builder

    async def begin_transaction(self) -> None:
        self.calls.append(("begin",))

    async def send_offsets_to_transaction(self, offsets: Any, group: str) -> None:
        self.calls.append(("offsets", offsets, group))

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> asyncio.Future[RecordMetadata]:
        self.calls.append(("send", topic))
        done: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        tp, base = TopicPartition(topic, partition), self.ends.get((topic, partition), 0)
        if topic in self.errors:
            done.set_exception(self.errors[topic])
        else:
            done.set_result(RecordMetadata(topic, partition, tp, base, None, 0, 0))
            self.ends[topic, partition] = base + len(builder.records)
            self.sent.setdefault((topic, partition), []).extend(builder.records)
        return done

    async def partitions_for(self, _topic: str) -> set[int]:
        return set(range(self.partitions))

    async def commit_transaction(self) -> None:
        self.calls.append(("commit",))


class OneDefinition:
    """Has `DEFINITION`, and never anything new."""

    sensitive = False

    def get(self, task_id: str, version: str) -> Definition | None:
        return DEFINITION if (task_id, version) == (DEFINITION.task_id, DEFINITION.version) else None

    async def catch_up(self) -> None:
        """There is nothing to read."""


class AnyTopic:
    """Every topic can be written; `told` are those that were refused."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    async def flaws(self, *_: object) -> dict[str, str]:
        return {}

    def refused(self, topic: str, error: Exception) -> None:
        self.told.append((topic, error))


def a_context(clock: Callable[[], Timestamp] = lambda: AT, partitions: int = 1) -> HandlerContext:
    """What the partitions of a handler share, where nothing is connected."""
    topics: Any = AnyTopic()
    definitions = cast("Any", OneDefinition())
    failure = asyncio.get_running_loop().create_future()
    stores = StateStores(None)
    timeouts = Timeouts(max_pause=0)
    return HandlerContext(Kafka(""), partitions, None, WINDOW, clock, definitions, stores, topics, failure, timeouts)
