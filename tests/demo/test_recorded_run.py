"""Recorded workflows, played through the whole service: one service for all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from rich.console import Console

from service.bootstrap import running_embedded
from service.contracts.status import Status
from service.demo.recorded_run import Play, definitions_of, disagreements, play_recording
from service.demo.recordings import RecordedTask, Recording
from service.domain.definitions import Definition
from service.runtime.running import Running
from service.settings import Settings
from tests.recorded import below, each_recording, places, recorded, tasks_in


@pytest_asyncio.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    directory = tmp_path_factory.mktemp("play")
    async with running_embedded(directory, Settings(http_port=0), kafka_port=0) as running:
        yield running


@pytest.mark.parametrize("place", ["none", "root", "middle", "leaf"])
@each_recording()
async def test_those_below_one_that_fails_are_skipped_and_nobody_else(running: Running, file: Path, place: str) -> None:
    recording, tasks = recorded(file), tasks_in(file)
    fails = None if place == "none" else places(tasks)[place]
    failing = {recording.find(fails)} if fails else set[str]()

    ended = await play_recording(Play(recording, failing, seed=7), running, Console(quiet=True))

    skipped = sorted(recording.find(one) for one in below(tasks, fails)) if fails else []
    assert ended.wrong == []
    assert ended.summary == {
        "total": len(tasks), "success": len(tasks) - len(failing) - len(skipped), "failure": len(failing),
        "skipped": skipped,
    }  # fmt: skip
    executions = ended.executions
    for name, execution in executions.items():
        parents = [executions[parent] for parent in recording.tasks[name].parents]
        if execution.status is Status.SKIPPED:
            assert execution.started_at is None
            cause, _, node = (execution.skip_reason or "").partition(": ")
            assert node in recording.tasks[name].parents
            assert (cause, executions[node].status) in {
                ("upstream_failed", Status.FAILURE), ("upstream_skipped", Status.SKIPPED)
            }  # fmt: skip
        else:
            assert execution.started_at
            assert all(one.completed_at and one.completed_at <= execution.started_at for one in parents)
    if fails:
        around = {fails, *below(tasks, fails), *(one["id"] for one in tasks if fails in below(tasks, one["id"]))}
        assert running.queries
        graph = await running.queries.graph(executions[recording.find(fails)].id)
        assert {one.id for one in graph.nodes} == {executions[recording.find(one)].id for one in around}
        assert {one.status for one in graph.nodes} <= {Status.SUCCESS, Status.FAILURE, Status.SKIPPED}


async def test_runtimes_are_scaled(running: Running) -> None:
    tasks = {"a": RecordedTask("a", (), 20.0), "b": RecordedTask("b", ("a",), 30.0)}
    recording = Recording("scaled", tasks, {})
    ended = await play_recording(Play(recording, set(), scale=0.01), running, Console(quiet=True))
    assert ended.wrong == []
    assert ended.seconds >= 0.5


def test_there_is_a_definition_for_each_kind_of_task_whatever_its_name() -> None:
    names = ("blastall_ID000001", "blastall_ID000002", "cat 7", "42", "x" * 255)
    recording = Recording("A flow/1 " + "y" * 200, {name: RecordedTask(name, (), 1.0) for name in names}, {})
    definitions = definitions_of(recording)
    kinds = {definition.task_id.partition(":")[2] for definition in definitions}
    assert kinds == {"blastall", "cat", "42", "x" * 120}
    assert all(Definition(definition) for definition in definitions)


def test_what_did_not_end_as_it_must_is_told() -> None:
    assert disagreements({"a": Status.SUCCESS, "b": Status.SKIPPED}, {}) == [
        "a: not there, not SUCCESS",
        "b: not there, not SKIPPED",
    ]
