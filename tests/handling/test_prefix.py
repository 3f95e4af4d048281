"""Installations that share one Kafka, each with a prefix of its own."""

import asyncio

from confluent_kafka.admin import AdminClient
from uuid_utils.compat import uuid7

from service.client import CommandClient
from service.client.definitions import publish_definitions
from service.contracts.commands import ExecuteTask
from service.contracts.definitions import TaskDefinition
from service.contracts.replies import Outcome
from service.contracts.topics import TOPICS
from service.handling.handler import HandlerOptions, running_handler
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from tests.handling.test_definitions import definition
from tests.handling.world import QUICK, World

PARTITIONS = 2


async def outcomes(kafka: Kafka, known: str, id_: str) -> list[Outcome]:
    """What comes of executing the tasks `a:x` and `b:x` in an installation that knows one of them."""
    await ensure_topics(kafka, PARTITIONS)
    await publish_definitions(kafka, [TaskDefinition.model_validate(definition(known))])
    async with running_handler(HandlerOptions(kafka, PARTITIONS, timeouts=QUICK)), CommandClient(kafka, id_) as client:
        commands = [ExecuteTask(task_id=task, task_version="1.0.0", inputs={}) for task in ("a:x", "b:x")]
        return [(await client.submit(command, id_=command.task_id)).outcome for command in commands]


async def test_installations_do_not_see_each_other(world: World) -> None:
    """The same commands at the same time: each knows its own definitions, has its own answers and its own fences."""
    run = str(uuid7())
    one, two = Kafka(world.servers, f"{run}-1."), Kafka(world.servers, f"{run}-2.")
    before = await world.probe.end_offsets(list(world.positions))
    found = await asyncio.gather(outcomes(one, "a:x", run), outcomes(two, "b:x", run))
    assert [*found] == [[Outcome.ACCEPTED, Outcome.REJECTED], [Outcome.REJECTED, Outcome.ACCEPTED]]
    assert await world.probe.end_offsets(list(world.positions)) == before
    topics = AdminClient({"bootstrap.servers": world.servers}).list_topics(timeout=10).topics
    names = {topic.name for topic in TOPICS}
    assert {topic for topic in topics if run in topic} == {kafka.topic(name) for kafka in (one, two) for name in names}
