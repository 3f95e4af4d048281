"""A tiny service that answers commands from transactions, as the real one does, in a way that each test chooses."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from service.contracts import topics
from service.contracts.replies import CommandReply, Outcome, Position


class Asked(NamedTuple):
    """A command that awaits a reply: under which id, and the `number` among its inputs."""

    correlation_id: bytes
    number: int


class Responder:
    """Keeps every record of the commands topic; `producer` is for answers of a test's own."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.received: list[ConsumerRecord[bytes, bytes]] = []
        self._more = asyncio.Condition()

    @staticmethod
    def accepted(number: int = 0) -> bytes:
        """A reply that can be told from others by its number."""
        reply = CommandReply(outcome=Outcome.ACCEPTED, position=Position(partition=0, offset=number))
        return reply.model_dump_json(exclude_none=True).encode()

    async def send(self, correlation_id: bytes | None, value: bytes) -> None:
        """Write a reply record within the open transaction; all into one partition, so they stay in order."""
        headers = [] if correlation_id is None else [("correlation_id", correlation_id)]
        await self.producer.send_and_wait(topics.REPLIES_TOPIC, value, partition=0, headers=headers)

    async def reply(self, correlation_id: bytes, value: bytes) -> None:
        """Write a reply record in a transaction of its own."""
        async with self.producer.transaction():
            await self.send(correlation_id, value)

    async def has_received(self, count: int) -> None:
        """Wait until this many records have come."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.received) >= count)

    async def listen(self, consumer: AIOKafkaConsumer, answer: "Answer") -> None:
        async for record in consumer:
            async with self._more:
                self.received.append(record)
                self._more.notify_all()
            if correlation_id := dict(record.headers).get("correlation_id"):
                await answer(self, Asked(correlation_id, _number(record.value)))


Answer = Callable[[Responder, Asked], Awaitable[None]]


def _number(value: bytes | None) -> int:
    try:
        return int(json.loads(value or b"")["inputs"]["number"])
    except (ValueError, KeyError):
        return -1


async def echo(responder: Responder, asked: Asked) -> None:
    await responder.reply(asked.correlation_id, responder.accepted(asked.number))


Responding = Callable[..., AbstractAsyncContextManager[Responder]]
"""Runs a responder with an `Answer`, by default `echo`."""
