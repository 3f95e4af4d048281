"""Commands that nobody may read yet: somebody's transaction is open before them.

A read_committed reader stops before the first record of an open transaction, whoever began it, until it ends or the
broker ends it (the producer's transaction.timeout.ms, at most the broker's transaction.max.timeout.ms).
"""

from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

PATIENCE_SECONDS: Final = 5.0
"""Our own handlers' transactions, which forward commands, are shorter."""


class Holding:
    """Of one partition: since when its next command waits for a transaction to end."""

    def __init__(self) -> None:
        self._at: int | None = None
        self._since = 0.0

    def look(self, consumer: AIOKafkaConsumer, tp: TopicPartition, position: int, now: float) -> float:
        """Seconds for which the partition has been held now, 0 if it is not. `position` is what will be read next."""
        stable, end = consumer.last_stable_offset(tp), consumer.highwater(tp)
        if stable is None or end is None or stable >= end or position < stable:
            self._at = None
            return 0.0
        if stable != self._at:
            self._at, self._since = stable, now
        return now - self._since
