"""A command may land on any partition: its execution's owner handles it, and it arrives as it was written."""

import pytest
from pydantic_core import to_json
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask, StartTaskExecution
from service.contracts.envelope import STRUCTURED
from service.contracts.topics import COMMANDS, MAX_COMMAND_BYTES
from service.domain.identity import command_id
from tests.handling.world import PARTITIONS, HeaderPairs, Running, World, execution_id, header, id_owned_by, owner

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
        (snapshot,) = await world.snapshots(execution.encode())
        assert event.partition == snapshot.partition == owner(execution)


async def test_a_forwarded_record_keeps_key_value_headers_and_timestamp(world: World) -> None:
    id_ = id_owned_by(2)
    more: HeaderPairs = [("x", b"\xff\xfe"), ("x", b"again"), ("", b""), ("none", None)]
    place = await world.command(TASK, id_=id_, partition=1, key=b"\xffkey", headers=more, timestamp=1_700_000_000_123)
    await world.settled()
    written, forwarded = [record for record in await world.read(COMMANDS) if header(record, "ce_id") == id_]
    assert (written.partition, written.offset, forwarded.partition) == (*place, 2)
    assert forwarded.headers == written.headers
    assert (forwarded.key, forwarded.value, forwarded.timestamp) == (b"\xffkey", written.value, 1_700_000_000_123)


@pytest.mark.parametrize("source", ["/tests", None])
@pytest.mark.parametrize("structured", [False, True])
async def test_a_record_without_id_keeps_the_identity_of_its_first_place(
    world: World,
    source: str | None,
    structured: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async def write() -> tuple[int, int]:
        if not structured:
            return await world.command(TASK, id_=None, source=source, partition=3)
        event = {"specversion": "1.0", "type": "ExecuteTask", "source": source, "data": TASK.model_dump(mode="json")}
        return await world.write(to_json(event), [("content-type", STRUCTURED.encode())], partition=3)

    places = [await write() for _ in range(8)]
    await world.settled()
    source = source or f"/kafka/{COMMANDS}"
    executions = [command_id(source, f"{COMMANDS}/{partition}/{offset}") for partition, offset in places]
    assert {owner(execution) for execution in executions} != {3}
    for execution in executions:
        (event,) = await world.events(execution)
        assert event.partition == owner(execution)


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
    """However its bytes are spread over headers, key and value, and even if its identity is added on the way."""
    headers: HeaderPairs = [
        ("ce_specversion", b"1.0"), ("ce_type", b"ExecuteTask"),
        *[(f"h{number}", b"v" * 64) for number in range(count)],
    ]  # fmt: skip
    text = b'{"taskId":"forwarding:task","taskVersion":"1.0.0","inputs":{"big":"%s"}}'
    fixed = sum(len(name) + len(content or b"") + 4 for name, content in headers) + len(text) - 2
    value = text % (b"b" * (MAX_COMMAND_BYTES - fixed))
    await world.write(value + b" ", headers, partition=0)
    places = [await world.write(value, headers, partition=0) for _ in range(8)]
    await world.settled()
    _, first = places[0]
    assert [body["problem"]["code"] for body in await world.rejections((0, first - 1))] == ["payload_too_large"]
    executions = [command_id(f"/kafka/{COMMANDS}", f"{COMMANDS}/0/{offset}") for _, offset in places]
    assert {owner(execution) for execution in executions} != {0}
    assert [len(await world.events(execution)) for execution in executions] == [1] * 8


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
