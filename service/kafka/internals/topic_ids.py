"""Which cluster and which topics these are: a topic that was deleted and made anew has the same name, and another id.

aiokafka's metadata requests are too old to tell ids (KIP-516): this is version 12 of the same request.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from msgspec import Struct

_METADATA: Final = 3
_VERSION: Final = 12
_ID_BYTES: Final = 16


class ClusterIds(Struct, frozen=True):
    """The id of the cluster, and of each topic by its name."""

    cluster: str
    topics: Mapping[str, UUID]


async def cluster_ids(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> ClusterIds:
    """The ids of the cluster that the started consumer is connected to, and of these topics.

    Raises:
        KafkaError: a topic does not exist, or the broker does not answer.
    """
    client = consumer._client  # noqa: SLF001 - there is no public way to send a request
    answer: Any = await client.send(client.get_random_node(), _TopicIdsRequest(topics))
    for code, name, *_ in answer.topics:
        if code:
            raise for_code(code)(f"{name} cannot be looked up")
    return ClusterIds(answer.cluster_id, {name: id_ for _, name, id_, *_ in answer.topics})


class _Id(AbstractType[UUID]):
    """A UUID on the wire."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: Any) -> UUID:  # noqa: ANN401 - aiokafka's own signature
        return UUID(bytes=data.read(_ID_BYTES))


class _Answer(Response):
    API_KEY = _METADATA  # pyright: ignore - as all of aiokafka's
    API_VERSION = _VERSION  # pyright: ignore - the same
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(
            ("node_id", Int32),
            ("host", CompactString("utf-8")),
            ("port", Int32),
            ("rack", CompactString("utf-8")),
            ("tags", TaggedFields),
        )),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        ("topics", CompactArray(
            ("error_code", Int16),
            ("name", CompactString("utf-8")),
            ("topic_id", _Id),
            ("is_internal", Boolean),
            ("partitions", CompactArray(
                ("error_code", Int16),
                ("partition", Int32),
                ("leader", Int32),
                ("leader_epoch", Int32),
                ("replicas", CompactArray(Int32)),
                ("isr", CompactArray(Int32)),
                ("offline_replicas", CompactArray(Int32)),
                ("tags", TaggedFields),
            )),
            ("authorized_operations", Int32),
            ("tags", TaggedFields),
        )),
        ("tags", TaggedFields),
    )  # fmt: skip


class _Question(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = _METADATA
    API_VERSION = _VERSION
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Id), ("name", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicIdsRequest(Request[_Question]):
    API_KEY = _METADATA

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_Question]) -> _Question:
        by_name: list[Any] = [(UUID(int=0), name, {}) for name in self._topics]
        return request_struct_class(by_name, False, False, {})  # noqa: FBT003 - as the protocol has them
