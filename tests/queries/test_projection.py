"""What is said of the projection, from Kafka's side."""

from datetime import UTC, timedelta

import pytest

from service.contracts.problems import Code, RejectedError
from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.ports.errors import UnavailableError
from service.ports.positions import PartitionPosition
from service.queries.executions import TaskExecutionQueries
from service.queries.projection import projection_status
from service.read_model.clickhouse.store import ClickHouseStore

NOW = Timestamp(2026, 3, 2, 9, 30, tzinfo=UTC)


def position(number: int, offset: int, age_seconds: float) -> PartitionPosition:
    as_of = epoch_ms(NOW - timedelta(seconds=age_seconds))
    return PartitionPosition(EVENTS_TOPIC, number, offset, offset + 1, as_of)


@pytest.mark.parametrize(
    ("positions", "state", "lag"),
    [
        ([position(0, 9, 1), position(1, 4, 2)], "FOLLOWING", 0),
        ([position(0, 5, 1), position(1, 4, 14)], "FOLLOWING", 4),
        ([position(0, 9, 1), position(1, 4, 16)], "STALLED", 0),
        ([position(0, 9, 1)], "STALLED", 5),
        ([], "NEVER_RAN", 15),
    ],
)
def test_the_state_follows_from_the_oldest_commit_and_the_lag_from_kafka(
    positions: list[PartitionPosition], state: str, lag: int
) -> None:
    status = projection_status(positions, {(EVENTS_TOPIC, 1): 5, (EVENTS_TOPIC, 0): 10}, NOW)
    assert (status.state, status.lag) == (state, lag)
    assert [one.partition for one in status.partitions] == [0, 1]
    assert [one.end for one in status.partitions] == [10, 5]


class Ends:
    def __init__(self, outage: Exception | None = None) -> None:
        self.outage = outage

    async def ends(self) -> dict[tuple[str, int], int]:
        if self.outage:
            raise self.outage
        return {(EVENTS_TOPIC, 0): 10, (REJECTIONS_TOPIC, 0): 1}


async def test_a_projector_that_has_gone_is_stalled(store: ClickHouseStore) -> None:
    old = epoch_ms(Timestamp.now(UTC)) - 60_000
    await store.write_positions([PartitionPosition(topic, 0, 0, 1, old) for topic in (EVENTS_TOPIC, REJECTIONS_TOPIC)])
    status = await TaskExecutionQueries(store, 1, ends=Ends()).projection()
    assert (status.state, status.lag, status.as_of) == ("STALLED", 9, Timestamp.from_epoch_ms(old))


async def test_while_kafka_is_down_nobody_can_say(store: ClickHouseStore) -> None:
    with pytest.raises(RejectedError) as refused:
        await TaskExecutionQueries(store, 1, ends=Ends(UnavailableError("down"))).projection()
    assert refused.value.problem.code is Code.UNAVAILABLE
