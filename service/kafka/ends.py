"""Where topics end now."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from service.kafka.connection import Kafka
from service.ports.errors import UnavailableError

_ANSWER_SECONDS: Final = 2.5


class TopicEnds:
    """`LogEnds` of these topics (our names), with so many partitions each; it connects for each question."""

    def __init__(self, kafka: Kafka, topics: Sequence[str], partitions: int) -> None:
        self._kafka = kafka
        self._partitions = [kafka.partition(topic, number) for topic in topics for number in range(partitions)]

    async def ends(self) -> Mapping[tuple[str, int], int]:
        """See `LogEnds`."""
        consumer = AIOKafkaConsumer(**self._kafka.options(), isolation_level="read_committed")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await consumer.start()
                found = await consumer.end_offsets(self._partitions)
        except (KafkaError, TimeoutError) as error:
            raise UnavailableError(f"Kafka at {self._kafka.servers} does not answer: {error!r}") from error
        finally:
            await consumer.stop()
        return {(self._kafka.our_name(place.topic), place.partition): end for place, end in found.items()}
