"""service/client/definition_following.py: definitions as of the moment of the question, while Kafka is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import KafkaConnectionError
from uuid_utils.compat import uuid7

from service.client import definition_following, publish_definitions
from service.client.definition_following import FollowedDefinitions
from service.contracts.definitions import TaskDefinition
from service.contracts.problems import Code, RejectedError
from service.definitions.versions import Versions
from service.kafka.connection import Kafka
from service.ports.definitions import ListTaskDefinitions
from service.runtime.tasks import running_task


def definition(name: str, version: str = "1.0.0") -> TaskDefinition:
    return TaskDefinition.model_validate({"taskId": name, "version": version, "status": "PUBLISHED", "type": "sql"})


async def test_what_was_published_before_the_question_is_in_the_answer(kafka: str) -> None:
    name = f"tests:{uuid7()}"
    definitions = FollowedDefinitions(Kafka(kafka), patience=30)
    async with running_task(definitions.run(), "definitions"):
        for version in ("1.0.0", "1.10.0", "1.9.0"):
            await publish_definitions(kafka, [definition(name, version)])
            answer = await definitions.get(name, version)
            assert answer.definition == definition(name, version)
        listed = await definitions.list(ListTaskDefinitions(task_id=name))

    assert [one.version for one in listed.items] == ["1.10.0", "1.9.0", "1.0.0"]


async def test_many_questions_at_once_are_all_answered(kafka: str) -> None:
    definitions = FollowedDefinitions(Kafka(kafka), patience=30)
    async with running_task(definitions.run(), "definitions"):
        answers = await asyncio.gather(*(definitions.list(ListTaskDefinitions()) for _ in range(50)))

    assert len({answer.total for answer in answers}) == 1


class Reader:
    """Fails as often as it is told to, then reads nothing."""

    def __init__(self) -> None:
        self.versions, self.outages = Versions(), 0

    async def read_on(self) -> None:
        if self.outages:
            self.outages -= 1
            raise KafkaConnectionError("gone")

    @asynccontextmanager
    async def opened(self, _: Kafka) -> AsyncIterator["Reader"]:
        yield self


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    reader = Reader()
    monkeypatch.setattr(definition_following, "reading_definitions", reader.opened)
    monkeypatch.setattr(definition_following, "_PAUSE_SECONDS", 0.01)
    return reader


async def test_while_kafka_is_away_who_asks_is_told_and_later_it_goes_on(reader: Reader) -> None:
    definitions = FollowedDefinitions(Kafka("nowhere:9092"))
    async with running_task(definitions.run(), "definitions"):
        assert (await definitions.list(ListTaskDefinitions())).total == 0
        reader.outages = 1
        with pytest.raises(RejectedError, match="Ask again later") as refused:
            await definitions.list(ListTaskDefinitions())
        again = await definitions.list(ListTaskDefinitions())

    assert refused.value.code is Code.UNAVAILABLE
    assert again.total == 0


async def test_nobody_waits_for_ever() -> None:
    definitions = FollowedDefinitions(Kafka("nowhere:9092"), patience=0.01)

    with pytest.raises(RejectedError, match=r"within 0\.01 s") as refused:
        await definitions.list(ListTaskDefinitions())

    assert refused.value.code is Code.UNAVAILABLE


async def test_who_goes_away_while_waiting_disturbs_nobody(reader: Reader) -> None:
    definitions = FollowedDefinitions(Kafka("nowhere:9092"))
    gone = asyncio.create_task(definitions.list(ListTaskDefinitions()))
    await asyncio.sleep(0)
    gone.cancel()
    async with running_task(definitions.run(), "definitions"):
        assert (await definitions.list(ListTaskDefinitions())).total == 0
    assert gone.cancelled()
