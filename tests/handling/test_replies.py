"""Replies go where they may, carry what they can, and no reply topic holds a partition up."""

import asyncio

import pytest
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, REPLIES_TOPIC, STATE_TOPIC
from tests.handling.world import QUICK, HeaderPairs, Running, World, body, execution_id, header, id_owned_by

pytestmark = pytest.mark.usefixtures("running", "definition")

TASK = ExecuteTask(task_id="replies:task", task_version="1.0.0", inputs={})


@pytest.fixture(scope="module")
async def definition(world: World, running: Running) -> None:
    assert running.owners
    variables = [{"name": "big", "type": "string", "required": False}]
    await world.define(
        {
            "taskId": "replies:task",
            "version": "1.0.0",
            "status": "PUBLISHED",
            "type": "sql",
            "inputVariables": variables,
        }
    )


@pytest.fixture
async def topic(world: World) -> str:
    """A reply topic of a client, as small as the broker's default makes it."""
    name = f"task-execution.replies.{uuid7()}"
    await world.create_topic(name, max_message_bytes="1048588")
    return name


async def ask(world: World, topic: str, task: ExecuteTask = TASK, partition: int = 1) -> tuple[str, tuple[int, int]]:
    """Send an ExecuteTask that wants its reply there; returns its id and place."""
    id_ = id_owned_by(partition)
    asking: HeaderPairs = [("reply_to", topic.encode()), ("correlation_id", f"re:{id_}".encode())]
    return id_, await world.command(task, id_=id_, headers=asking, partition=partition)


async def codes(world: World, place: tuple[int, int]) -> list[str]:
    return [item["problem"]["code"] for item in await world.rejections(place)]


@pytest.mark.parametrize(
    "name",
    [
        EVENTS_TOPIC,
        STATE_TOPIC,
        COMMANDS_TOPIC,
        "task-definitions",
        f"{REPLIES_TOPIC}x",
        f"{REPLIES_TOPIC}.",
        f"{REPLIES_TOPIC}.a b",
        f"{REPLIES_TOPIC}\n",
    ],
)
async def test_a_reply_topic_that_is_not_allowed_is_refused(world: World, name: str) -> None:
    """Otherwise a client could forge events or wreck the state."""
    id_, place = await ask(world, name)
    await world.settled()
    assert await codes(world, place) == ["invalid_reply_to"]
    assert not await world.events(execution_id(id_))


async def test_a_reply_topic_that_does_not_exist_is_refused_and_holds_nobody_up(world: World, running: Running) -> None:
    """aiokafka would ask for it again and again, until the transaction's deadline."""
    epochs = {number: owner.epoch for number, owner in running.owners.items()}
    id_, place = await ask(world, f"{REPLIES_TOPIC}.nobody-made-this")
    good, _ = await ask(world, REPLIES_TOPIC)
    await world.settled(QUICK.transaction)
    assert await codes(world, place) == ["invalid_reply_to"]
    assert not await world.events(execution_id(id_))
    assert [reply["outcome"] for reply in await world.replies(good)] == ["accepted"]
    assert {number: owner.epoch for number, owner in running.owners.items()} == epochs


async def test_a_client_can_have_a_topic_of_its_own(world: World, topic: str) -> None:
    id_, _ = await ask(world, topic)
    await world.settled()
    (record,) = await world.read_all(topic)
    assert (header(record, "correlation_id"), body(record)["outcome"]) == (f"re:{id_}", "accepted")


async def test_a_topic_that_was_deleted_since_ends_in_a_rejection(world: World, topic: str) -> None:
    """The broker answers UnknownTopicOrPartition to AddPartitions, which aiokafka repeats for ever."""
    first, _ = await ask(world, topic)
    await world.settled()
    await world.delete_topic(topic)
    id_, place = await ask(world, topic)
    behind, _ = await ask(world, REPLIES_TOPIC)
    await world.settled()
    assert await codes(world, place) == ["invalid_reply_to"]
    assert not await world.events(execution_id(id_))
    for accepted in (first, behind):
        assert len(await world.events(execution_id(accepted))) == 1


async def test_a_topic_too_small_for_its_replies_is_refused_and_harms_nobody_else(world: World) -> None:
    tiny = f"{REPLIES_TOPIC}.{uuid7()}"
    await world.create_topic(tiny, max_message_bytes="100")
    (id_, place), (good, _) = await asyncio.gather(ask(world, tiny), ask(world, REPLIES_TOPIC))
    await world.settled()
    assert await codes(world, place) == ["invalid_reply_to"]
    assert not await world.events(execution_id(id_))
    assert [reply["outcome"] for reply in await world.replies(good)] == ["accepted"]
    assert len(await world.events(execution_id(good))) == 1


async def test_a_reply_needs_no_correlation_id(world: World) -> None:
    id_ = id_owned_by(1)
    await world.command(TASK, id_=id_, headers=[("reply_to", REPLIES_TOPIC.encode())])
    await world.settled()
    (record,) = [item for item in await world.read(REPLIES_TOPIC) if header(item, "ce_subject") == execution_id(id_)]
    assert (record.key, header(record, "correlation_id")) == (None, None)


async def test_a_correlation_id_may_be_any_bytes_and_comes_back_as_it_was(world: World) -> None:
    raw = b"\x00\xff" * 512
    await world.command(TASK, headers=[("reply_to", REPLIES_TOPIC.encode()), ("correlation_id", raw)])
    await world.settled()
    (record,) = [item for item in await world.read(REPLIES_TOPIC) if ("correlation_id", raw) in item.headers]
    assert record.key == raw


async def test_a_reply_too_large_for_a_topic_goes_without_its_payloads(world: World, topic: str) -> None:
    # Written out, each of these takes six bytes.
    task = TASK.model_copy(update={"inputs": {"big": "\x01" * 170_000}})
    id_, place = await ask(world, topic, task)
    await world.settled()
    assert await codes(world, place) == []
    (record,) = await world.read_all(topic)
    execution = body(record)["taskExecution"]
    assert (execution["id"], "resolvedInputs" in execution) == (execution_id(id_), False)
    (event,) = await world.events(execution_id(id_))
    assert body(event)["resolvedInputs"] == task.inputs


async def test_faststream_sends_nothing_of_its_own(world: World) -> None:
    """Its default is to publish the handler's result to `reply_to`, outside of the transaction."""
    id_, _ = await ask(world, REPLIES_TOPIC)
    await world.settled()
    assert len(await world.replies(id_)) == 1
    assert all(header(record, "ce_type") == "TaskCommandReply" for record in await world.read(REPLIES_TOPIC))
