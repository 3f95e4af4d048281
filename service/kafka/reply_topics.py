"""Makes the reply topic of a program that is not ours."""

from dataclasses import replace
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, PolicyViolationError, for_code
from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, wait_random_exponential

from service.contracts.topics import REPLIES_TOPIC, Topic
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import KafkaRefusedError, knock
from service.kafka.provisioning import FORBIDDEN, REQUEST_MS, create, may_pass, partition_counts

_PATIENCE_SECONDS: Final = 10.0


async def ensure_reply_topic(kafka: Kafka, topic: Topic) -> bool:
    """Make this reply topic if it is missing, with as many replicas as the service's own; on return it has a leader.

    Returns:
        Whether it is there: False where we may not make topics.

    Raises:
        ConnectionError: Kafka does not answer or refuses us, or the service's topics are not there.
    """
    # Not stamina: it tells of each attempt, in programs that have not set up structlog on their standard output.
    trying = AsyncRetrying(
        retry=retry_if_exception(lambda error: may_pass(error) and not isinstance(error, PolicyViolationError)),
        stop=stop_before_delay(_PATIENCE_SECONDS),
        wait=wait_random_exponential(multiplier=0.1, max=1.0),
        reraise=True,
    )
    shared = kafka.topic(REPLIES_TOPIC)
    try:
        await trying(_ensure, kafka, replace(topic, name=kafka.topic(topic.name)), shared)
    except KafkaRefusedError:
        raise
    except (*FORBIDDEN, PolicyViolationError):
        return False
    except (KafkaError, OSError) as error:
        raise ConnectionError(
            f"Kafka at {kafka.servers} did not answer, or has no topic {shared}: {error!r}. Check the address, and "
            "that the service has been started: it creates its topics."
        ) from error
    return True


async def _ensure(kafka: Kafka, topic: Topic, shared: str) -> None:
    await knock(kafka)
    admin = AIOKafkaAdminClient(**kafka.options(), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        if topic.name not in await admin.list_topics():
            (described,) = await admin.describe_topics([shared])
            if described["error_code"]:
                raise for_code(described["error_code"])(shared)
            await create(admin, [topic], 1, len(described["partitions"][0]["replicas"]))
        await partition_counts(admin, [topic])
    finally:
        await admin.close()
