"""One run, against a service that says what a test wants."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from service.contracts.commands import MAX_MESSAGE, FailTaskExecution, HeartbeatTaskExecution, SucceedTaskExecution
from service.contracts.executions import TaskExecution
from service.ports.claims import ClaimTaskExecution
from service.sealing import KeyRing
from service.worker import Run, Worker, executing
from service.worker.calling import failure_text, way_of
from service.worker.executing import Executing, Lease
from service.worker.service import RefusedError, Report, UnreachableError
from tests.api.scripted import RUNNING

RUN = TaskExecution.model_validate(RUNNING)
NOT_OURS = RefusedError("invalid_transition", "it is STOPPED")
KEYS = {"keys": [{"kty": "oct", "kid": "one", "k": "A" * 43}]}


@dataclass
class Scripted:
    """Keeps what is reported; `hangs` and `refuses` are the kinds of report that are not answered, and refused."""

    reports: list[Report] = field(default_factory=list)
    hangs: tuple[type[Report], ...] = ()
    refuses: dict[type[Report], RefusedError] = field(default_factory=dict)
    claims: list[ClaimTaskExecution] = field(default_factory=list)
    work: list[TaskExecution | Exception] = field(default_factory=list)
    over: set[str] = field(default_factory=set)

    async def claim(self, wanted: ClaimTaskExecution) -> TaskExecution | None:
        self.claims.append(wanted)
        await asyncio.sleep(0.01)
        found = self.work.pop(0) if self.work and wanted.tasks else None
        if isinstance(found, Exception):
            raise found
        return found

    async def ended(self, execution_ids: Collection[str], wait: float) -> list[str]:
        await asyncio.sleep(min(wait, 0.05))
        return [id_ for id_ in execution_ids if id_ in self.over]

    async def report(self, report: Report) -> None:
        if isinstance(report, self.hangs):
            await asyncio.sleep(60)
        self.reports.append(report)
        if refusal := self.refuses.get(type(report)):
            raise refusal


async def run(service: Scripted, function: Any, lease: float = 30, **more: Any) -> None:
    executing = Executing(service, Lease("me", timedelta(seconds=lease)), RUN.model_copy(update=more), None)
    await asyncio.wait_for(executing.run(function, way_of(function)), 10)


async def for_ever(inputs: dict[str, Any], run: Run) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        run.stop()


async def test_a_run_is_kept_and_its_outputs_are_told() -> None:
    async def function(inputs: dict[str, Any], run: Run) -> dict[str, Any]:
        run.progress(0.4, "loading\n" + "x" * 300)
        run.progress(message="storing")
        await asyncio.sleep(0.8)
        return {"rows": 3, "none": None}

    service = Scripted()
    await run(service, function, lease=1)
    *beats, end = service.reports
    assert isinstance(end, SucceedTaskExecution)
    assert (end.outputs, end.owner) == ({"rows": 3, "none": None}, "me")
    assert 1 <= len(beats) <= 3
    told = [(beat.progress, beat.message) for beat in beats if isinstance(beat, HeartbeatTaskExecution)]
    assert told[0] == (0.4, "storing")
    assert told[1:] == [(None, None)] * (len(told) - 1), "what was told is not told again"


@pytest.fixture
def distrustful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run trusts a fifth of its lease: the rest is for machines that stand still."""
    assert 0 < executing._TRUSTED < 1
    monkeypatch.setattr(executing, "_TRUSTED", 0.2)


@pytest.mark.usefixtures("distrustful")
async def test_who_hears_nothing_gives_up_before_the_lease_ends() -> None:
    service, began = Scripted(hangs=(HeartbeatTaskExecution,)), asyncio.get_running_loop().time()
    await run(service, for_ever, lease=5)
    assert 0.9 < asyncio.get_running_loop().time() - began < 5
    assert service.reports == []


@pytest.mark.usefixtures("distrustful")
@pytest.mark.parametrize("kind", [SucceedTaskExecution, FailTaskExecution])
async def test_an_end_is_told_until_the_lease_ends(kind: type[Report]) -> None:
    async def function(inputs: dict[str, Any], run: Run) -> None:
        if kind is FailTaskExecution:
            raise LookupError

    service, began = Scripted(hangs=(kind,)), asyncio.get_running_loop().time()
    await run(service, function, lease=5)
    assert 0.9 < asyncio.get_running_loop().time() - began < 5


async def test_what_was_stopped_is_told_nothing_more() -> None:
    service = Scripted(refuses={HeartbeatTaskExecution: NOT_OURS})
    await run(service, for_ever, lease=1)
    assert [type(report) for report in service.reports] == [HeartbeatTaskExecution]


async def test_a_result_that_nobody_wants_is_dropped() -> None:
    service = Scripted(refuses={SucceedTaskExecution: NOT_OURS})
    await run(service, lambda *_: None)
    assert [type(report) for report in service.reports] == [SucceedTaskExecution]


async def test_refused_outputs_are_a_failure() -> None:
    service = Scripted(refuses={SucceedTaskExecution: RefusedError("invalid_outputs", "#/outputs/rows: too few")})
    await run(service, lambda *_: {"rows": 0})
    failed = service.reports[-1]
    assert isinstance(failed, FailTaskExecution)
    assert failed.error_message == "The outputs were refused: #/outputs/rows: too few"


