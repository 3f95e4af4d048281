"""Topics that were deleted, cut short or given more partitions: nothing goes on silently, and the events mend it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import stamina
from aiokafka import AIOKafkaProducer
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)  # fmt: skip

from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.contracts.commands import ExecuteTask, StartTaskExecution, SucceedTaskExecution
from service.contracts.definitions import TaskDefinition
from service.contracts.replies import CommandReply
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, INSTALLATION_TOPIC, STATE_TOPIC, TOPICS
from service.handling import rebuild
from service.handling.handler import HandlerOptions, RunningHandler, running_handler
from service.handling.owned_topics import OwnedTopics
from service.handling.rebuild import rebuild_state
from service.handling.recovery import StateLostError
from service.handling.whole_topics import RebuildError, reading
from service.kafka import installation
from service.kafka.connection import Kafka
from service.kafka.installation import (
    OF_ALL_ROLES,
    RECORDED,
    Installation,
    InstallationError,
    check_installation,
    differences,
    watch_installation,
)
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
    recorded = await check_installation(place, partitions)
    await publish_definitions(place, [TaskDefinition.model_validate(DEFINITION)])
    options = HandlerOptions(place, partitions, installation=recorded, timeouts=QUICK)
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


async def until_events(place: Kafka, partitions: int, expected: int) -> None:
    for attempt in stamina.retry_context(on=AssertionError, attempts=None, timeout=20, wait_max=0.2):
        with attempt:
            assert len(await events(place, partitions)) == expected


async def assert_gone_on_with(place: Kafka, partitions: int = 4, cut: int = 0) -> None:
    """Every command of before is a duplicate, and every execution goes on, at the owner that it has now."""
    before = await events(place, partitions)
    assert len(before) == 12 + 8 + 4 - cut
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


def cut_state(admin: AdminClient, place: Kafka) -> None:
    """Delete the first records of each partition, which the topic's policy must allow for a moment."""
    name = place.topic(STATE_TOPIC)
    for policy in ("compact,delete", "compact"):
        entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result()
        if policy == "compact":
            return
        for attempt in stamina.retry_context(on=KafkaException, timeout=20):
            with attempt:  # the broker needs a moment to know the new policy
                for future in admin.delete_records([TopicPartition(name, n, 2) for n in range(4)]).values():
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
    cut_state(admin, place)
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
    await ensure_topics(place, 4)
    with pytest.raises(InstallationError, match=r"task-execution.commands was deleted"):
        await check_installation(place, 4)
    await rebuild_state(place, 4, 1, nothing)
    await assert_gone_on_with(place)


async def test_events_that_were_made_anew_stop_everything(place: Kafka, admin: AdminClient) -> None:
    """What the state has, they must lead to, before it is deleted; and deleting the state, too, is no way out."""
    await lived(place)
    make_anew(admin, place, EVENTS_TOPIC)
    await ensure_topics(place, 4)
    with pytest.raises(InstallationError, match="restore the topic from a backup"):
        await check_installation(place, 4)
    with pytest.raises(RebuildError, match="--accept-events"):
        await rebuild_state(place, 4, 1, nothing)
    with pytest.raises(RebuildError, match="Events are missing"):
        await rebuild_state(place, 4, 1, nothing, accept_events=True)
    make_anew(admin, place, STATE_TOPIC)
    await ensure_topics(place, 4)
    with pytest.raises(InstallationError, match=r"task-execution\.events was deleted"):
        await check_installation(place, 4)


async def test_events_that_were_restored_are_accepted_when_somebody_says_so(place: Kafka, admin: AdminClient) -> None:
    await lived(place)
    tps = [place.partition(EVENTS_TOPIC, number) for number in range(4)]
    saved = [record async for records in reading(place, tps, "", nothing) for record in records]
    make_anew(admin, place, EVENTS_TOPIC)
    async with AIOKafkaProducer(**place.options()) as producer:
        for record in saved:
            key, headers = record.key, [*record.headers]
            await producer.send_and_wait(record.topic, record.value, key, partition=record.partition, headers=headers)
    await rebuild_state(place, 4, 1, nothing, accept_events=True)
    await assert_gone_on_with(place)


async def test_events_that_were_cut_short_are_refused(place: Kafka, admin: AdminClient) -> None:
    await lived(place)
    for future in admin.delete_records([TopicPartition(place.topic(EVENTS_TOPIC), n, 1) for n in range(4)]).values():
        future.result()
    with pytest.raises(RebuildError, match="has lost its events before offset 1"):
        await rebuild_state(place, 4, 1, nothing)
    with pytest.raises(RebuildError, match=r"Of execution|Events are missing"):
        await rebuild_state(place, 4, 1, nothing, accept_events=True)
    await assert_gone_on_with(place, cut=4)


