import json

import pytest

from service.contracts.codec import decode
from service.contracts.problems import Code, RejectedError
from service.contracts.replies import Position
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.ports.positions import PartitionPosition
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import PARTITIONS, Publish
from tests.queries.lives import SECOND, T0, asked, body, execution_id, life

ALWAYS = {"id", "taskId", "taskVersion", "status", "resolvedInputs", "metadata"}
OURS = {"commandId", "commandHash"}
"""What an event has for the write side only."""
PRESENT = {
    (Status.PENDING, True): ALWAYS,
    (Status.RUNNING, True): ALWAYS | {"startedAt"},
    (Status.SUCCESS, True): ALWAYS | {"startedAt", "completedAt", "outputs"},
    (Status.FAILURE, True): ALWAYS | {"startedAt", "completedAt", "errorMessage"},
    (Status.STOPPED, True): ALWAYS | {"startedAt", "completedAt"},
    (Status.STOPPED, False): ALWAYS | {"completedAt"},
    (Status.SKIPPED, True): ALWAYS | {"completedAt", "skipReason"},
}


@pytest.mark.parametrize(("status", "started"), PRESENT)
async def test_the_fields_that_are_present_depend_on_the_status(
    queries: TaskExecutionQueries, publish: Publish, status: Status, *, started: bool
) -> None:
    await publish(life("a", status, started=started))
    answer = await queries.get(execution_id("a"))
    (listed,) = (await queries.list(asked())).items
    assert set(answer.model_dump(mode="json", exclude_none=True)) == PRESENT[status, started]
    assert listed.model_dump() == answer.model_dump(exclude={"as_of", "lag"})


async def test_an_answer_is_the_whole_record(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(life("a", inputs={"n": 1}, outputs={"m": 2}, tags=("x",), spark_application_id="app-1"))
    answer = await queries.get(execution_id("a").upper())
    assert json.loads(answer.model_dump_json(exclude_none=True)) == {
        "id": execution_id("a"),
        "taskId": "etl:load",
        "taskVersion": "1.0.0",
        "status": "SUCCESS",
        "resolvedInputs": {"n": 1},
        "outputs": {"m": 2},
        "startedAt": "2026-03-02T09:30:01.000Z",
        "completedAt": "2026-03-02T09:30:03.000Z",
        "metadata": {
            "createdAt": "2026-03-02T09:30:00.000Z", "createdBy": "ana", "sparkApplicationId": "app-1", "tags": ["x"],
        },
    }  # fmt: skip


async def test_payloads_come_back_as_they_went_in(queries: TaskExecutionQueries, publish: Publish) -> None:
    inputs = (
        '{"z":null,"a":{},"list":[],"one":1.0,"big":9223372036854775807,"tiny":1e-300,"at":"2026-03-02T09:30:00.10Z",'
        '"ü":"🎈 \\"quoted\\" back\\\\slash \\t","deep":{"z":[{"y":null,"a":[1,1.0,true]}]},'
        '"pair":{"a":{"b":1},"a.b":2}}'
    )
    await publish(life("a", inputs=decode(inputs.encode())))
    answer = json.loads((await queries.get(execution_id("a"))).model_dump_json(exclude_none=True))
    assert json.dumps(answer["resolvedInputs"], ensure_ascii=False, separators=(",", ":")) == inputs


async def test_history_has_every_event_as_it_was_published(queries: TaskExecutionQueries, publish: Publish) -> None:
    events = life("a", Status.FAILURE)
    await publish(reversed(events))
    await publish(events)
    history = await queries.history(execution_id("a"))
    assert [item.type.removeprefix("TaskExecution") for item in history.items] == ["Created", "Started", "Failed"]
    assert [item.time for item in history.items] == [T0, T0 + SECOND, T0 + 3 * SECOND]
    assert [item.status for item in history.items] == [Status.PENDING, Status.RUNNING, Status.FAILURE]
    told = [{name: value for name, value in json.loads(body(event)).items() if name not in OURS} for event in events]
    assert [item.data for item in history.items] == told


@pytest.mark.parametrize("ask", ["get", "history"])
async def test_what_does_not_exist_is_not_found(queries: TaskExecutionQueries, ask: str) -> None:
    with pytest.raises(RejectedError, match="no task execution") as caught:
        await getattr(queries, ask)(execution_id("nobody"))
    assert caught.value.problem.code is Code.EXECUTION_NOT_FOUND


async def test_one_whose_first_event_was_lost_harms_no_other(queries: TaskExecutionQueries, publish: Publish) -> None:
    """Kafka can have lost it: the projector says so."""
    await publish([*life("lost")[1:], *life("whole")])
    for ask in (queries.get, queries.history):
        with pytest.raises(RejectedError) as caught:
            await ask(execution_id("lost"))
        assert caught.value.problem.code is Code.EXECUTION_NOT_FOUND
    for status in ([], ["SUCCESS"]):
        page = await queries.list(asked(status=status))
        assert ([item.id for item in page.items], page.total) == ([execution_id("whole")], 1)


async def test_everything_that_is_wrong_is_said_at_once(queries: TaskExecutionQueries) -> None:
    with pytest.raises(RejectedError) as caught:
        await queries.get("x'; DROP TABLE", min_position="latest")
    assert caught.value.problem.code is Code.INVALID_REQUEST
    assert {error.pointer for error in caught.value.problem.errors} == {"#/executionId", "#/minPosition"}


async def test_before_the_projector_ever_ran_freshness_is_unknown(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    await publish(life("a"))
    answer = await queries.get(execution_id("a"))
    assert (answer.as_of, answer.lag) == (None, None)


async def test_freshness_is_the_oldest_commit_and_the_sum_of_what_is_missing(
    queries: TaskExecutionQueries, store: ClickHouseStore
) -> None:
    commits = [
        (EVENTS_TOPIC, 0, 9, 10, 5000),
        (EVENTS_TOPIC, 1, 4, 8, 4000),
        (EVENTS_TOPIC, 2, -1, 2, 6000),
        (REJECTIONS_TOPIC, 0, 0, 9, 1),
    ]
    await store.write_positions([PartitionPosition(*commit) for commit in commits])
    stats = await queries.stats()
    assert (stats.as_of, stats.lag) == (Timestamp.from_epoch_ms(4000), 0 + 3 + 2)


async def test_min_position_waits_until_it_is_passed(queries: TaskExecutionQueries, store: ClickHouseStore) -> None:
    await store.write_positions(
        [PartitionPosition(EVENTS_TOPIC, 1, 4, 5, 1), PartitionPosition(REJECTIONS_TOPIC, 1, 9, 9, 1)]
    )
    assert (await queries.stats(min_position="1:4")).total == 0
    for beyond in (Position(partition=1, offset=5), "7:0"):
        with pytest.raises(RejectedError, match=f"at {beyond} has not") as caught:
            await queries.stats(min_position=beyond)
        assert caught.value.problem.code is Code.PROJECTION_BEHIND


async def test_unavailable_is_a_problem_and_a_mistake_is_not() -> None:
    driver = connect("clickhouse://127.0.0.1:9")
    with pytest.raises(RejectedError) as caught:
        await TaskExecutionQueries(ClickHouseStore(driver), PARTITIONS).get(execution_id("a"))
    assert caught.value.problem.code is Code.UNAVAILABLE
    assert "127.0.0.1" not in caught.value.problem.detail
    await driver.close()