async def test_sealed_inputs_are_opened() -> None:
    keys = KeyRing(json.dumps(KEYS).encode())
    inputs = {"token": keys.seal("secret"), "plain": {"sealed": "x", "more": 1}, "held": {"sealed": None}}
    given: list[dict[str, Any]] = []

    def function(inputs: dict[str, Any], run: Run) -> None:
        given.append(inputs)

    async def with_keys(names: list[str]) -> Report:
        service = Scripted()
        execution = RUN.model_copy(update={"resolved_inputs": {name: inputs[name] for name in names}})
        await Executing(service, Lease("me", timedelta(seconds=30)), execution, keys).run(function, way_of(function))
        return service.reports[-1]

    assert isinstance(await with_keys(["token", "plain"]), SucceedTaskExecution)
    assert given == [{"token": "secret", "plain": {"sealed": "x", "more": 1}}]
    failed = await with_keys(["held"])
    assert isinstance(failed, FailTaskExecution)
    assert failed.error_message.startswith("The input held cannot be opened: ")
    assert len(given) == 1


def test_of_a_long_failure_its_beginning_and_end_are_told() -> None:
    try:
        raise ValueError("x" * 100_000 + "\0\ud800")  # noqa: TRY301 - it needs a traceback
    except ValueError as error:
        text = failure_text(error)
    assert len(text) <= MAX_MESSAGE
    assert text.startswith("ValueError: xxx")
    assert text.rstrip().endswith("x\\x00\\ud800")


def test_a_failure_without_a_message_is_its_type() -> None:
    assert failure_text(TimeoutError()).startswith("TimeoutError\n\n")


async def test_progress_out_of_bounds_is_the_functions_error() -> None:
    service = Scripted()
    await run(service, lambda _, run: run.progress(1.5))
    failed = service.reports[-1]
    assert isinstance(failed, FailTaskExecution)
    assert failed.error_message.startswith("ValueError: how much is done must be from 0 to 1, not 1.5")


def works(worker: Worker, service: Scripted) -> asyncio.Task[None]:
    return asyncio.create_task(worker.serve(service))


async def test_what_ended_elsewhere_is_cancelled_soon() -> None:
    worker, service = Worker(), Scripted(work=[RUN])
    cancelled = asyncio.Event()

    @worker.task("sales:daily_report")
    async def report(inputs: dict[str, Any], run: Run) -> None:
        service.over.add(run.execution.id)
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    serving = works(worker, service)
    await asyncio.wait_for(cancelled.wait(), 8)  # the next heartbeat comes after ten seconds
    worker.stop()
    await asyncio.wait_for(serving, 20)
    assert service.reports == []


async def test_a_worker_that_is_stopped_withdraws() -> None:
    worker, service = Worker(name="w"), Scripted(work=[UnreachableError("not now"), RUN])
    done: list[str] = []

    @worker.task("sales:daily_report", version=">=1.2")
    async def report(inputs: dict[str, Any], run: Run) -> None:
        done.append(run.execution.id)
        worker.stop()

    await asyncio.wait_for(works(worker, service), 5)
    assert done == [RUN.id]
    assert isinstance(service.reports[-1], SucceedTaskExecution)
    assert service.claims[0].owner.startswith("w/")
    assert [(task.task_id, task.version) for task in service.claims[0].tasks] == [("sales:daily_report", ">=1.2")]


async def test_a_worker_that_is_refused_says_so_once_its_runs_have_ended() -> None:
    worker, service = Worker(concurrency=2), Scripted(work=[RUN, RefusedError("principal_required", "who are you?")])
    ended = []

    @worker.task("sales:daily_report")
    async def report(inputs: dict[str, Any], run: Run) -> None:
        await asyncio.sleep(0.3)
        ended.append(run.execution.id)

    with pytest.raises(RefusedError, match="who are you"):
        await asyncio.wait_for(works(worker, service), 5)
    assert ended == [RUN.id]


async def test_what_makes_no_sense_is_refused_when_it_is_said() -> None:
    with pytest.raises(ValueError, match="concurrency must be at least 1"):
        Worker(concurrency=0)
    with pytest.raises(ValueError, match="must be from 1 s"):
        Worker(lease=timedelta(0))
    worker = Worker()
    with pytest.raises(ValueError, match="no task"):
        await worker.serve(Scripted())
    with pytest.raises(ValueError, match="latest"):
        worker.task("a:b", version="latest")(for_ever)
    with pytest.raises(ValueError, match="cannot be a task"):
        worker.task("no-namespace")(for_ever)
    with pytest.raises(ValueError, match="another process"):
        worker.task("a:b", process=True)(lambda *_: None)


async def test_what_spark_calls_it_is_told_even_if_its_heartbeat_was_cut_off() -> None:
    class Slow(Scripted):
        async def report(self, report: Report) -> None:
            if isinstance(report, HeartbeatTaskExecution) and not began.is_set():
                began.set()
                await asyncio.sleep(60)
            await super().report(report)

    began, service = asyncio.Event(), Slow()

    async def function(inputs: dict[str, Any], run: Run) -> None:
        run.spark_application("app-1")
        await began.wait()

    await run(service, function, lease=3)
    beat, end = service.reports
    assert isinstance(beat, HeartbeatTaskExecution)
    assert beat.spark_application_id == "app-1"
    assert isinstance(end, SucceedTaskExecution)


@pytest.mark.parametrize("seconds", [0, 60])
async def test_if_that_is_refused_the_run_fails(seconds: int) -> None:
    async def function(inputs: dict[str, Any], run: Run) -> None:
        run.spark_application("app-1")
        await asyncio.sleep(seconds)

    service = Scripted(refuses={HeartbeatTaskExecution: RefusedError("spark_not_allowed", "it is a sql task")})
    await run(service, function, lease=3)
    end = service.reports[-1]
    assert isinstance(end, FailTaskExecution)
    assert end.error_message == "What the run told was refused: it is a sql task"
