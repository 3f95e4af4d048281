"""Refused commands: listed, narrowed, and shown as they came."""

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from service.contracts.codec import encode
from service.contracts.envelope import envelope_headers
from service.contracts.problems import Code, RejectedError, problem
from service.contracts.rejections import REJECTION_TYPE, CommandRejected, OriginalHeader, OriginalRecord
from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import REJECTIONS_TOPIC
from service.kafka.records import Record
from service.ports.filters import RejectionFilters
from service.ports.retentions import Retentions
from service.projection.rows import rejection_row
from service.queries.answers import TaskCommandRejection
from service.queries.executions import TaskExecutionQueries
from service.queries.requests import ListTaskCommandRejections, check
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.lives import T0, execution_id

CODES = (Code.INVALID_JSON, Code.INVALID_COMMAND, Code.EXECUTION_NOT_FOUND)
AT = Timestamp.of(T0 + timedelta(minutes=5))


def original(number: int) -> OriginalRecord:
    body = f'{{"executionId":"{execution_id(number % 4)}","n":{number}}}'.encode()
    sent = {"ce_type": ("StopTaskExecution", "StartTaskExecution")[number % 2], "ce_source": f"/team/{number % 3}"}
    return OriginalRecord(
        topic="task-execution.commands", partition=0, offset=number, timestamp=T0, value_size=len(body),
        headers=tuple(OriginalHeader(name=n, value=b64encode(v.encode()).decode()) for n, v in sent.items()),
        value=b64encode(body).decode(),
    )  # fmt: skip


async def store_all(store: ClickHouseStore, count: int, token: str = "") -> None:
    rows = []
    for number in range(count):
        rejected = CommandRejected(problem=problem(CODES[number % 3], f"number {number}"), record=original(number))
        at = epoch_ms(T0 + timedelta(minutes=number // 2))  # two at each moment
        value = encode(rejected.model_dump(mode="json", exclude_none=True))
        headers = tuple(envelope_headers(REJECTION_TYPE, "id", "id", T0))
        rows.append(rejection_row(Record(REJECTIONS_TOPIC, number % 2, number, at, None, value, headers)))
    await store.insert_rejections(rows, token)
    await store.insert_rejections(rows[::2], f"{token} again")


def asked(**given: Any) -> ListTaskCommandRejections:
    return check(ListTaskCommandRejections, **given)


CASES: dict[str, tuple[Any, Callable[[TaskCommandRejection], bool]]] = {
    "code": ("invalid_json", lambda one: one.problem.code is Code.INVALID_JSON),
    "command_source": ("/team/1", lambda one: one.command_source == "/team/1"),
    "command_type": ("StartTaskExecution", lambda one: one.command_type == "StartTaskExecution"),
    "execution_id": (execution_id(2), lambda one: one.execution_id == execution_id(2)),
    "rejected_from": (str(AT), lambda one: one.rejected_at >= AT),
    "rejected_to": (str(AT), lambda one: one.rejected_at < AT),
}
"""Of each filter, a value that some fit, and what fits it."""


async def test_every_filter_filters(queries: TaskExecutionQueries, store: ClickHouseStore) -> None:
    assert CASES.keys() == RejectionFilters.model_fields.keys()
    await store_all(store, 24)
    everything = (await queries.rejections(asked(page_size=100))).items
    assert len(everything) == 24
    for name, (value, fits) in CASES.items():
        page = await queries.rejections(asked(page_size=100, **{name: value}))
        assert page.items == tuple(filter(fits, everything)), name
        assert 0 < page.total == len(page.items) < 24, name


async def test_pages_give_each_once_newest_first(queries: TaskExecutionQueries, store: ClickHouseStore) -> None:
    await store_all(store, 23)
    page = await queries.rejections(asked(page_size=5))
    found = [*page.items]
    while page.next_cursor:
        page = await queries.rejections(asked(page_size=5, cursor=page.next_cursor))
        assert page.total == 23
        found += page.items
    assert len({str(one.position) for one in found}) == len(found) == 23
    times = [one.rejected_at for one in found]
    assert times == sorted(times, reverse=True)


async def test_one_is_shown_with_the_record_as_it_came(queries: TaskExecutionQueries, store: ClickHouseStore) -> None:
    await store_all(store, 6)
    for listed in (await queries.rejections(asked())).items:
        assert listed.record is None
        shown = await queries.rejection(listed.position)
        assert shown.record == original(listed.position.offset)
        assert shown.model_copy(update={"record": None}) == listed


async def test_what_is_not_there_is_not_found(queries: TaskExecutionQueries) -> None:
    for position, code in (("0:7", Code.NOT_FOUND), ("99999:7", Code.NOT_FOUND), ("latest", Code.INVALID_REQUEST)):
        with pytest.raises(RejectedError) as refused:
            await queries.rejection(position)
        assert refused.value.problem.code is code


async def test_what_its_retention_has_ended_is_hidden_and_then_dropped(driver: Driver, store: ClickHouseStore) -> None:
    """Those of the first five minutes: ten, and some of them twice."""
    await store_all(store, 24)
    week = timedelta(days=7)
    kept = ClickHouseStore(driver, Retentions(rejections=week), clock=(AT + week).timestamp)
    queries = TaskExecutionQueries(kept, 8)
    for dropped in (0, 10, 0):
        page = await queries.rejections(asked(page_size=100))
        assert {one.position.offset for one in page.items} == {*range(10, 24)}
        assert page.total == await queries.rejections_count() == 14
        with pytest.raises(RejectedError, match="No refused command"):
            await queries.rejection("1:9")
        assert (await queries.rejection("0:10")).rejected_at == AT
        if dropped:
            assert await kept.drop_rejections(epoch_ms(AT)) == dropped
        assert await kept.drop_rejections(epoch_ms(T0)) == 0
    assert (await driver.query("SELECT min(offset) AS first FROM task_command_rejections")) == [{"first": 10}]
    await store_all(store, 24, "a replay")
    assert await queries.rejections_count() == 14
    assert await kept.drop_rejections(epoch_ms(AT)) == 10
    assert await TaskExecutionQueries(store, 8).rejections_count() == 14
