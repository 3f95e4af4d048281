"""What `taskexec export` writes is what a model says: over HTTP, from a real engine, in every format, page by page."""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli import export
from service.cli.main import app
from service.cli.remote import Answer, Remote
from service.cli.request_options import option_of
from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.domain.view import view
from service.queries import payloads
from service.queries.executions import TaskExecutionQueries
from tests.api.scripted import ScriptedCommands
from tests.cli.conftest import serving
from tests.cli.test_export import read
from tests.queries.conftest import Publish
from tests.queries.lives import SECOND, life
from tests.queries.test_filters import CASES, lives, publish_anyhow
from tests.queries.test_list import NOW

EARLIER = NOW - timedelta(hours=1)


def row(one: TaskExecution) -> dict[str, Any]:
    """As JSON lines have it."""
    metadata, ms = one.metadata, timedelta(milliseconds=1)
    return {
        "id": one.id, "taskId": one.task_id, "taskVersion": one.task_version, "status": one.status,
        "createdAt": str(metadata.created_at), "startedAt": one.started_at and str(one.started_at),
        "completedAt": one.completed_at and str(one.completed_at),
        "queueMs": one.started_at and (one.started_at - metadata.created_at) // ms,
        "runMs": one.started_at and one.completed_at and (one.completed_at - one.started_at) // ms,
        "createdBy": metadata.created_by, "tags": [*metadata.tags], "errorMessage": one.error_message,
        "skipReason": one.skip_reason, "sparkApplicationId": metadata.spark_application_id,
        "resolvedInputs": compact(one.resolved_inputs), "outputs": compact(one.outputs),
    }  # fmt: skip


def compact(payload: object) -> str | None:
    return None if payload is None else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


async def exported(queries: TaskExecutionQueries, *arguments: str) -> Result:
    with serving(ScriptedCommands(), queries) as url:
        run = CliRunner().invoke
        return await asyncio.to_thread(run, app, ["export", *arguments], env={"TASKEXEC_URL": url})


def same(found: Sequence[dict[str, Any]], wanted: Sequence[TaskExecution]) -> None:
    """Each once, newest first; among equals, ClickHouse orders ids in an order of its own."""
    assert len(found) == len(wanted)
    assert {each["id"]: each for each in found} == {one.id: row(one) for one in wanted}
    times = [each["createdAt"] for each in found]
    assert times == sorted(times, reverse=True)


@pytest.mark.usefixtures("without_merges")
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
async def test_every_execution_that_fits_is_there_once_as_it_is(
    queries: TaskExecutionQueries, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(export, "MAX_PAGE_SIZE", 7)
    payload = {"ünï": [1.0, None, {"": {}}], 'quote"': "line\nbreak,\tand ; comma", "big": 2**63 - 1, "💥": False}
    known = [
        *lives(41, 100),
        life("payloads", inputs=payload, outputs=payload, tags=("a,b", 'c"', "é")),
        life("message", Status.FAILURE, why='Traceback:\n  File "a", line 1\r\n\x1b[31m=1+1,"'),
    ]
    await publish_anyhow(publish, known, random.Random(41))  # noqa: S311 - a seeded model
    everything = [view(events) for events in known]
    for names in ((), ("task_id", "status"), ("min_duration", "tag"), ("fingerprint",)):
        options = [
            (option_of(name), value)
            for name in names
            for value in (CASES[name][0] if isinstance(CASES[name][0], list) else [CASES[name][0]])
        ]
        file = tmp_path / f"runs.{suffix}"
        result = await exported(queries, "--file", str(file), *(part for option in options for part in option))
        assert result.exit_code == 0, result.stderr
        wanted = [one for one in everything if all(CASES[name][1](one) for name in names)]
        assert wanted, names
        same(read(file), wanted)
        assert f"{len(wanted)} executions" in result.stderr


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the same over HTTP
async def test_what_comes_while_it_runs_is_not_in_it(
    queries: TaskExecutionQueries, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But what is going on goes on: an execution is as it was when its page was read."""
    monkeypatch.setattr(export, "MAX_PAGE_SIZE", 10)
    known = [life(number, at=EARLIER + number * SECOND) for number in range(30)]
    open_ = [life(("open", number), at=EARLIER - number * SECOND) for number in range(1, 4)]
    await publish(event for events in [*known, *(events[:2] for events in open_)] for event in events)
    loop, pages = asyncio.get_running_loop(), 0
    ask = Remote.get

    async def come() -> None:
        new: list[Event] = [
            event for number in range(5) for event in life(("new", pages, number), at=NOW + timedelta(days=1))
        ]
        ended = [events[2] for events in open_] if pages == 1 else []
        await publish([*new, *ended])

    def get(remote: Remote, *arguments: Any) -> Answer:
        nonlocal pages
        answer = ask(remote, *arguments)
        pages += 1
        asyncio.run_coroutine_threadsafe(come(), loop).result(30)
        return answer

    monkeypatch.setattr(Remote, "get", get)
    file = tmp_path / "runs.jsonl"
    assert (await exported(queries, "--file", str(file))).exit_code == 0
    same(read(file), [view(events) for events in known + open_])
    assert pages == 4


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the same over HTTP
@pytest.mark.parametrize("kilobytes", [1, 10, 30])
async def test_payloads_that_are_more_than_a_page_has_are_there(
    queries: TaskExecutionQueries, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kilobytes: int
) -> None:
    monkeypatch.setattr(payloads, "MAX_PAGE_BYTES", 40_000)
    monkeypatch.setattr(export, "MAX_PAGE_SIZE", 50)
    known = [
        life(number, at=EARLIER + number * SECOND, inputs={"x": "x" * 1000 * (kilobytes if number % 40 > 10 else 0)})
        for number in range(120)
    ]
    await publish(event for events in known for event in events)
    file = tmp_path / "runs.jsonl"
    assert (await exported(queries, "--file", str(file))).exit_code == 0
    same(read(file), [view(events) for events in known])
