"""Whether a consumer is still a member of its group: aiokafka tells what it believes, not what the coordinator says."""

from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import ConnectionGroup
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest

STICKY: Final = (StickyPartitionAssignor,)
"""The assignment that leaves each member what it has, as far as that is fair."""


async def is_member(consumer: AIOKafkaConsumer) -> bool:
    """Whether the group's coordinator accepts a heartbeat of this consumer now; False as well where it cannot be asked.

    The heartbeat is a request of our own, which changes nothing: aiokafka's would start to join again.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - there is no public heartbeat
    if not isinstance(coordinator, GroupCoordinator) or coordinator.coordinator_id is None:
        return False
    request = HeartbeatRequest(coordinator.group_id, coordinator.generation, coordinator.member_id)
    try:
        answer = await coordinator._client.send(  # noqa: SLF001 - the same
            coordinator.coordinator_id, request, group=ConnectionGroup.COORDINATION
        )
    except KafkaError:
        return False
    return bool(answer.error_code == 0)
