"""Stage 5: one unit of work is one transaction, whose replies name what it has written. No broker."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    InvalidTimestampError,
    InvalidTopicError,
    KafkaConnectionError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    UnknownError,
)

from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, HANDLER_GROUP, REPLIES_TOPIC, STATE_TOPIC
from service.domain.view import describe
from service.handling.deciding import Answer, Repeated
from service.handling.incoming import ReplyAddress
from service.handling.transaction import ReplyRefusedError, commit
from service.handling.unit_of_work import UnitOfWork
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of
from tests.handling.stages import REPLY_TO, Unit, a_record, accepted, created, refused, state_after, stopped
from tests.handling.stand_ins import StandInProducer

EVENTS = (EVENTS_TOPIC, 2)
OWN = "task-execution.replies.own"
REPEATED = Repeated(a_record(), REPLY_TO, describe(state_after(created("a"))))


def a_unit(*answers: Answer) -> Unit:
    unit = Unit(partition=2)
    for answer in answers:
        unit.add(answer)
    return unit


async def committed(producer: Any, unit: UnitOfWork, *, events_end: int = 0, reply_seconds: float = 9) -> int:
    ends = await commit(Kafka(""), producer, unit, 41, events_end, reply_seconds=reply_seconds)
    assert ends.states == producer.ends[STATE_TOPIC, unit.partition]
    return ends.events


def positions(producer: StandInProducer, topic: str = REPLIES_TOPIC) -> list[tuple[int, int] | None]:
    """What each reply names."""
    told = [json.loads(reply.value or b"") for reply in producer.sent[topic, 0]]
    return [
        (reply["position"]["partition"], reply["position"]["offset"]) if "position" in reply else None for reply in told
    ]


async def test_the_input_offset_goes_first_the_replies_last_and_then_all_is_committed() -> None:
    producer = StandInProducer()
    await committed(producer, a_unit(accepted(created("a")), refused()))
    first, offsets, *sends, reply, last = producer.calls
    assert (first, last) == (("begin",), ("commit",))
    assert offsets == ("offsets", {TopicPartition(COMMANDS_TOPIC, 2): 41}, HANDLER_GROUP)
    assert sorted(topic for _, topic in sends) == [
        "task-execution.events", "task-execution.rejections", "task-execution.state"
    ]  # fmt: skip
    assert reply == ("send", REPLIES_TOPIC)
    assert [record.value for record in producer.sent[STATE_TOPIC, 2]][-1] == b"41"


async def test_who_is_accepted_is_told_the_place_of_the_own_last_event_among_those_of_others() -> None:
    producer = StandInProducer({EVENTS: 100})
    answers = [accepted(created("a")), accepted(created("b"), stopped("b")), accepted(created("c"))]
    end = await committed(producer, a_unit(*answers))
    assert positions(producer) == [(2, 100), (2, 102), (2, 103)]
    assert end == 104


async def test_who_repeats_is_told_a_place_that_its_event_is_not_after() -> None:
    """The event may be older than the transaction or in it: the last of all is not before it."""
    producer = StandInProducer({EVENTS: 100})
    await committed(producer, a_unit(REPEATED, accepted(created("a")), REPEATED, refused()), events_end=90)
    assert positions(producer) == [(2, 100), (2, 100), (2, 100), None]


@pytest.mark.parametrize(("events_end", "told"), [(90, 89), (1, 0), (0, 0)])
async def test_without_events_the_place_is_the_last_one_known(events_end: int, told: int) -> None:
    producer = StandInProducer({EVENTS: 100})
    assert await committed(producer, a_unit(REPEATED), events_end=events_end) == events_end
    assert positions(producer) == [(2, told)]


async def test_each_reply_goes_to_its_topic_by_its_correlation_id() -> None:
    own = [ReplyAddress(OWN, b"%d" % number) for number in range(9)]
    producer = StandInProducer(partitions=3)
    await committed(producer, a_unit(refused(), *map(refused, own), refused(None)))
    assert [reply.key for reply in producer.sent[REPLIES_TOPIC, partition_of(b"re", 3)]] == [b"re"]
    places = {record.key: place for (topic, place), sent in producer.sent.items() for record in sent if topic == OWN}
    assert places == {address.correlation_id: partition_of(address.correlation_id or b"", 3) for address in own}


@pytest.mark.parametrize(
    "error",
    [
        InvalidTimestampError, InvalidTopicError, MessageSizeTooLargeError, PolicyViolationError,
        TopicAuthorizationFailedError, UnknownError,
    ],
)  # fmt: skip
async def test_a_topic_that_takes_no_replies_is_named_and_nothing_is_committed(error: Callable[[], Any]) -> None:
    producer = StandInProducer(errors={OWN: (cause := error())})
    with pytest.raises(ReplyRefusedError, match=OWN) as raised:
        await committed(producer, a_unit(refused(), refused(ReplyAddress(OWN, None))))
    assert (raised.value.topic, raised.value.error) == (OWN, cause)
    assert ("commit",) not in producer.calls


@pytest.mark.parametrize("error", [KafkaConnectionError(), ProducerFenced(), ValueError()])
async def test_any_other_error_is_not_held_against_the_topic(error: Exception) -> None:
    producer = StandInProducer(errors={REPLIES_TOPIC: error})
    with pytest.raises(type(error)):
        await committed(producer, a_unit(refused()))
    assert ("commit",) not in producer.calls


async def test_a_slow_broker_is_no_topic_s_fault() -> None:
    producer: Any = StandInProducer()
    producer.partitions_for = lambda _: asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        await committed(producer, a_unit(refused(ReplyAddress(OWN, None)), refused()), reply_seconds=0)
    assert ("commit",) not in producer.calls


async def test_an_error_of_our_own_topics_is_nobody_s_reply() -> None:
    producer = StandInProducer(errors={EVENTS_TOPIC: (error := MessageSizeTooLargeError())})
    with pytest.raises(MessageSizeTooLargeError) as raised:
        await committed(producer, a_unit(accepted(created("a"))))
    assert raised.value is error
    assert ("send", REPLIES_TOPIC) not in producer.calls
    assert ("commit",) not in producer.calls