async def test_who_deletes_all_of_them_begins_anew(place: Kafka, admin: AdminClient) -> None:
    """Not who leaves the commands: they would be done a second time."""
    await lived(place)
    delete(admin, place, STATE_TOPIC, EVENTS_TOPIC)
    await ensure_topics(place, 4)
    with pytest.raises(InstallationError, match=r"task-execution\.events was deleted"):
        await check_installation(place, 4)
    delete(admin, place, COMMANDS_TOPIC)
    async with handling(place) as (_, client):
        assert [reply.outcome for reply in await execute(client, "another")] == ["accepted"]


@pytest.mark.parametrize("name", [STATE_TOPIC, EVENTS_TOPIC])
async def test_a_topic_that_is_made_anew_under_a_process_is_noticed(
    place: Kafka, admin: AdminClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Only its id tells: whoever writes to it, or reads, could go on. The other roles do without the state."""
    monkeypatch.setattr(installation, "WATCH_SECONDS", 0.05)
    await ensure_topics(place, 4)
    recorded = await check_installation(place, 4)
    watches = [asyncio.create_task(watch_installation(place, recorded, names)) for names in (RECORDED, OF_ALL_ROLES)]
    make_anew(admin, place, name)
    await asyncio.wait(watches, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    if name == EVENTS_TOPIC:
        done, _ = await asyncio.wait(watches, timeout=20)
        assert len(done) == 2
    else:
        done, waiting = await asyncio.wait(watches, timeout=1)
        assert waiting == {watches[1]}
        watches[1].cancel()
    for watch in done:
        with pytest.raises(InstallationError, match=rf"{name} was deleted and made anew"):
            await watch


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


async def test_commands_that_wait_where_partitions_were_added_already_are_forwarded(
    place: Kafka, admin: AdminClient
) -> None:
    """No handler could do them before: none starts any more."""
    await lived(place)
    (future,) = admin.create_partitions([NewPartitions(place.topic(EVENTS_TOPIC), 6)]).values()
    future.result()
    async with CommandClient(place, "/tests") as client:
        for id_ in IDS:
            await client.publish(SucceedTaskExecution(execution_id=execution_id(id_), outputs={}), id_=f"waits {id_}")
    await rebuild_state(place, 6, 1, nothing)
    async with handling(place, 6) as (_, client):
        await until_events(place, 6, 12 + 8 + 4 + 4)  # a repeat at the new owner may overtake what is being forwarded
        for number, id_ in enumerate(IDS):
            command = SucceedTaskExecution(execution_id=execution_id(id_), outputs={})
            reply = await client.submit(command, id_=f"waits {id_}")
            assert reply.outcome == ("duplicate" if number % 3 else "rejected")
    assert len(await events(place, 6)) == 12 + 8 + 4 + 4


@pytest.mark.parametrize("step", ["fold_events", "compare_states"])
async def test_a_handler_that_works_meanwhile_is_noticed(
    place: Kafka, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What it does after the events were read would not be in the state: its repeats would be done twice."""
    await lived(place)
    original = getattr(rebuild, step)

    async def then_it_works(*arguments: Any) -> None:
        await original(*arguments)
        async with handling(place) as (_, client):
            await execute(client, "meanwhile")

    with monkeypatch.context() as patch:
        patch.setattr(rebuild, step, then_it_works)
        with pytest.raises(RebuildError, match="A handler has worked meanwhile"):
            await rebuild_state(place, 4, 1, nothing)
    await rebuild_state(place, 4, 1, nothing)
    async with handling(place) as (_, client):
        assert [reply.outcome for reply in await execute(client, *IDS, "meanwhile")] == ["duplicate"] * 13


@pytest.mark.parametrize("step", ["add_partitions", "write_states", "verify_states"])
async def test_killed_half_way_no_handler_starts_and_it_begins_anew(
    place: Kafka, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await lived(place)

    async def dies(*_: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(OwnedTopics if hasattr(OwnedTopics, step) else rebuild, step, dies)
        with pytest.raises(KeyboardInterrupt):
            await rebuild_state(place, 6, 1, nothing)
    with suppress(ProvisioningError):
        await ensure_topics(place, 4)
    with pytest.raises(InstallationError, match="broken off"):
        await check_installation(place, 4)
    await rebuild_state(place, 6, 1, nothing)
    await assert_gone_on_with(place, 6)


THERE = Kafka("localhost:9092", "staging.")
TOPIC_IDS: dict[str, UUID] = {
    name: UUID(int=number) for number, name in enumerate((COMMANDS_TOPIC, EVENTS_TOPIC, STATE_TOPIC))
}
KNOWN = Installation("one", TOPIC_IDS, 4)


def test_another_cluster_is_told_from_a_topic_that_was_made_anew() -> None:
    assert differences(THERE, KNOWN, KNOWN) == []
    (flaw,) = differences(THERE, KNOWN, Installation("two", {name: UUID(int=9) for name in TOPIC_IDS}, 4))
    assert "KAFKA_BOOTSTRAP_SERVERS" in flaw


def test_topics_are_named_as_kafka_calls_them() -> None:
    (flaw,) = differences(THERE, KNOWN, Installation("one", {**TOPIC_IDS, EVENTS_TOPIC: UUID(int=9)}, 4))
    for name in TOPIC_IDS:
        assert f"staging.{name}" in flaw
