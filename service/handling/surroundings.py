"""What the owners of a handler's partitions share; made by `handler`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from service.contracts.timestamps import Timestamp
from service.handling.definitions_table import DefinitionsTable
from service.handling.replies import ReplyTopics
from service.handling.timeouts import Timeouts


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all partitions of a handler share.

    `prove_membership` returns once the group still counts us as a member. `failed` is told of an error that no
    opening can cure: the process must end, rather than own a partition that nobody handles.
    """

    bootstrap_servers: str
    partitions: int
    transactional_id_prefix: str
    window: timedelta
    clock: Callable[[], Timestamp]
    definitions: DefinitionsTable
    reply_topics: ReplyTopics
    prove_membership: Callable[[], Awaitable[None]]
    failed: Callable[[BaseException], None]
    timeouts: Timeouts
