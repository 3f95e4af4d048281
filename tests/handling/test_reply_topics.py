"""A reply topic is its client's: however it is configured, the commands end, and nobody else waits for long."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTopicError
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask
from service.contracts.topics import REPLIES_TOPIC
from service.handling import reply_topics
from service.handling.reply_topics import ReplyStalledError, ReplyTopics
from service.kafka.internals.topic_words import Word
from tests.handling.world import HeaderPairs, Running, World, execution_id, id_owned_by

pytestmark = pytest.mark.usefixtures("running", "definition")

TASK = ExecuteTask(task_id="reply-topics:task", task_version="1.0.0", inputs={})


@pytest.fixture(scope="module")
async def definition(world: World, running: Running) -> None:
    assert running.owners
    await world.define({"taskId": "reply-topics:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})


@pytest.fixture
async def topic(world: World) -> str:
    """A reply topic of a client that takes no record without a key."""
    name = f"{REPLIES_TOPIC}.{uuid7()}"
    await world.create_topic(name, cleanup_policy="compact")
    return name


async def ask(world: World, *topics: str) -> dict[str, tuple[str, tuple[int, int]]]:
    """Ask for a reply to each of these, without a correlation id, and then for one to our own topic."""
    asked = {}
    for topic in topics:
        headers: HeaderPairs = [("reply_to", topic.encode())]
        asked[topic] = (id_ := id_owned_by(1)), await world.command(TASK, id_=id_, headers=headers, partition=1)
    asked[REPLIES_TOPIC] = (id_ := id_owned_by(1)), await world.command(TASK, id_=id_, partition=1, reply=True)
    await world.settled()
    return asked


async def only_the_last_was_accepted(world: World, asked: dict[str, tuple[str, tuple[int, int]]]) -> None:
    own, _ = asked.pop(REPLIES_TOPIC)
    assert len(await world.events(execution_id(own))) == 1
    assert [reply["outcome"] for reply in await world.replies(own)] == ["accepted"]
    for id_, place in asked.values():
        assert [item["problem"]["code"] for item in await world.rejections(place)] == ["invalid_reply_to"]
        assert not await world.events(execution_id(id_))


async def test_a_compacted_topic_takes_no_reply_without_a_key(world: World, topic: str) -> None:
    await only_the_last_was_accepted(world, await ask(world, topic))


async def test_a_topic_that_was_made_a_moment_ago_is_written(world: World) -> None:
    """However lately Kafka was asked about others, and about this one."""
    name = f"{REPLIES_TOPIC}.{uuid7()}"
    await world.command(TASK, id_=id_owned_by(1), headers=[("reply_to", name.encode())], partition=1)
    await world.settled()
    await world.create_topic(name)
    id_ = id_owned_by(1)
    await world.command(TASK, id_=id_, headers=[("reply_to", name.encode())], partition=1)
    await world.settled()
    assert len(await world.events(execution_id(id_))) == 1
    assert len(await world.read_all(name)) == 1


async def test_a_slow_broker_is_waited_for_however_long(
    world: World, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka says nothing of the topic: nothing is refused, nothing is taken."""
    times = 0
    partitions_for: Any = AIOKafkaProducer.partitions_for

    async def slow(producer: AIOKafkaProducer, name: str) -> object:
        nonlocal times
        if name == topic and times < 3:
            times += 1
            await asyncio.Event().wait()
        return await partitions_for(producer, name)

    monkeypatch.setattr(AIOKafkaProducer, "partitions_for", slow)
    id_ = id_owned_by(1)
    headers: HeaderPairs = [("reply_to", topic.encode()), ("correlation_id", b"a key")]
    await world.command(TASK, id_=id_, headers=headers, partition=1)
    await world.settled()
    assert times == 3
    assert len(await world.events(execution_id(id_))) == 1
    assert len(await world.read_all(topic)) == 1


STALLED = Word("no leader", passes=True)


@dataclass
class Stage:
    """Reply topics at a time that the test sets; Kafka has these words on them, and `asked` is what it was asked."""

    topics: ReplyTopics
    now: float = 1000.0
    words: dict[str, Word] = field(default_factory=dict)
    asked: list[set[str]] = field(default_factory=list)

    async def answer(self, _: object, topics: set[str]) -> dict[str, Word]:
        self.asked.append(topics)
        return {topic: word for topic, word in self.words.items() if topic in topics}

    async def flaw(self, topic: str = "own") -> str | None:
        return (await self.topics.flaws({topic}, cast("Any", None))).get(topic)

    async def waits(self, topic: str = "own") -> bool:
        """Whether the topic is waited for."""
        try:
            await self.flaw(topic)
        except ReplyStalledError:
            return True
        return False


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(ReplyTopics(REPLIES_TOPIC))
    monkeypatch.setattr(reply_topics, "words_on", stage.answer)
    monkeypatch.setattr(reply_topics, "_now", lambda: stage.now)
    return stage


async def test_kafka_is_asked_about_a_client_s_topic_once_a_second_and_about_ours_once(stage: Stage) -> None:
    for after in (0, 0.9, 1.0, 1.9):
        stage.now = 1000 + after
        assert await stage.topics.flaws({"own", REPLIES_TOPIC}, cast("Any", None)) == {}
    assert stage.asked == [{"own", REPLIES_TOPIC}, {"own"}]
    stage.topics.forget()
    await stage.flaw(REPLIES_TOPIC)
    assert stage.asked[2:] == [{REPLIES_TOPIC}]


async def test_a_topic_that_is_missing_is_asked_about_each_time(stage: Stage) -> None:
    stage.words["own"] = Word("missing", passes=False)
    assert await stage.flaw() == "missing"
    del stage.words["own"]
    assert await stage.flaw() is None


async def test_one_that_cannot_be_written_is_waited_for_until_our_patience_ends(stage: Stage) -> None:
    stage.words["own"] = STALLED
    for after in (0, 10, 19.9):
        stage.now = 1000 + after
        assert await stage.waits()
    stage.now = 1020
    assert await stage.flaw() == "no leader"
    stage.now = 1600
    assert await stage.flaw() == "no leader"  # at once: it has been so all the time, for all we know
    stage.now = 2300
    assert await stage.waits()


async def test_two_stalls_with_a_good_time_between_are_two(stage: Stage) -> None:
    """As when brokers are restarted one by one."""
    stage.words["own"] = STALLED
    assert await stage.waits()
    stage.now += 19
    del stage.words["own"]
    assert await stage.flaw() is None
    stage.now += 2
    stage.words["own"] = STALLED
    assert await stage.waits()


async def test_a_stall_that_nobody_saw_for_long_is_a_new_one(stage: Stage) -> None:
    stage.words["own"] = STALLED
    assert await stage.waits()
    stage.now += 21
    assert await stage.waits()


async def test_our_own_topic_is_waited_for_however_long(stage: Stage) -> None:
    stage.words[REPLIES_TOPIC] = STALLED
    for _ in range(10):
        stage.now += 19
        assert await stage.waits(REPLIES_TOPIC)


async def test_one_that_refused_a_reply_is_left_alone_for_a_minute(stage: Stage) -> None:
    stage.topics.refused("own", InvalidTopicError())
    assert await stage.flaw() == "the broker refused the last reply (InvalidTopicError)"
    assert await stage.flaw("other") is None
    stage.now += 60
    assert await stage.flaw() is None
