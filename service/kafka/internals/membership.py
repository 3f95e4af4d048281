"""Whether the consumer group still counts us as a member: aiokafka has no public heartbeat."""

from aiokafka import AIOKafkaConsumer
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest


async def is_member(consumer: AIOKafkaConsumer) -> bool:
    """Whether the coordinator accepts a heartbeat now."""
    # A request of our own: aiokafka's _do_heartbeat() would start a rejoin.
    coordinator = consumer._coordinator  # noqa: SLF001 - see above
    if coordinator is None or coordinator.coordinator_id is None or coordinator.generation <= 0:
        return False
    request = HeartbeatRequest(coordinator.group_id, coordinator.generation, coordinator.member_id)
    try:
        answer = await coordinator._client.send(  # noqa: SLF001 - see above
            coordinator.coordinator_id, request, group=ConnectionGroup.COORDINATION
        )
    except KafkaError:
        return False
    return bool(answer.error_code == 0)
