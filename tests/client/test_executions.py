"""The client of the whole service: whatever it does, it does over Kafka and over HTTP alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import pytest
import stamina
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from uuid_utils.compat import uuid7

from service.client import (
    CommandUnansweredError,
    ConflictError,
    InvalidRequestError,
    NotFinishedError,
    NotFoundError,
    TaskExecutions,
    over_kafka,
)
from service.client.asking import PageQuery, StatsQuery
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.queries.requests import GetTaskExecutionStats, ListTaskExecutions
from tests.client.programs import run_strictly
from tests.client.service import INPUTS, TASK, TRANSPORTS, VERSION, Service, a_service, forwarded
from tests.handling.world import a_world, header


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with a_service(tmp_path_factory.mktemp("client")) as service:
        yield service


@pytest.fixture(params=TRANSPORTS)
async def client(service: Service, request: pytest.FixtureRequest) -> AsyncIterator[TaskExecutions]:
    async with service.client(request.param) as client:
        yield client


async def finish(client: TaskExecutions, execution_id: str) -> None:
    await client.start(execution_id)
    await client.succeed(execution_id, {"rows": 3})


async def test_an_execution_is_made_and_shown_at_once(client: TaskExecutions) -> None:
    made = await client.execute(TASK, VERSION, INPUTS, tags=["nightly"], created_by="ana")
    assert (made.status, made.duplicate) == (Status.PENDING, False)
    assert made.resolved_inputs == {"day": "2026-03-01", "top": 10, "region": None, "token": None}
    shown = await client.get(made.id)
    assert (shown.metadata, shown.resolved_inputs) == (made.metadata, made.resolved_inputs)
    assert (shown.metadata.tags, shown.metadata.created_by) == (("nightly",), "ana")


async def test_every_command_moves_it(client: TaskExecutions) -> None:
    ids = [(await client.execute(TASK, VERSION, INPUTS)).id for _ in range(4)]
    assert (await client.start(ids[0])).status is Status.RUNNING
    assert (await client.succeed(ids[0], {"rows": 3})).status is Status.SUCCESS
    await client.start(ids[1])
    assert (await client.fail(ids[1], "disk full")).error_message == "disk full"
    assert (await client.stop(ids[2], "not needed", requested_by="bo")).status is Status.STOPPED
    assert (await client.skip(ids[3], "upstream_failed", "collect")).skip_reason == "upstream_failed: collect"
    assert (await client.get(ids[0])).outputs == {"rows": 3}
    assert [(await client.get(id_)).status for id_ in ids] == ["SUCCESS", "FAILURE", "STOPPED", "SKIPPED"]


async def test_a_worker_claims_it_and_tells_how_far_it_is(client: TaskExecutions) -> None:
    upstream = await client.execute(TASK, VERSION, INPUTS)
    after = [{"execution_id": upstream.id, "node": "collect"}]
    made = await client.execute(TASK, VERSION, INPUTS, depends_on=after, not_before=datetime.now(UTC))
    watching = asyncio.create_task(all_events(client, made.id))
    await finish(client, upstream.id)
    async for attempt in stamina.retry_context(on=ConflictError, timeout=20):
        with attempt:
            claimed = await client.start(made.id, owner="worker-1", lease=timedelta(seconds=30))
    assert (claimed.owner, claimed.status) == ("worker-1", Status.RUNNING)
    assert (await client.heartbeat(made.id, "worker-1")).status is Status.RUNNING
    assert (await client.heartbeat(made.id, "worker-1", progress=0.5, message="half")).progress == 0.5
    with pytest.raises(ConflictError) as refused:
        await client.succeed(made.id, {"rows": 3}, owner="worker-2")
    assert refused.value.code is Code.NOT_OWNER
    await client.succeed(made.id, {"rows": 3}, owner="worker-1")
    events = await watching
    assert [event["status"] for event in events] == ["PENDING", "PENDING", "RUNNING", "RUNNING", "SUCCESS"]
    assert (await client.get(made.id)).depends_on == made.depends_on


async def test_waiting_for_the_end_gives_the_whole_record(client: TaskExecutions) -> None:
    key = str(uuid7())
    waiting = asyncio.create_task(
        client.execute(TASK, VERSION, INPUTS, wait="finished", idempotency_key=key, timeout=30)
    )
    made = await client.execute(TASK, VERSION, INPUTS, idempotency_key=key)
    await finish(client, made.id)
    ended = await waiting
    shown = await client.get(made.id)
    assert ended.model_copy(update={"position": None, "duplicate": False}) == shown.model_copy(
        update={"as_of": None, "lag": None}
    )
    assert (ended.status, ended.outputs) == (Status.SUCCESS, {"rows": 3})
    again = await client.execute(TASK, VERSION, INPUTS, wait="finished", idempotency_key=key)
    assert (again.duplicate, again.status, again.outputs) == (True, Status.SUCCESS, {"rows": 3})


async def test_many_can_be_waited_for_at_once(client: TaskExecutions) -> None:
    keys = [str(uuid7()) for _ in range(40)]

    async def run(key: str) -> Status:
        waiting = asyncio.create_task(client.execute(TASK, VERSION, INPUTS, wait="finished", idempotency_key=key))
        made = await client.execute(TASK, VERSION, INPUTS, idempotency_key=key)
        await client.stop(made.id)
        return (await waiting).status

    assert set(await asyncio.gather(*map(run, keys))) == {Status.STOPPED}


async def test_what_does_not_end_in_time_goes_on_and_can_be_watched(client: TaskExecutions) -> None:
    for seconds in (1.5, 6, 24):  # a slow machine may need longer to begin it
        with pytest.raises((NotFinishedError, CommandUnansweredError)) as late:
            await client.execute(TASK, VERSION, INPUTS, wait="finished", timeout=seconds)
        if isinstance(late.value, NotFinishedError):
            break
    assert isinstance(late.value, NotFinishedError)
    assert "goes on" in str(late.value)
    id_ = late.value.execution.id
    watching = asyncio.create_task(all_events(client, id_))
    await finish(client, id_)
    events = await watching
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert [event["status"] for event in events] == ["PENDING", "RUNNING", "SUCCESS"]
    assert await all_events(client, id_) == events


async def all_events(client: TaskExecutions, execution_id: str) -> list[dict[str, Any]]:
    return [event.data async for event in client.watch(execution_id)]


async def test_what_others_made_can_be_watched(service: Service, client: TaskExecutions) -> None:
    async with service.client("http") as other:
        made = await other.execute(TASK, VERSION, INPUTS)
        await other.start(made.id)
        await other.get(made.id)  # the read side has it
        watching = asyncio.create_task(all_events(client, made.id))
        await asyncio.sleep(0)
        await other.fail(made.id, "disk full")
        events = await watching
    assert [event["status"] for event in events] == ["PENDING", "RUNNING", "FAILURE"]
    assert events[2]["errorMessage"] == "disk full"


async def test_of_what_is_old_the_api_tells_what_has_been(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_kafka, "_RECENT", timedelta(0))
    async with service.client("kafka") as client:
        made = await client.execute(TASK, VERSION, INPUTS)
        await client.start(made.id)
        watching = asyncio.create_task(all_events(client, made.id))
        await asyncio.sleep(0)
        await client.stop(made.id)
        assert [event["status"] for event in await watching] == ["PENDING", "RUNNING", "STOPPED"]


async def test_the_same_key_is_one_execution(client: TaskExecutions) -> None:
    key = str(uuid7())
    one, two = [await client.execute(TASK, VERSION, INPUTS, idempotency_key=key) for _ in range(2)]
    assert (one.id, one.duplicate, two.duplicate) == (two.id, False, True)
    with pytest.raises(ConflictError) as conflict:
        await client.execute(TASK, VERSION, INPUTS | {"top": 5}, idempotency_key=key)
    assert conflict.value.code is Code.IDEMPOTENCY_CONFLICT


async def test_errors_say_what_to_do(client: TaskExecutions) -> None:
    made = await client.execute(TASK, VERSION, INPUTS)
    with pytest.raises(ConflictError) as conflict:
        await client.succeed(made.id, {"rows": 3})
    assert conflict.value.problem.current_status is Status.PENDING
    for asked in (client.get(str(uuid7())), client.start(str(uuid7()))):
        with pytest.raises(NotFoundError) as missing:
            await asked
        assert missing.value.code is Code.EXECUTION_NOT_FOUND
    wrong: list[tuple[Any, Code, str]] = [
        (client.execute(TASK, VERSION, {"day": "today"}), Code.INVALID_INPUTS, "#/inputs/day"),
        (client.execute(TASK, VERSION, INPUTS, until="now"), Code.INVALID_COMMAND, "#/until"),
        (client.execute("nowhere", VERSION, INPUTS), Code.INVALID_COMMAND, "#/taskId"),
        (client.execute(TASK, VERSION, {"day": float("nan")}), Code.INVALID_JSON, "#"),
        (client.page(created_by=""), Code.INVALID_REQUEST, "#/query/createdBy"),
        (client.execute(TASK, VERSION, {"day": "x" * 2_000_000}), Code.PAYLOAD_TOO_LARGE, ""),
    ]
    for call, code, where in wrong:
        with pytest.raises(InvalidRequestError) as invalid:
            await call
        assert isinstance(invalid.value, RejectedError)
        assert invalid.value.code is code
        assert not where or invalid.value.problem.errors[0].pointer.startswith(where)
    with pytest.raises(ValueError, match="serialize"):
        await client.execute(TASK, VERSION, {"day": object()})


async def test_lists_go_on_from_page_to_page(client: TaskExecutions) -> None:
    tag = str(uuid7())
    made = [await client.execute(TASK, VERSION, INPUTS, tags=[tag]) for _ in range(5)]
    await client.stop(made[0].id)
    await client.get(made[-1].id)
    for one in made:
        await client.get(one.id)
    listed = [one.id async for one in client.list(task_id=TASK, tag=tag, page_size=2)]
    assert listed == [one.id for one in reversed(made)]
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    found = [one.id async for one in client.list(tag=[tag], status=[Status.STOPPED, "SKIPPED"], created_from=hour_ago)]
    assert found == [made[0].id]
    page = await client.page(tag=tag, counts=True, page_size=3, status="PENDING", page_number=2)
    assert (page.total, len(page.items), page.page_number) == (4, 1, 2)
    assert page.counts
    assert (page.counts.pending, page.counts.stopped) == (4, 1)
    assert (await client.page(tag=tag, min_duration=timedelta(0))).total == 0  # none has run
    stats = await client.stats(task_id=TASK, tag=tag, group_by="hour", times=True)
    assert (stats.total, stats.pending, stats.stopped) == (5, 4, 1)
    assert sum(group.total for group in stats.groups or ()) == 5


async def test_running_again_is_a_new_execution(client: TaskExecutions) -> None:
    old = await client.execute(TASK, VERSION, INPUTS | {"top": 5}, tags=["nightly"])
    again = await client.rerun(old.id)
    edited = await client.rerun(old.id, {"day": "2026-03-02"}, tags=["by hand"], created_by="ana")
    assert len({old.id, again.id, edited.id}) == 3
    assert (again.resolved_inputs, again.metadata.tags) == (old.resolved_inputs, ("nightly",))
    assert (again.retry_of, again.attempt, edited.retry_of) == (old.id, 2, None)
    third = await client.rerun(again.id)
    assert (third.retry_of, third.attempt) == (old.id, 3)
    assert edited.resolved_inputs == {"day": "2026-03-02", "top": 5, "region": None, "token": None}
    assert (edited.metadata.tags, edited.metadata.created_by) == (("by hand",), "ana")


async def test_sealed_inputs_must_be_given_again(client: TaskExecutions) -> None:
    old = await client.execute(TASK, VERSION, INPUTS | {"token": "secret"})
    with pytest.raises(InvalidRequestError, match="sensitive") as sealed:
        await client.rerun(old.id)
    assert [error.pointer for error in sealed.value.problem.errors] == ["#/inputs/token"]
    assert (await client.rerun(old.id, {"token": "secret"})).id != old.id


async def test_commands_reach_their_owner_without_a_hop(client: TaskExecutions) -> None:
    before = forwarded()
    made = await asyncio.gather(*(client.execute(TASK, VERSION, INPUTS) for _ in range(20)))
    await asyncio.gather(*(client.start(one.id) for one in made))
    assert forwarded() == before


async def test_the_trace_is_carried(service: Service, client: TaskExecutions) -> None:
    span = SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(1))
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(span)))
    async with a_world(service.kafka) as world:
        try:
            of_context = await client.execute(TASK, VERSION, INPUTS)
        finally:
            context.detach(token)
        given = f"00-{0xC3:032x}-{0xD4:016x}-01"
        of_ours = await client.execute(TASK, VERSION, INPUTS, trace={"traceparent": given, "tracestate": "a=b"})
        without = await client.execute(TASK, VERSION, INPUTS)
        found = [(await world.events(one.id))[0] for one in (of_context, of_ours, without)]
    assert [header(record, "traceparent") for record in found] == [f"00-{0xA1:032x}-{0xB2:016x}-01", given, None]
    assert header(found[1], "tracestate") == "a=b"


async def test_without_the_address_of_the_api_it_says_what_is_missing(service: Service) -> None:
    async with TaskExecutions.over_kafka(service.kafka, "/client-tests") as client:
        key = str(uuid7())
        made = await client.execute(TASK, VERSION, INPUTS, idempotency_key=key)
        for asked in (client.get(made.id), client.page(), client.stats(), all_events(client, str(uuid7()))):
            with pytest.raises(ValueError, match=r"over_kafka.*url="):
                await asked
        await finish(client, made.id)
        assert [event["sequence"] for event in await all_events(client, made.id)] == [1, 2, 3]
    async with TaskExecutions.over_kafka(service.kafka, "/client-tests") as later:
        ended = await later.execute(TASK, VERSION, INPUTS, idempotency_key=key, wait="finished")
        assert (ended.id, ended.duplicate, ended.outputs) == (made.id, True, {"rows": 3})


async def test_a_program_without_a_loop_that_closes_nothing_ends_well(service: Service) -> None:
    program = (
        "from service.client.sync import TaskExecutions\n"
        f"tasks = TaskExecutions.over_kafka({service.kafka!r}, '/client-tests')\n"
        f"made = tasks.execute({TASK!r}, {VERSION!r}, {INPUTS!r})\n"
        "tasks.stop(made.id)\n"
        "print([event.status.value for event in tasks.watch(made.id)])\n"
    )
    assert await asyncio.to_thread(run_strictly, program) == ("['PENDING', 'STOPPED']\n", "", 0)


async def test_nothing_at_the_address_is_told_with_the_id_to_go_on_with() -> None:
    async with TaskExecutions.over_http("http://127.0.0.1:1", timeout=0.5) as client:
        with pytest.raises(CommandUnansweredError, match="can't be reached") as unanswered:
            await client.execute(TASK, VERSION, INPUTS, idempotency_key="monday")
        assert unanswered.value.id == "monday"
        with pytest.raises(RejectedError) as unavailable:
            await client.get(str(uuid7()))
        assert unavailable.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://here", "", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an address of the API"):
        TaskExecutions.over_http(url)


def test_everything_that_the_api_can_be_asked_has_an_argument() -> None:
    assert get_type_hints(PageQuery).keys() == ListTaskExecutions.model_fields.keys()
    assert get_type_hints(StatsQuery).keys() == GetTaskExecutionStats.model_fields.keys()
