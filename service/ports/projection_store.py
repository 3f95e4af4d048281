"""Where the projector writes. Times are epoch milliseconds: a store converts columns of integers fastest."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from service.ports.positions import PartitionPosition


class EventRow(NamedTuple):
    """An event as it is stored: its small fields, and its place in the topic.

    `payload` is what is kept of its body, a JSON object: `contracts/kept_bodies.py` says what.
    """

    execution_id: UUID
    sequence: int
    type: str
    status: str
    previous_status: str | None
    task_id: str
    task_version: str
    created_at: int
    started_at: int | None
    completed_at: int | None
    created_by: str
    tags: list[str]
    payload: str
    topic: str
    partition: int
    offset: int


class RejectionRow(NamedTuple):
    """A refused command as it is stored; of the command, what could be read.

    `problem` and `record` are JSON: the RFC 9457 problem, and the `OriginalRecord` with its bytes.
    """

    topic: str
    partition: int
    offset: int
    time: int
    code: str
    detail: str
    execution_id: UUID | None
    command_type: str
    command_source: str
    problem: str
    record: str


class DroppingStore(Protocol):
    """Drops what its retention has ended.

    Raises:
        UnavailableError: by every method; try again later.
    """

    async def drop_finished(self, before: int) -> int:
        """Drop executions that ended before this moment (epoch milliseconds); returns how many: none, none is left.

        Each goes as a whole, or, where this is interrupted, when it is repeated; no open one goes. Only those that
        are not shown any more, nor about to be, may be dropped: a query that runs would see half of one.
        """
        ...

    async def drop_payloads(self, since: int, before: int) -> int:
        """Drop the inputs and outputs of executions that ended from `since` on and before `before`; returns how many.

        All else of them stays. They must not be shown any more, as above; and `drop_finished` must be far from them.
        """
        ...

    async def drop_rejections(self, before: int) -> int:
        """Drop commands that were refused before this moment; returns how many. They must not be shown any more."""
        ...


class HousekeepingStore(DroppingStore, Protocol):
    """What else is done now and then.

    Raises:
        UnavailableError: by every method; try again later.
    """

    async def tidy(self) -> None:
        """Take away what answers do not need any more; however seldom, they stay what they are."""
        ...

    async def close_hours(self) -> int:
        """Count what happened in the next hours that have ended, so that statistics need not; returns how many hours.

        At most a day's; 0: none is left for now. Answers are the same before and after, and if it is interrupted.
        """
        ...

    async def check_hours(self) -> int | None:
        """Find the first of these hours whose counts are wrong (epoch milliseconds), and use none from it on.

        None: all are right. Whoever stores or drops rows by other means than this makes them wrong.
        """
        ...


class ProjectionStore(DroppingStore, Protocol):
    """Keeps what the projector makes of the topics; rows written again replace themselves.

    A `token` names the rows of an insert: repeated with the same token, it has no further effect.

    Raises:
        UnavailableError: by every method; try again later.
    """

    async def positions(self) -> Sequence[PartitionPosition]:
        """The farthest position of every partition that was ever written, with the newest `as_of`."""
        ...

    async def topic_ids(self) -> Mapping[str, UUID]:
        """Kafka's id of each topic whose records these are, by our name; nothing of one that was never written."""
        ...

    async def write_topic_ids(self, ids: Mapping[str, UUID]) -> None:
        """From now on, the records of these topics are those of the topics that have these ids."""
        ...

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        """Store events, and what lists and counts read of them."""
        ...

    async def insert_rejections(self, rows: Sequence[RejectionRow], token: str) -> None:
        """Store refused commands."""
        ...

    async def write_positions(self, positions: Sequence[PartitionPosition]) -> None:
        """Commit. Only after the insert of everything up to these offsets was acknowledged: never before or with it.

        Several projectors may write: the farthest counts, and what it has acknowledged is there.
        """
        ...
