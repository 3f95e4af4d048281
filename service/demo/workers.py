"""Takes the part of workers: whatever can start is started, and ended as the recording's run must end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer

from service.contracts.commands import Command, FailTaskExecution, StartTaskExecution, SucceedTaskExecution
from service.contracts.events import AnyEvent, TaskExecutionCreated, TaskExecutionReady, read_event
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.contracts.topics import EVENTS_TOPIC
from service.demo.recordings import RecordedTask
from service.kafka.connection import Kafka
from service.kafka.records import Record, get_many

_POLL_MS: Final = 200
_RECORDS: Final = 1_000
_SILENCE_SECONDS: Final = 60.0
"""After so long without an event, while nothing runs, nothing more will come."""


class Submit(Protocol):
    """Sends a command and awaits the reply. Raises CommandUnansweredError: none came."""

    async def __call__(self, command: Command, *, id_: str | None = None) -> CommandReply:
        """See `CommandClient.submit`."""
        ...


@dataclass(slots=True)
class Workers:
    """Any number of workers, for the tasks of these executions.

    `scale`: so many seconds does a recorded second take. `unexpected` tells of each command that was not accepted.
    """

    submit: Submit
    tasks: Mapping[str, RecordedTask]
    """By their executionId."""
    failing: Collection[str]
    scale: float = 0.0
    unexpected: list[str] = field(default_factory=list)
    _busy: set[str] = field(default_factory=set)

    async def send(self, command: Command, what: str, id_: str | None = None) -> bool:
        """Whether the command was accepted; if not, it is told what was refused, and why."""
        try:
            reply = await self.submit(command, id_=id_)
        except CommandUnansweredError as error:
            self.unexpected.append(f"{what}: {error}")
            return False
        if reply.outcome is not Outcome.ACCEPTED:
            self.unexpected.append(f"{what}: {reply.outcome}. {reply.problem.detail if reply.problem else ''}")
        return reply.outcome is Outcome.ACCEPTED

    async def work(self, events: "Events", on_end: Callable[[int], None]) -> None:
        """Run what can start, until all executions have ended, or nothing moves any more.

        `on_end` is called with how many have ended. What a worker meets is in `unexpected`.
        """
        ended: set[str] = set()
        clock = asyncio.get_running_loop().time
        heard = clock()
        async with asyncio.TaskGroup() as group:
            while len(ended) < len(self.tasks):
                for event in await events():
                    if (task := self.tasks.get(event.execution_id)) is None:
                        continue
                    heard = clock()
                    if _can_start(event):
                        self._busy.add(task.name)
                        group.create_task(self._run(event.execution_id, task))
                    elif event.status.is_final:
                        ended.add(event.execution_id)
                        on_end(len(ended))
                if not self._busy and clock() - heard > _SILENCE_SECONDS:
                    waiting = sorted(task.name for id_, task in self.tasks.items() if id_ not in ended)
                    self.unexpected += [f"{name}: nothing happens to it any more" for name in waiting]
                    return

    async def _run(self, id_: str, task: RecordedTask) -> None:
        try:
            if await self.send(StartTaskExecution(execution_id=id_), f"{task.name}, start"):
                await asyncio.sleep(task.runtime * self.scale)
                await self.send(self._end(id_, task), f"{task.name}, end")
        finally:
            self._busy.discard(task.name)

    def _end(self, id_: str, task: RecordedTask) -> Command:
        if task.name in self.failing:
            return FailTaskExecution(execution_id=id_, error_message=f"{task.name} fails in this play")
        return SucceedTaskExecution(execution_id=id_, outputs={})


def _can_start(event: AnyEvent) -> bool:
    return type(event) is TaskExecutionReady or (type(event) is TaskExecutionCreated and not event.depends_on)


class Events(Protocol):
    """Gives the events that have come since, or none after a moment."""

    async def __call__(self) -> list[AnyEvent]:
        """May be called again at once."""
        ...


@asynccontextmanager
async def events_from_now(kafka: Kafka) -> AsyncIterator[Events]:
    """All events that are published from when this opens.

    Raises:
        KafkaError: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(
        kafka.topic(EVENTS_TOPIC), **kafka.options(), group_id=None, isolation_level="read_committed"
    )

    async def next_ones() -> list[AnyEvent]:
        fetched = await get_many(consumer, _POLL_MS, _RECORDS)
        return [_event(record) for records in fetched.values() for record in records]

    try:
        await consumer.start()
        await consumer.seek_to_end()
        yield next_ones
    finally:
        await consumer.stop()


def _event(record: Record) -> AnyEvent:
    return read_event(dict(record.headers)["ce_type"].decode(), record.value or b"")
