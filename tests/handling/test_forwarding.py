"""A command may land on any partition: its execution's owner handles it, and it arrives as it was written."""

import pytest
from pydantic_core import to_json
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask, StartTaskExecution, StopTaskExecution
from service.contracts.envelope import STRUCTURED
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, MAX_COMMAND_BYTES
from tests.handling.world import PARTITIONS, HeaderPairs, Running, World, body, execution_id, header, id_owned_by, owner

pytestmark = pytest.mark.usefixtures("running", "definition")

TASK = ExecuteTask(task_id="forwarding:task", task_version="1.0.0", inputs={})


@pytest.fixture(scope="module")
async def definition(world: World, running: Running) -> None:
    assert running.owners
    variables = [{"name": "big", "type": "string", "required": False}]
    await world.define(
        {"taskId": "forwarding:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql",
         "inputVariables": variables},
    )  # fmt: skip


async def test_commands_under_any_key_are_handled_once_each_by_the_owner(world: World) -> None:
    """The client is librdkafka, which by default places keys by CRC32."""
    ids = [str(uuid7()) for _ in range(40)]
    places = [await world.command(TASK, id_=id_, key=f"any {n}".encode()) for n, id_ in enumerate(ids)]
    executions = [execution_id(id_) for id_ in ids]
    assert any(place != owner(execution) for (place, _), execution in zip(places, executions, strict=True))
    await world.settled()
    for execution in executions:
        (event,) = await world.events(execution)
        (snapshot,) = await world.snapshots(execution)
        assert event.partition == snapshot.partition == owner(execution)


async def test_a_forwarded_record_keeps_key_value_headers_and_timestamp(world: World) -> None:
    id_ = id_owned_by(2)
    more: HeaderPairs = [("x", b"\xff\xfe"), ("x", b"again"), ("", b""), ("none", None)]
    place = await world.command(TASK, id_=id_, partition=1, key=b"\xffkey", headers=more, timestamp=1_700_000_000_123)
    await world.settled()
    written, forwarded = [record for record in await world.read(COMMANDS_TOPIC) if header(record, "ce_id") == id_]
    assert (written.partition, written.offset, forwarded.partition) == (*place, 2)
    assert forwarded.headers == written.headers
    assert (forwarded.key, forwarded.value, forwarded.timestamp) == (b"\xffkey", written.value, 1_700_000_000_123)


@pytest.mark.parametrize("structured", [False, True])
async def test_a_record_without_id_is_handled_where_it_is(world: World, structured: bool) -> None:  # noqa: FBT001 - a parameter of the test
    async def write() -> tuple[int, int]:
        if not structured:
            return await world.command(TASK, id_=None, partition=3)
        event = {"specversion": "1.0", "type": "ExecuteTask", "data": TASK.model_dump(mode="json")}
        return await world.write(to_json(event), [("content-type", STRUCTURED.encode())], partition=3)

    places = [f"{COMMANDS_TOPIC}/3/{offset}" for _, offset in [await write() for _ in range(8)]]
    await world.settled()
    events = [event for event in await world.read(EVENTS_TOPIC) if header(event, "ce_causationid") in places]
    assert [header(event, "ce_type") for event in events] == ["TaskExecutionCreated"] * 8
    assert {(event.partition, owner((event.key or b"").decode())) for event in events} == {(3, 3)}
    assert len({event.key for event in events}) == 8


async def test_a_lifecycle_command_without_id_is_forwarded_and_done_once(world: World) -> None:
    id_ = id_owned_by(2)
    await world.command(TASK, id_=id_, partition=2)
    await world.command(StartTaskExecution(execution_id=execution_id(id_)), id_=None, source=None, partition=2)
    await world.settled()
    await world.command(StopTaskExecution(execution_id=execution_id(id_)), id_=None, source=None, partition=1)
    await world.settled()
    assert [header(record, "ce_type") for record in await world.events(execution_id(id_))] == [
        "TaskExecutionCreated",
        "TaskExecutionStarted",
        "TaskExecutionStopped",
    ]


