"""What has not started, oldest first: what a matcher reads of what it has not followed."""

from datetime import timedelta

from msgspec.structs import replace

from service.contracts.events import Dependency, TaskExecutionCreated, TaskExecutionReady
from service.contracts.status import Status
from service.ports.read_model import Place
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import Publish
from tests.queries.lives import SECOND, T0, execution_id, life

A, B = "etl:a", "etl:b"


def pending(name: object, task_id: str = A, after: int = 0, **more: object) -> TaskExecutionCreated:
    (created,) = life(name, Status.PENDING, at=T0 + after * SECOND, task_id=task_id)
    assert isinstance(created, TaskExecutionCreated)
    return replace(created, **more)


def ready(created: TaskExecutionCreated) -> TaskExecutionReady:
    common = {
        name: getattr(created, name)
        for name in (
            "execution_id", "task_id", "task_version", "created_by", "created_at", "tags", "command_id", "command_hash"
        )
    }  # fmt: skip
    return TaskExecutionReady(
        **common, sequence=2, occurred_at=created.occurred_at, status=Status.PENDING, previous_status=Status.PENDING
    )


async def test_the_oldest_of_each_task(store: ClickHouseStore, publish: Publish) -> None:
    await publish([pending(number, after=9 - number) for number in range(5)])
    await publish([pending(("b", number), B, after=number) for number in range(2)])
    await publish([event for status in Status if status is not Status.PENDING for event in life(status, status)])
    found = await store.pending([A, B, "etl:none"], 3)
    assert [one.execution_id for one in found if one.task_id == A] == [execution_id(number) for number in (4, 3, 2)]
    assert [one.execution_id for one in found if one.task_id == B] == [execution_id(("b", 0)), execution_id(("b", 1))]
    assert not any(one.waits for one in found)
    assert {one.task_version for one in found} == {"1.0.0"}
    (first, *_, last) = [one for one in found if one.task_id == A]
    assert first.place == Place(int((T0 + 5 * SECOND).timestamp() * 1000), execution_id(4))
    assert [one.execution_id for one in await store.pending([A], 9, last.place)] == [execution_id(1), execution_id(0)]


async def test_of_one_moment_none_is_read_twice_or_passed_over(store: ClickHouseStore, publish: Publish) -> None:
    await publish([pending(number) for number in range(7)])
    found: list[str] = []
    place = None
    while rows := await store.pending([A], 3, place):
        found += [row.execution_id for row in rows]
        place = rows[-1].place
    assert sorted(found) == sorted(execution_id(number) for number in range(7))


async def test_what_waits_says_so_until_it_is_ready(store: ClickHouseStore, publish: Publish) -> None:
    upstream = (Dependency(execution_id("up"), "collect"),)
    later = T0 + timedelta(hours=1)
    waiting = [pending(0, depends_on=upstream), pending(1, after=1, not_before=later)]
    was_waiting = pending(2, after=2, depends_on=upstream)
    odd = pending(3, after=3, resolved_inputs={"dependsOn": [1], "notBefore": "x"})
    await publish([*waiting, was_waiting, odd])
    await publish([ready(was_waiting)])
    assert [one.waits for one in await store.pending([A], 9)] == [True, True, False, False]
