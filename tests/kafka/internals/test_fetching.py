"""aiokafka's consumers are made of our classes, and call what these override."""

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.contracts.topics import DEFINITIONS_TOPIC
from service.kafka.internals.fetching import BoundedFetcher, _Result, bound_fetching
from service.kafka.internals.partition_records import MAX_AT_ONCE_BYTES, BoundedRecords

TP = TopicPartition(DEFINITIONS_TOPIC, 0)
OVERRIDDEN: list[tuple[type, str]] = [
    (BoundedFetcher, "fetched_records"),
    (BoundedFetcher, "_create_fetch_waiter"),
    (BoundedFetcher, "_proc_fetch_request"),
    (_Result, "check_assignment"),
    (_Result, "getall"),
    (BoundedRecords, "_unpack_records"),
]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The overridden methods that aiokafka calls."""
    names: set[str] = set()

    def spied(method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def spy(*arguments: Any, **options: Any) -> Any:
            names.add(name)
            return method(*arguments, **options)

        return spy

    for owner, name in OVERRIDDEN:
        monkeypatch.setattr(owner, name, spied(getattr(owner, name), f"{owner.__name__}.{name}"))
    return names


async def test_aiokafka_calls_all_that_is_overridden(kafka: str, called: set[str]) -> None:
    values = [b"x" * 10, b"y" * (MAX_AT_ONCE_BYTES + 1), b"z" * 10]
    bound_fetching()
    async with (
        AIOKafkaProducer(bootstrap_servers=kafka, compression_type="gzip", max_request_size=4 << 20) as producer,
        AIOKafkaConsumer(bootstrap_servers=kafka) as consumer,
    ):
        consumer.assign([TP])
        await consumer.seek_to_end()
        start = await consumer.position(TP)
        for value in values:
            await producer.send_and_wait(TP.topic, value, key=b"internals")
        read: list[bytes | None] = []
        while len(read) < len(values):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                read += [record.value for record in records]
        assert read == values
        assert called == {f"{owner.__name__}.{name}" for owner, name in OVERRIDDEN}
        consumer.seek(TP, start)
        assert [(await consumer.getone()).value for _ in values] == values
