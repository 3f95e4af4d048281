"""Failures one by one, each with what cured it, against a brute-force model and case by case."""

import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view
from service.ports.retentions import Retentions
from service.queries.answers import TaskExecutionFailureInbox
from service.queries.executions import TaskExecutionQueries
from service.queries.requests import GetTaskExecutionFailureInbox, check
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import PARTITIONS, Publish
from tests.queries.lives import SECOND, T0, execution_id, life
from tests.queries.test_filters import CASES, MINUTE, fingerprint, publish_anyhow


async def told(queries: TaskExecutionQueries, **given: Any) -> TaskExecutionFailureInbox:
    return await queries.inbox(check(GetTaskExecutionFailureInbox, **given))


async def cure_of(queries: TaskExecutionQueries, name: object) -> tuple[str, str] | None:
    (one,) = [item for item in (await told(queries)).items if item.execution_id == execution_id(name)]
    return None if one.cured_by is None else (one.cured_by.execution_id, one.cured_by.how)


def failed(name: object, *, at: Timestamp = T0, retried_by: object = None, **given: Any) -> list[Event]:
    *before, end = life(name, Status.FAILURE, at=at, **given)
    changes: dict[str, Any] = {} if retried_by is None else {"retried_by": execution_id(retried_by)}
    return [*before, replaced(end, changes)]


def attempt(name: object, status: Status, of: object, *, at: Timestamp, **given: Any) -> list[Event]:
    return [
        replaced(event, {"retry_of": execution_id(of), "attempt": 2}) for event in life(name, status, at=at, **given)
    ]


def replaced(event: Event, changes: dict[str, Any]) -> Event:
    return msgspec.structs.replace(event, **{k: v for k, v in changes.items() if k in event.__struct_fields__})


LATER = Timestamp.of(T0 + 10 * MINUTE)
LAST = Timestamp.of(T0 + 20 * MINUTE)


async def test_an_attempt_of_the_service_cures_however_many_it_takes(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    await publish(failed("first", retried_by="second"))
    await publish(failed("second", retried_by="third", at=LATER))
    await publish(life("third", at=LAST, task_id="other:id"))

    assert await cure_of(queries, "first") == (execution_id("third"), "attempt")
    assert await cure_of(queries, "second") == (execution_id("third"), "attempt")


async def test_an_attempt_that_somebody_asked_for_cures_as_well(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    await publish(failed("first", inputs={"day": 1}))
    await publish(attempt("again", Status.SUCCESS, "first", at=LATER, inputs={"day": 1}))

    assert await cure_of(queries, "first") == (execution_id("again"), "attempt")


@pytest.mark.parametrize(
    ("inputs", "how"),
    [({"day": 1.0, "a": None}, "same_inputs"), ({"day": 2, "a": None}, "later_success"), ({}, "later_success")],
)
async def test_a_later_success_says_whether_it_had_the_same_inputs(
    queries: TaskExecutionQueries, publish: Publish, inputs: dict[str, Any], how: str
) -> None:
    await publish(failed("first", inputs={"a": None, "day": 1}))
    await publish(life("later", at=LATER, inputs=inputs))
    await publish(life("last", at=LAST, inputs={"a": None, "day": 1}))

    assert await cure_of(queries, "first") == (execution_id("later"), how)


@pytest.mark.parametrize(
    "other",
    [
        life("other", at=T0),
        life("other", Status.FAILURE, at=LATER),
        life("other", Status.RUNNING, at=LATER),
        life("other", at=LATER, task_id="etl:other"),
    ],
    ids=["created before its end", "failed", "runs", "of another task"],
)
async def test_what_is_no_later_success_of_the_task_cures_nothing(
    queries: TaskExecutionQueries, publish: Publish, other: list[Event]
) -> None:
    await publish(failed("first"))
    await publish(other)

    assert await cure_of(queries, "first") is None


async def test_an_attempt_that_still_runs_has_cured_nothing(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(failed("first", retried_by="second"))
    await publish(life("second", Status.RUNNING, at=LATER))

    (one,) = (await told(queries)).items
    assert (one.retried_by, one.cured_by) == (execution_id("second"), None)


async def test_of_nothing_there_is_nothing(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(life("fine"))
    found = await told(queries, task_id="etl:load")

    assert (found.items, found.total) == ((), 0)


@pytest.mark.parametrize("retention", [None, 12 * MINUTE])
async def test_all_are_what_a_model_says(
    store: ClickHouseStore, publish: Publish, without_merges: None, retention: timedelta | None
) -> None:
    rng = random.Random(3)  # noqa: S311 - a seeded model
    lives = [
        life(
            number,
            rng.choice([Status.FAILURE, Status.SUCCESS, *Status]),
            at=Timestamp.of(T0 + rng.randrange(48) * MINUTE + number * timedelta(milliseconds=1)),
            task_id=rng.choice(("etl:load", "ml:train", "sql:a")),
            created_by=rng.choice(("ana", "bo")),
            took=rng.choice((SECOND, MINUTE)),
            why=f"disk full on node {number}",
        )
        for number in range(150)
    ]
    await publish_anyhow(publish, lives, rng)
    everything = [view(events) for events in lives]
    if retention is not None:
        now = T0 + 30 * MINUTE
        store = ClickHouseStore(store._driver, Retentions(retention), now.timestamp)
        everything = [one for one in everything if one.completed_at is None or one.completed_at >= now - retention]
    queries = TaskExecutionQueries(store, PARTITIONS)
    for names in ((), ("task_id",), ("created_by",)):
        given = {name: CASES[name][0] for name in names}
        wanted = [one for one in everything if all(CASES[name][1](one) for name in names)]
        failures = sorted(
            (one for one in wanted if one.status is Status.FAILURE),
            key=lambda one: (one.completed_at, one.id),
            reverse=True,
        )
        found = await told(queries, **given, limit=20)
        assert found.total == len(failures) > 0
        assert [one.execution_id for one in found.items] == [one.id for one in failures][:20]
        for item, one in zip(found.items, failures, strict=False):
            assert item.fingerprint == fingerprint(one.error_message or "")
            next_ = next_success(one, everything)
            assert (item.cured_by and item.cured_by.execution_id) == (next_ and next_.id)


def next_success(failure: TaskExecution, everything: list[TaskExecution]) -> TaskExecution | None:
    later = (
        one
        for one in everything
        if one.status is Status.SUCCESS
        and one.task_id == failure.task_id
        and failure.completed_at is not None
        and one.metadata.created_at >= failure.completed_at
    )
    return min(later, key=lambda one: one.metadata.created_at, default=None)
