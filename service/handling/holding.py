"""Commands that nobody may read yet: somebody's transaction is open before them.

A read_committed reader stops before the first record of an open transaction, whoever began it, until it ends or the
broker ends it (the producer's transaction.timeout.ms, at most the broker's transaction.max.timeout.ms).
"""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

PATIENCE_SECONDS: Final = 5.0
"""Our own handlers' transactions, which forward commands, are shorter."""


class Holding:
    """Of one partition: for how long its next command has been waiting for a transaction to end."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """As of the last look; 0 if nothing waits."""
        self._at, self._since = -1, 0.0

    async def look(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
        """Compare what was read with what the last fetch told of the partition's end."""
        position: int = await consumer.position(tp)
        stable, end = consumer.last_stable_offset(tp), consumer.highwater(tp)
        now = asyncio.get_running_loop().time()
        if stable is None or end is None or stable >= end or position < stable:
            self._at = -1
        elif stable != self._at:
            self._at, self._since = stable, now
        self.seconds = now - self._since if self._at >= 0 else 0.0
