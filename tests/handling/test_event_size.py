"""An event that the broker would not take is the fault of its command: it is refused, and nobody waits for it."""

import pytest
from uuid_utils.compat import uuid7

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.commands import ExecuteTask
from service.contracts.topics import MAX_RECORD_BYTES, REPLIES_TOPIC
from service.domain.decided import MAX_EVENT_BYTES
from tests.handling.world import HeaderPairs, Running, World, body, execution_id, header, owner

pytestmark = pytest.mark.usefixtures("running", "definition")

DEFAULT_BYTES = MAX_RECORD_BYTES - 500_000
TASK = ExecuteTask(task_id="sizes:task", task_version="1.0.0", inputs={"own": ""})
LONGEST = "\U0001f600" * (MAX_ATTRIBUTE - 36)
SOURCE = "/" + LONGEST
PARTITION = 3
TRACE: HeaderPairs = [(name, b"t" * MAX_ATTRIBUTE) for name in ("traceparent", "tracestate")]


@pytest.fixture(scope="module")
async def definition(world: World, running: Running) -> None:
    assert running.owners
    variables = [
        {"name": "own", "type": "string"},
        {"name": "default", "type": "string", "required": False, "defaultValue": "d" * DEFAULT_BYTES},
    ]
    await world.define(
        {"taskId": "sizes:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql", "inputVariables": variables}
    )


def longest_id() -> str:
    """A new id, as long as one may be, of an execution of our partition."""
    while owner(execution_id(id_ := str(uuid7()) + LONGEST, SOURCE)) != PARTITION:
        pass
    return id_


async def execute(world: World, own: int, *headers: tuple[str, bytes | None]) -> tuple[str, tuple[int, int]]:
    """Execute with an input of our own of this size, and the longest identity; returns the id and the place."""
    id_ = longest_id()
    task = TASK.model_copy(update={"inputs": {"own": "o" * own}})
    place = await world.command(task, id_=id_, source=SOURCE, partition=PARTITION, headers=[*TRACE, *headers])
    await world.settled()
    return id_, place


async def test_defaults_and_inputs_that_are_too_large_together_are_refused(world: World, running: Running) -> None:
    epoch = running.owners[PARTITION].epoch
    id_, place = await execute(world, 600_000, ("reply_to", REPLIES_TOPIC.encode()), ("correlation_id", b"large"))
    (rejection,) = await world.rejections(place)
    assert rejection["problem"]["code"] == "payload_too_large"
    assert str(MAX_EVENT_BYTES) in rejection["problem"]["detail"]
    (reply,) = [body(item) for item in await world.read(REPLIES_TOPIC) if header(item, "correlation_id") == "large"]
    assert (reply["outcome"], reply["problem"]) == ("rejected", rejection["problem"])
    assert not await world.events(execution_id(id_, SOURCE))
    assert running.owners[PARTITION].epoch == epoch


async def test_the_largest_event_with_the_largest_headers_fits(world: World, running: Running) -> None:
    epoch = running.owners[PARTITION].epoch
    small, _ = await execute(world, 0)
    (event,) = await world.events(execution_id(small, SOURCE))
    room = MAX_EVENT_BYTES - len(event.value or b"")
    largest, _ = await execute(world, room)
    _, place = await execute(world, room + 1)
    (event,) = await world.events(execution_id(largest, SOURCE))
    assert len(event.value or b"") == MAX_EVENT_BYTES
    assert (header(event, "ce_causationid"), header(event, "ce_causationsource")) == (largest, SOURCE)
    assert len(body(event)["resolvedInputs"]["default"]) == DEFAULT_BYTES
    assert [item["problem"]["code"] for item in await world.rejections(place)] == ["payload_too_large"]
    assert running.owners[PARTITION].epoch == epoch
