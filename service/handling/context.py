"""What the partitions of a handler share; made by `handler`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from service.contracts.sensitive import Seal, withhold
from service.contracts.timestamps import Timestamp
from service.handling.definitions_table import DefinitionsTable
from service.handling.reply_topics import ReplyTopics
from service.handling.stores import StateStores
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from service.kafka.installation import Installation


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """What all partitions of a handler share; `kept` is how long finished executions are remembered.

    `failure` gets the error that no opening can cure: the process must end, rather than own a partition that nobody
    handles. `seal` makes of a sensitive value what is told of it.
    """

    kafka: Kafka
    partitions: int
    installation: Installation | None
    kept: timedelta | None
    clock: Callable[[], Timestamp]
    definitions: DefinitionsTable
    stores: StateStores
    reply_topics: ReplyTopics
    failure: asyncio.Future[None]
    timeouts: Timeouts
    seal: Seal = withhold

    def fail(self, error: BaseException) -> None:
        """End the process by this error, if none has ended it yet."""
        if not self.failure.done():
            self.failure.set_exception(error)
