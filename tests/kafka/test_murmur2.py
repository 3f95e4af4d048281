import asyncio
from collections import Counter

import pytest
from aiokafka import partitioner
from confluent_kafka import Message, Producer
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.topics import COMMANDS_TOPIC
from service.kafka.murmur2 import partition_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [  # from Kafka's own UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_it_is_kafkas_hash(key: bytes, expected: int) -> None:
    assert partition_of(key, 1 << 31) == expected & 0x7FFFFFFF


@given(st.binary(max_size=64), st.integers(1, 1000))
def test_it_agrees_with_aiokafka_about_any_key(key: bytes, partitions: int) -> None:
    everyone = list(range(partitions))
    assert partition_of(key, partitions) == partitioner.DefaultPartitioner()(key, everyone, everyone)


async def test_it_agrees_with_librdkafka_on_a_broker(kafka: str) -> None:
    placed: list[tuple[bytes, int]] = []

    def delivered(error: object, message: Message) -> None:
        assert error is None
        placed.append((message.key() or b"", message.partition() or 0))

    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    for number in range(1, 200):
        producer.produce(COMMANDS_TOPIC, b"", b"k" * (number % 41) + b"%d" % number, on_delivery=delivered)
    assert await asyncio.to_thread(producer.flush, 30) == 0
    assert len(placed) == 199
    assert placed == [(key, partition_of(key, 4)) for key, _ in placed]
    assert set(Counter(partition for _, partition in placed)) == {0, 1, 2, 3}
