"""What Kafka says of topics, where brokers do not answer, or answer what a real one is seldom brought to."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError
from aiokafka.protocol.admin import DescribeConfigsRequest

from service.kafka.internals import topic_words
from service.kafka.internals.topic_words import Word, words_on

Answer = Callable[[], Any]


def metadata(code: int = 0, *partitions: tuple[int, list[int], list[int]]) -> Answer:
    """Of one topic: an error, and each partition's leader, replicas, and those in sync."""
    described = [(0, number, *partition) for number, partition in enumerate(partitions)]
    return lambda: SimpleNamespace(topics=[(code, "own", False, described)])


def raising(error: Exception) -> Answer:
    def answer() -> Any:
        raise error

    return answer


async def ask(monkeypatch: pytest.MonkeyPatch, *answers: Answer, least: list[str] | None = None) -> dict[str, Word]:
    """What is said where each broker that is asked gives the next answer; `least` are those on min.insync.replicas."""
    waiting, configured = [*answers], SimpleNamespace(resources=[(0, "", 2, "own", [("m", v) for v in least or []])])
    monkeypatch.setattr(topic_words, "_SECONDS", 0.05)

    async def send(_node: int, request: Any, **_: object) -> Any:
        if isinstance(request, DescribeConfigsRequest):
            return configured
        answered = waiting.pop(0)()
        return await answered if asyncio.iscoroutine(answered) else answered

    brokers = [SimpleNamespace(nodeId=number) for number in range(len(answers))]
    client = SimpleNamespace(send=send, cluster=SimpleNamespace(brokers=lambda: brokers))
    return await words_on(cast("Any", SimpleNamespace(_client=client)), ["own"])


async def test_a_broker_that_does_not_answer_is_not_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Answer = lambda: asyncio.sleep(60)  # noqa: E731 - an answer that never comes
    words = await ask(monkeypatch, silent, raising(NodeNotReadyError()), metadata(3))
    assert words == {"own": Word("the topic does not exist", passes=False)}
    with pytest.raises(KafkaConnectionError, match="does not answer"):
        await ask(monkeypatch, silent)
    with pytest.raises(KafkaConnectionError, match="no broker is known"):
        await ask(monkeypatch)


async def test_a_topic_that_we_may_not_use_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    words = await ask(monkeypatch, metadata(29))
    assert words == {"own": Word("the service may not use the topic", passes=False)}


@pytest.mark.parametrize("code", [0, 5])
async def test_what_is_well_or_only_begins_to_be_is_not_spoken_of(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    assert await ask(monkeypatch, metadata(code, (1, [1, 2], [1, 2]))) == {}


@pytest.mark.parametrize(
    ("least", "flaw"),
    [(["1"], None), ([], None), (["2"], "its partition 1 has 1 of 2 replicas in sync")],
    ids=["enough", "we may not know", "too few"],
)
async def test_replicas_count_only_where_too_few_are_in_sync(
    monkeypatch: pytest.MonkeyPatch, least: list[str], flaw: str | None
) -> None:
    words = await ask(monkeypatch, metadata(0, (1, [1], [1]), (1, [1, 2], [1])), least=least)
    assert words == ({} if flaw is None else {"own": Word(flaw, passes=True)})


async def test_more_replicas_than_there_are_cannot_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    words = await ask(monkeypatch, metadata(0, (1, [1, 2, 3], [1, 2])), least=["5"])
    assert words == {"own": Word("its partition 0 has 2 of 3 replicas in sync", passes=True)}
