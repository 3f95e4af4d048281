"""The transactional producer of one partition: fenced by its transactional id, used once, never after an error."""

import asyncio
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer

from service.contracts.topics import MAX_RECORD_BYTES
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from service.kafka.internals.single_send import end_by_force, leave_nothing, send_once

MAX_SENT_BATCH_BYTES: Final = 128_000
"""Fits every topic of ours and a client's reply topic with the broker's default limit of 1 MiB."""

log = structlog.get_logger(__name__)


async def start_producer(kafka: Kafka, transactional_id: str, timeouts: Timeouts) -> AIOKafkaProducer:
    """Start the producer: from here on, whoever used this transactional id before is fenced."""
    producer = AIOKafkaProducer(
        **kafka.options(),
        transactional_id=transactional_id,
        linger_ms=0,
        max_batch_size=MAX_SENT_BATCH_BYTES,
        max_request_size=2 * MAX_RECORD_BYTES,
        request_timeout_ms=int(timeouts.request * 1000),
        transaction_timeout_ms=int(timeouts.transaction_broker * 1000),
        retry_backoff_ms=int(timeouts.retry_backoff * 1000),
    )
    try:
        await producer.start()
    except BaseException:
        await stop_producer(producer, timeouts)
        raise
    send_once(producer)
    return producer


async def stop_producer(producer: AIOKafkaProducer, timeouts: Timeouts) -> None:
    """Stop it within a deadline; an open transaction is ended by the next InitProducerId or by the coordinator.

    To cancel this cuts it short, but leaves nothing running either.
    """
    try:
        await asyncio.wait_for(producer.stop(), timeouts.stop)
    except (Exception, asyncio.CancelledError) as error:  # whatever is wrong with it, it must be gone
        log.warning("producer_stop_forced", error=repr(error))
        await end_by_force(producer, timeouts.stop)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
    finally:
        leave_nothing(producer)
