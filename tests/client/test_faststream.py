"""A FastStream application gets events, those that it wants, and each at least once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from service.client.faststream import decode_event, of_type
from service.contracts.events import TaskExecutionFailed, TaskExecutionSucceeded, UnknownEvent
from service.contracts.received import ReceivedEvent
from service.contracts.status import Status
from tests.client.published import EventsTopic
from tests.client.test_events import LATER
from tests.queries.lives import body, life

FAILED = life("a", Status.FAILURE)


class Listener:
    """What its handlers got; `fail` makes the first of failures fail."""

    def __init__(self, *, fail: bool = False) -> None:
        self.failed: list[str] = []
        self.succeeded: list[str] = []
        self.unknown: list[str] = []
        self.others = 0
        self._fail = fail

    def handle(self, broker: KafkaBroker, topic: str) -> None:
        subscriber = broker.subscriber(
            topic, group_id="alerts", decoder=decode_event, ack_policy=AckPolicy.NACK_ON_ERROR,
            auto_offset_reset="earliest", isolation_level="read_committed",
        )  # fmt: skip

        @subscriber(filter=of_type(TaskExecutionFailed))
        async def on_failed(received: ReceivedEvent) -> None:
            assert isinstance(received.event, TaskExecutionFailed)
            self.failed.append(received.id)
            if self._fail:
                self._fail = False
                raise ZeroDivisionError

        @subscriber(filter=of_type(TaskExecutionSucceeded, UnknownEvent))
        async def on_two(received: ReceivedEvent) -> None:
            (self.unknown if isinstance(received.event, UnknownEvent) else self.succeeded).append(received.id)

        @subscriber
        async def on_others(received: ReceivedEvent) -> None:
            assert received.traceparent == "00-1"
            self.others += 1


@asynccontextmanager
async def listening(topic: EventsTopic, listener: Listener) -> AsyncIterator[Callable[[Callable[[], Any]], Any]]:
    broker = KafkaBroker(topic.kafka.servers, logger=None)
    listener.handle(broker, topic.name)

    async def until(condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.02)

    async with broker:
        await broker.start()
        yield until


async def test_handlers_get_the_events_of_their_types(events_topic: EventsTopic) -> None:
    sent = await events_topic.publish([*FAILED, *life("b")], traceparent=b"00-1")
    await events_topic.publish(FAILED, abort=True)
    await events_topic.write(body(FAILED[2]), LATER)
    listener = Listener()
    async with listening(events_topic, listener) as until:
        await until(lambda: listener.unknown and listener.succeeded and listener.failed and listener.others == 4)
    assert (listener.failed, listener.succeeded) == ([sent[2]], [sent[5]])
    assert listener.unknown == [f"{FAILED[0].execution_id}/3"]


async def test_what_a_handler_failed_on_comes_again(events_topic: EventsTopic) -> None:
    sent = await events_topic.publish(FAILED, traceparent=b"00-1")
    listener = Listener(fail=True)
    async with listening(events_topic, listener) as until:
        await until(lambda: len(listener.failed) == 2)
    assert listener.failed == [sent[2]] * 2