async def test_nobody_can_take_the_identity_of_a_command_that_names_none(world: World) -> None:
    """It is told by the record's place, which anybody can foresee."""
    (_, offset) = await world.write(b"{}", partition=0)
    place = f"{COMMANDS_TOPIC}/0/{offset + 2}"
    spoofed = {"id_": place, "source": f"/kafka/{COMMANDS_TOPIC}", "headers": [("taskexec_origin", place.encode())]}
    await world.command(TASK, partition=0, **spoofed)
    victim = await world.command(TASK.model_copy(update={"tags": ("mine",)}), id_=None, source=None, partition=0)
    assert victim == (0, offset + 2)
    await world.settled()
    assert await world.rejections(victim) == []
    events = [event for event in await world.read(EVENTS_TOPIC) if header(event, "ce_causationid") == place]
    assert sorted(body(event)["tags"] for event in events) == [[], ["mine"]]


async def test_lifecycle_commands_are_forwarded_too(world: World) -> None:
    id_ = id_owned_by(0)
    await world.command(TASK, id_=id_)
    await world.settled()
    for partition in range(PARTITIONS):
        start = StartTaskExecution(execution_id=execution_id(id_))
        await world.command(start, id_=f"start {id_}", reply=partition == 3, partition=partition)
    await world.settled()
    assert [header(record, "ce_type") for record in await world.events(execution_id(id_))] == [
        "TaskExecutionCreated",
        "TaskExecutionStarted",
    ]


@pytest.mark.parametrize("count", [0, 100, 10_000])
async def test_a_record_of_the_full_size_can_be_forwarded(world: World, count: int) -> None:
    """However its bytes are spread over headers, key and value."""
    id_ = id_owned_by(1)
    headers: HeaderPairs = [
        ("ce_specversion", b"1.0"), ("ce_type", b"ExecuteTask"), ("ce_id", id_.encode()), ("ce_source", b"/tests"),
        *[(f"h{number}", b"v" * 64) for number in range(count)],
    ]  # fmt: skip
    text = b'{"taskId":"forwarding:task","taskVersion":"1.0.0","inputs":{"big":"%s"}}'
    fixed = sum(len(name) + len(content or b"") + 4 for name, content in headers) + len(text) - 2
    value = text % (b"b" * (MAX_COMMAND_BYTES - fixed))
    await world.write(value + b" ", headers, partition=0)
    (_, offset) = await world.write(value, headers, partition=0)
    await world.settled()
    assert [item["problem"]["code"] for item in await world.rejections((0, offset - 1))] == ["payload_too_large"]
    assert len(await world.events(execution_id(id_))) == 1


async def test_commands_of_one_execution_under_one_key_stay_in_order(world: World) -> None:
    """Whatever the key, and whoever places it: what is forwarded keeps its order."""
    executions = {id_: execution_id(id_) for id_ in (str(uuid7()) for _ in range(100))}
    places = []
    for id_, execution in executions.items():
        places.append(await world.command(TASK, id_=id_, key=id_.encode()))
        await world.command(StartTaskExecution(execution_id=execution), key=id_.encode())
    assert any(place != owner(execution) for (place, _), execution in zip(places, executions.values(), strict=True))
    await world.settled()
    assert {len(await world.events(execution)) for execution in executions.values()} == {2}


async def test_who_overtakes_its_own_execute_task_is_told_how_to_key(world: World) -> None:
    execution = execution_id(str(uuid7()))
    place = await world.command(StartTaskExecution(execution_id=execution), partition=owner(execution))
    await world.settled()
    ((_, problem),) = [(item["record"], item["problem"]) for item in await world.rejections(place)]
    assert problem["code"] == "execution_not_found"
    assert "the same key" in problem["detail"]
