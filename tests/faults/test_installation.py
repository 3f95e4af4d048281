"""Topics that were deleted, cut short or given more partitions: nothing goes on silently, and the events mend it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import stamina
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.contracts.commands import ExecuteTask, StartTaskExecution, SucceedTaskExecution
from service.contracts.definitions import TaskDefinition
from service.contracts.replies import CommandReply
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, INSTALLATION_TOPIC, STATE_TOPIC, TOPICS
from service.handling import rebuild
from service.handling.handler import HandlerOptions, RunningHandler, running_handler
from service.handling.rebuild import rebuild_state
from service.handling.rebuilding import RebuildError, reading
from service.handling.recovery import StateLostError
from service.kafka.connection import Kafka
from service.kafka.installation import Installation, InstallationError, check_installation, differences
from service.kafka.murmur2 import partition_of
from service.kafka.provisioning import ProvisioningError, ensure_topics
from tests.handling.world import QUICK, execution_id

TASK = ExecuteTask(task_id="installation:task", task_version="1.0.0", inputs={})
DEFINITION = {"taskId": "installation:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
IDS = [f"run {number}" for number in range(12)]
_numbers = count(1)


def nothing(_what: str, _done: int, _all: int) -> None:
    """No progress is shown."""


@pytest.fixture
def place(kafka: str) -> Kafka:
    """An installation of its own on the broker."""
    return Kafka(kafka, f"installation-{next(_numbers)}.")


@pytest.fixture
def admin(kafka: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka})


@asynccontextmanager
async def handling(place: Kafka, partitions: int = 4) -> AsyncIterator[tuple[RunningHandler, CommandClient]]:
    """A handler as the composition root starts it, and a client."""
    await ensure_topics(place, partitions)
    installation = await check_installation(place, partitions)
    await publish_definitions(place, [TaskDefinition.model_validate(DEFINITION)])
    options = HandlerOptions(place, partitions, installation=installation, timeouts=QUICK)
    async with running_handler(options) as running, CommandClient(place, "/tests") as client:
        yield running, client


async def execute(client: CommandClient, *ids: str) -> list[CommandReply]:
    return [await client.submit(TASK, id_=id_) for id_ in ids]


async def lived(place: Kafka) -> None:
    """Twelve executions, a third of them running, and a third at their end."""
    async with handling(place) as (_, client):
        for number, id_ in enumerate(IDS):
            await execute(client, id_)
            if number % 3:
                await client.submit(StartTaskExecution(execution_id=execution_id(id_)), id_=f"start {id_}")
            if number % 3 == 1:
                await client.submit(SucceedTaskExecution(execution_id=execution_id(id_), outputs={}))


async def events(place: Kafka, partitions: int) -> list[tuple[str, int]]:
    """The executions of all events, each with the partition it is in."""
    tps = [place.partition(EVENTS_TOPIC, number) for number in range(partitions)]
    found = [record async for records in reading(place, tps, "", nothing) for record in records]
    return [((record.key or b"").decode(), record.partition) for record in found]


async def assert_gone_on_with(place: Kafka, partitions: int = 4) -> None:
    """Every command of before is a duplicate, and every execution goes on, at the owner that it has now."""
    before = await events(place, partitions)
    assert len(before) == 12 + 8 + 4
    async with handling(place, partitions) as (_, client):
        for number, (id_, reply) in enumerate(zip(IDS, await execute(client, *IDS), strict=True)):
            assert reply.outcome == "duplicate", reply
            if number % 3:
                again = await client.submit(StartTaskExecution(execution_id=execution_id(id_)), id_=f"start {id_}")
                assert again.outcome == "duplicate"
            if number % 3 == 2:
                ended = await client.submit(SucceedTaskExecution(execution_id=execution_id(id_), outputs={}))
                assert ended.outcome == "accepted", ended
                assert ended.position.partition == partition_of(execution_id(id_).encode(), partitions)  # type: ignore[union-attr]
    assert len(await events(place, partitions)) == len(before) + 4


def delete(admin: AdminClient, place: Kafka, *names: str) -> None:
    for future in admin.delete_topics([place.topic(name) for name in names]).values():
        future.result()


def make_anew(admin: AdminClient, place: Kafka, name: str) -> None:
    """Delete the topic and make it again, as somebody may who wants it empty."""
    delete(admin, place, name)
    topic = next(topic for topic in TOPICS if topic.name == name)
    for attempt in stamina.retry_context(on=KafkaException, timeout=20):
        with attempt:
            (future,) = admin.create_topics([NewTopic(place.topic(name), 4, 1, config=topic.config)]).values()
            future.result()


async def test_a_deleted_state_is_refused_and_rebuilt_from_the_events(place: Kafka, admin: AdminClient) -> None:
    await lived(place)
    delete(admin, place, STATE_TOPIC)
    await ensure_topics(place, 4)
    with pytest.raises(InstallationError, match=r"task-execution.state was deleted and made anew.*state rebuild"):
        await check_installation(place, 4)
    assert await rebuild_state(place, 4, 1, nothing) == 12
    await assert_gone_on_with(place)


async def test_an_earlier_version_s_state_that_was_deleted_is_refused_too(place: Kafka, admin: AdminClient) -> None:
    """It has recorded nothing; but there are events."""
    await lived(place)
    delete(admin, place, STATE_TOPIC, INSTALLATION_TOPIC)
    async with handling(place) as (running, _):
        with pytest.raises(StateLostError, match=r"events, and no state.*taskexec state rebuild"):
            await running.task
    await rebuild_state(place, 4, 1, nothing)
    await assert_gone_on_with(place)


async def test_a_state_that_was_cut_short_is_refused_and_rebuilt(place: Kafka, admin: AdminClient) -> None:
    await lived(place)
    for number in range(4):
        cut = TopicPartition(place.topic(STATE_TOPIC), number, 3)
        (future,) = admin.delete_records([cut]).values()
        with suppress(KafkaException):  # a partition may have fewer
            future.result()
    async with handling(place) as (running, _):
        with pytest.raises(StateLostError, match="deleted"):
            await running.task
    await rebuild_state(place, 4, 1, nothing)
    await assert_gone_on_with(place)


async def test_commands_that_were_made_anew_are_refused_and_begun_with_after_a_rebuild(
    place: Kafka, admin: AdminClient
) -> None:
    await lived(place)
    make_anew(admin, place, COMMANDS_TOPIC)
    with pytest.raises(InstallationError, match=r"task-execution.commands was deleted"):
        await check_installation(place, 4)
    await rebuild_state(place, 4, 1, nothing)
    await assert_gone_on_with(place)


async def test_events_that_were_made_anew_stop_everything(place: Kafka, admin: AdminClient) -> None:
    await lived(place)
    make_anew(admin, place, EVENTS_TOPIC)
    with pytest.raises(InstallationError, match="Restore the topic from a backup"):
        await check_installation(place, 4)
    with pytest.raises(RebuildError, match="backup"):
        await rebuild_state(place, 4, 1, nothing)


async def test_who_deletes_both_begins_anew(place: Kafka, admin: AdminClient) -> None:
    await lived(place)
    delete(admin, place, STATE_TOPIC, EVENTS_TOPIC)
    async with handling(place) as (_, client):
        assert [reply.outcome for reply in await execute(client, "another")] == ["accepted"]


async def test_a_topic_that_is_made_anew_under_a_handler_ends_it(place: Kafka, admin: AdminClient) -> None:
    async with handling(place) as (running, client):
        await execute(client, *IDS)
        make_anew(admin, place, STATE_TOPIC)
        for id_ in ("a", "b", "c", "d"):
            await client.publish(TASK, id_=id_)
        with pytest.raises(InstallationError, match=r"task-execution\.state was deleted"):
            await running.task


async def test_added_partitions_are_refused_and_every_state_moves(place: Kafka, admin: AdminClient) -> None:
    await lived(place)
    (future,) = admin.create_partitions([NewPartitions(place.topic(COMMANDS_TOPIC), 6)]).values()
    future.result()
    with pytest.raises(ProvisioningError, match="has 6 partitions, and 4 are configured"):
        await ensure_topics(place, 4)
    assert await rebuild_state(place, 6, 1, nothing) == 12
    with pytest.raises(InstallationError, match="made with 6 partitions"):
        await check_installation(place, 4)
    await assert_gone_on_with(place, 6)
    await rebuild_state(place, 6, 1, nothing)  # their events are in two partitions now


async def test_partitions_that_were_added_to_all_topics_are_refused(place: Kafka, admin: AdminClient) -> None:
    """As the advice of earlier versions was: TASKEXEC_PARTITIONS=6, and the repeats are done twice."""
    await lived(place)
    more = [NewPartitions(place.topic(topic.name), 6) for topic in TOPICS if topic.owned]
    for future in admin.create_partitions(more).values():
        future.result()
    assert await ensure_topics(place, 6) == 6
    with pytest.raises(InstallationError, match=r"made with 4 partitions and have 6.*state rebuild"):
        await check_installation(place, 6)
    await rebuild_state(place, 6, 1, nothing)
    await assert_gone_on_with(place, 6)


async def test_it_is_refused_while_handlers_run_or_commands_wait_for_another_owner(place: Kafka) -> None:
    async with handling(place) as (_, client):
        await execute(client, *IDS)
        with pytest.raises(RebuildError, match="handlers are running"):
            await rebuild_state(place, 4, 1, nothing)
    async with CommandClient(place, "/tests") as client:
        await client.publish(TASK, id_="waits")
    with pytest.raises(RebuildError, match="Commands wait"):
        await rebuild_state(place, 6, 1, nothing)
    with pytest.raises(RebuildError, match="can't take any away"):
        await rebuild_state(place, 3, 1, nothing)
    async with handling(place) as (_, client):
        assert (await execute(client, "waits"))[0].outcome == "duplicate"


@pytest.mark.parametrize("step", ["_add_partitions", "fold_events", "write_states", "verify_states"])
async def test_killed_half_way_no_handler_starts_and_it_begins_anew(
    place: Kafka, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await lived(place)

    async def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rebuild, step, dies)
        with pytest.raises(KeyboardInterrupt):
            await rebuild_state(place, 6, 1, nothing)
    with suppress(ProvisioningError):
        await ensure_topics(place, 4)
    with pytest.raises(InstallationError, match="broken off"):
        await check_installation(place, 4)
    await rebuild_state(place, 6, 1, nothing)
    await assert_gone_on_with(place, 6)


def test_another_cluster_is_told_from_a_topic_that_was_made_anew() -> None:
    ids = {name: UUID(int=number) for number, name in enumerate((COMMANDS_TOPIC, EVENTS_TOPIC, STATE_TOPIC))}
    recorded = Installation("one", ids, 4)
    assert differences(recorded, recorded) == []
    (flaw,) = differences(recorded, Installation("two", {name: UUID(int=9) for name in ids}, 4))
    assert "KAFKA_BOOTSTRAP_SERVERS" in flaw
