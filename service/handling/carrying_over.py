"""Writes states of older formats to the topic as today's: under their new key, and the old key forgotten."""

from typing import Final

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition

from service.contracts.timestamps import Timestamp, epoch_ms
from service.handling.batches import Batches, Outgoing
from service.handling.restoring import OLD_PREFIX, OLD_SIZE, Progress, StoreRecords, until_ready
from service.handling.snapshots import state_key
from service.handling.state_store import StateRecord, StateStore

_AT_ONCE: Final = 1_000

log = structlog.get_logger(__name__)


async def carry_over(
    producer: AIOKafkaProducer, tp: TopicPartition, store: StateStore, records: StoreRecords, progress: Progress
) -> None:
    """Carry over what the store has found in older formats; killed half-way, it is gone on with.

    In the topic, the old key is forgotten before the new one is written: who reads it from the start must not forget
    the execution by it.
    """
    count = 0
    while old := [key for key, _ in store.scan(OLD_PREFIX, OLD_SIZE, _AT_ONCE)]:
        names = [key.removeprefix(OLD_PREFIX) for key in old]
        keys = [state_key(name.decode()) for name in names]
        states: list[StateRecord] = list(zip(keys, store.get(keys), strict=True))
        offset = await _commit(producer, tp, [*((name, None) for name in names), *states], records.now())
        await until_ready(store)
        store.write(((key, None) for key in old), records.mark(offset))
        count += len(old)
        progress.advanced()
    if count:
        log.info("states_carried_over", partition=tp.partition, executions=count)


async def _commit(producer: AIOKafkaProducer, tp: TopicPartition, records: list[StateRecord], at: Timestamp) -> int:
    """Write these in one transaction; the offset after them."""
    batches = Batches(producer.create_batch)
    for key, value in records:
        batches.put(tp.topic, tp.partition, Outgoing(key, value, [], epoch_ms(at)))
    await producer.begin_transaction()
    offsets = await batches.send(producer)
    await producer.commit_transaction()
    return offsets[tp.topic, tp.partition][-1] + 1
