"""Failures by the fingerprint of their message, against a brute-force model, on many unmerged parts."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view
from service.ports.retentions import Retentions
from service.queries.answers import TaskExecutionFailures
from service.queries.executions import TaskExecutionQueries
from service.queries.requests import GetTaskExecutionFailures, check
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import PARTITIONS, Publish
from tests.queries.lives import SECOND, T0, asked, execution_id, life
from tests.queries.test_filters import CASES, MINUTE, fingerprint, publish_anyhow

ID = "7d0f8a9e-1c2b-4d3e-8f90-112233445566"
LOOKING_ALIKE: dict[str, list[str]] = {
    "worker-<n> lost its connection to <n> after <n> s": [
        "worker-7 lost its connection to 10.0.3.4 after 30 s",
        "worker-12 lost its\tconnection to 10.0.3.255 after 1,5 s\n",
    ],
    'Traceback (most recent call last): File "<path>", line <n>, in main raise E(x) ValueError: <id>': [
        f'Traceback (most recent call last):\n  File "{file}", line {n}, in main\n    raise E(x)\nValueError: {id_}'
        for file, n, id_ in (("/app/a.py", 12, ID), ("/opt/app-2/lib/python3.11/b.py", 1207, ID.upper()))
    ],
    "java.io.IOException: <path> not found at org.x.Reader.open(Reader.scala:<n>)": [
        f"java.io.IOException: s3a://lake/raw/day=2026-03-0{n}/part-{n}-{ID}.parquet not found\n"
        f"\tat org.x.Reader.open(Reader.scala:{n})"
        for n in (1, 9)
    ],
    'ERROR: duplicate key value violates "runs_pkey" DETAIL: Key (id)=(<id>) already exists.': [
        f'ERROR:  duplicate key value violates "runs_pkey"\nDETAIL:  Key (id)=({id_}) already exists.'
        for id_ in ("deadbeef01", "1700000000000", ID, "0xF")
    ],
    "GET <path> timed out after <n>ms (try <n> of <n>)": [
        "GET https://host-1:8443/v1/x?id=17&y=%20 timed out after 30000ms (try 1 of 3)",
        f"GET http://localhost/{ID} timed out after 5ms (try 3 of 3)",
    ],
    "Ümläut: Zeile <n> ist kaputt - 数据库错误 <n> 💥": [
        "Ümläut: Zeile 3 ist kaputt - 数据库错误 42 💥",
        "Ümläut: Zeile 4711 ist kaputt - 数据库错误 1 💥",
    ],
    "application_<id>_<n> was killed: <path>: No space left": [
        f"application_1700000000000_0042 was killed: /data/{ID}/out.csv: No space left",
        "application_1700000000999_7 was killed: /tmp/x/: No space left",
    ],
    "and/or <n>% C:\\temp\\x \\N '{x:String}' %s": ["and/or 5% C:\\temp\\x \\N '{x:String}' %s"],
    "": [" \n "],
    "é" * 200: ["é" * 201, "é" * 5000],
}
"""By their fingerprint, messages as programs write them."""


def failed(name: object, message: str, at: Timestamp = T0, **given: Any) -> list[Event]:
    return life(name, Status.FAILURE, at=at, why=message, **given)


def some_lives(seed: int, count: int) -> list[list[Event]]:
    rng = random.Random(seed)  # noqa: S311 - a seeded model
    messages = [message for alike in LOOKING_ALIKE.values() for message in alike]
    return [
        life(
            (seed, number),
            rng.choice([Status.FAILURE] * 4 + [*Status]),
            at=T0 + rng.randrange(48) * MINUTE,
            task_id=rng.choice(("etl:load", "ml:train", *(f"sql:t{n}" for n in range(9)))),
            task_version=rng.choice(("1.0.0", "1.1.0")),
            created_by=rng.choice(("ana", "bo")),
            tags=rng.choice(((), ("nightly", "x"), ("x",))),
            took=rng.choice((SECOND, MINUTE, 30 * MINUTE)),
            why=rng.choice(messages),
        )
        for number in range(count)
    ]


async def told(queries: TaskExecutionQueries, **given: Any) -> TaskExecutionFailures:
    return await queries.failures(check(GetTaskExecutionFailures, **given))


def same(found: TaskExecutionFailures, failures: Sequence[TaskExecution], limit: int = 20) -> None:
    groups = defaultdict(list)
    for one in failures:
        groups[fingerprint(one.error_message or "")].append(one)
    assert (found.total, found.group_count, len(found.items)) == (len(failures), len(groups), min(len(groups), limit))
    order = [(-group.count, -group.last_seen.timestamp(), group.fingerprint) for group in found.items]
    assert order == sorted(order)
    assert [group.count for group in found.items] == sorted(map(len, groups.values()), reverse=True)[:limit]
    for group in found.items:
        members = {one.id: one for one in groups[group.fingerprint]}
        ends = [one.completed_at for one in members.values() if one.completed_at]
        tasks = Counter(one.task_id for one in members.values())
        newest = members[group.execution_id]
        assert (group.count, group.first_seen, group.last_seen) == (len(members), min(ends), max(ends))
        assert newest.completed_at == group.last_seen
        assert group.error_message == (newest.error_message or "")[:4096]
        assert list(group.tasks) == sorted(tasks, key=lambda task: (-tasks[task], task))[:5]
        assert group.task_count == len(tasks)


@pytest.mark.parametrize("kept", [None, T0 + timedelta(minutes=10)])
async def test_groups_are_what_a_model_says_and_lead_to_their_runs(
    store: ClickHouseStore, publish: Publish, without_merges: None, kept: Timestamp | None
) -> None:
    known = some_lives(31, 150)
    await publish_anyhow(publish, known, random.Random(31))  # noqa: S311 - a seeded model
    failures = [one for one in map(view, known) if one.status is Status.FAILURE]
    if kept:
        failures = [one for one in failures if one.completed_at and one.completed_at >= kept]
        store = ClickHouseStore(store._driver, Retentions(timedelta(days=1)), (kept + timedelta(days=1)).timestamp)
    queries = TaskExecutionQueries(store, PARTITIONS)
    for names in ((), ("task_id",), ("tag", "created_from"), ("completed_from", "created_by"), ("completed_to",)):
        given = {name: CASES[name][0] for name in names}
        wanted = [one for one in failures if all(CASES[name][1](one) for name in names)]
        assert wanted, names
        same(await told(queries, **given), wanted)
        same(await told(queries, **given, limit=2), wanted, limit=2)
    for group in (await told(queries)).items:
        page = await queries.list(asked(fingerprint=group.fingerprint, page_size=1000, counts=True))
        assert {item.id for item in page.items} == {
            one.id for one in failures if fingerprint(one.error_message or "") == group.fingerprint
        }
        assert page.total == group.count == (page.counts and page.counts.failure)


@pytest.mark.parametrize("expected", LOOKING_ALIKE)
async def test_messages_that_differ_in_ids_paths_and_numbers_look_alike(
    queries: TaskExecutionQueries, publish: Publish, expected: str
) -> None:
    messages = LOOKING_ALIKE[expected]
    await publish(event for n, message in enumerate(messages) for event in failed(n, message, at=T0 + n * SECOND))
    (group,) = (await told(queries)).items
    assert (group.fingerprint, group.count) == (expected, len(messages))
    assert (group.execution_id, group.error_message) == (execution_id(len(messages) - 1), messages[-1][:4096])
    assert (await queries.list(asked(fingerprint=expected))).total == len(messages)


async def test_failures_and_long_runs_of_before_there_were_columns_for_them_are_found(
    queries: TaskExecutionQueries, publish: Publish, driver: Driver
) -> None:
    """Tables of an earlier version: the projector adds what is missing, parts that are there stay as they are."""
    await driver.command("ALTER TABLE task_execution_transitions DROP INDEX by_run")
    await driver.command("ALTER TABLE task_execution_transitions DROP COLUMN fingerprint")
    await publish(failed(1, "disk full on node 7", at=T0))
    await create_schema(driver, migrating=True)
    await publish(failed(2, "disk full on node 8", at=T0 + MINUTE))
    (group,) = (await told(queries)).items
    assert (group.fingerprint, group.count) == ("disk full on node <n>", 2)
    assert (await queries.list(asked(fingerprint="disk full on node <n>", sort="duration"))).total == 2
    await driver.command("OPTIMIZE TABLE task_execution_transitions FINAL")
    assert (await told(queries)).items == (group,)


async def test_what_did_not_fail_has_no_fingerprint(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(event for status in Status for event in life(status, status, why="disk full on node 7"))
    found = await told(queries)
    assert ([group.fingerprint for group in found.items], found.total) == (["disk full on node <n>"], 1)
    assert (await queries.list(asked(fingerprint="disk full on node <n>"))).total == 1
    for status in ("SKIPPED", "RUNNING"):
        assert (await queries.list(asked(fingerprint="disk full on node <n>", status=[status]))).total == 0


async def test_of_nothing_there_are_no_groups(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(life("fine"))
    found = await told(queries, task_id="etl:load")
    assert (found.items, found.total, found.group_count) == ((), 0, 0)


async def test_what_is_wrong_is_said_at_once(queries: TaskExecutionQueries) -> None:
    with pytest.raises(RejectedError) as refused:
        await told(queries, limit=1001, completed_from="soon", task_id="x")
    assert refused.value.problem.code is Code.INVALID_REQUEST
    assert {error.pointer for error in refused.value.problem.errors} == {"#/limit", "#/completedFrom", "#/taskId"}
