"""Events reach a consumer at least once, in order, of committed transactions only, whatever comes between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError, IllegalStateError

from service.client.events import EventConsumer, UnreadableEventError
from service.contracts.events import AnyEvent, Event, TaskExecutionCreated, TaskExecutionFailed, UnknownEvent
from service.contracts.received import ReceivedEvent
from service.contracts.status import Status
from service.kafka.connection import Kafka
from tests.client.published import EventsTopic
from tests.queries.lives import body, headers, life

FAILED = life("a", Status.FAILURE)
QUICK = 0.05


def failures(count: int) -> list[Event]:
    """Of as many executions."""
    return [life(number, Status.FAILURE)[-1] for number in range(count)]


async def take(events: EventConsumer, count: int, *, counts: bool = False) -> list[ReceivedEvent]:
    """The next ones; `counts` says whether the last of them counts as handled."""
    async with asyncio.timeout(60):
        taken = [await anext(events) for _ in range(count)]
    if counts:
        await events.commit()
    return taken


def ids(received: list[ReceivedEvent]) -> list[str]:
    return [item.id for item in received]


@asynccontextmanager
async def consuming(topic: EventsTopic, **options: Any) -> AsyncIterator[EventConsumer]:
    async with EventConsumer(topic.kafka, "alerts", **({"commit_every": QUICK} | options)) as events:
        yield events


async def test_events_are_typed_and_come_with_their_attributes(events_topic: EventsTopic) -> None:
    await events_topic.publish(FAILED, traceparent=b"00-1", ce_causationid=b"c", ce_causationsource=b"/s")
    async with consuming(events_topic) as events:
        received = await take(events, 3)
    assert [item.event for item in received] == FAILED
    last = received[-1]
    assert isinstance(last.event, TaskExecutionFailed)
    assert (last.id, last.subject) == (f"{FAILED[0].execution_id}/3", FAILED[0].execution_id)
    assert (last.time, last.type, last.source) == (
        last.event.occurred_at, "TaskExecutionFailed", "/task-execution-service",
    )  # fmt: skip
    assert (last.traceparent, last.causation_id, last.causation_source) == ("00-1", "c", "/s")


async def test_what_was_aborted_is_not_seen(events_topic: EventsTopic) -> None:
    await events_topic.publish(FAILED, abort=True)
    sent = await events_topic.publish(failures(1))
    async with consuming(events_topic) as events:
        assert ids(await take(events, 1)) == sent


async def test_a_type_is_chosen_and_others_are_not_even_read(events_topic: EventsTopic) -> None:
    await events_topic.write(b"{}", headers(FAILED[0]))
    sent = await events_topic.publish(FAILED)
    async with consuming(events_topic, only=[TaskExecutionFailed]) as events:
        assert ids(await take(events, 1)) == sent[-1:]


LATER = [("ce_type", b"TaskExecutionResurrected"), *(pair for pair in headers(FAILED[2]) if pair[0] != "ce_type")]


@pytest.mark.parametrize("only", [(), (UnknownEvent, TaskExecutionCreated)])
async def test_an_event_of_a_later_type_is_unknown(events_topic: EventsTopic, only: tuple[type[AnyEvent], ...]) -> None:
    await events_topic.write(body(FAILED[2]), LATER)
    async with consuming(events_topic, only=only) as events:
        (received,) = await take(events, 1)
    assert (type(received.event), received.type) == (UnknownEvent, "TaskExecutionResurrected")
    assert received.event.execution_id == FAILED[2].execution_id


async def test_what_cannot_be_read_is_told_of_with_its_place_and_passed_over_by_who_goes_on(
    events_topic: EventsTopic,
) -> None:
    await events_topic.write(body(FAILED[2]).replace(b'"schemaVersion":2', b'"schemaVersion":3'), headers(FAILED[2]))
    async with consuming(events_topic) as events:
        with pytest.raises(UnreadableEventError, match=rf"{events_topic.name}/\d/0 .*schemaVersion.*upgrade"):
            await take(events, 1)
    async with consuming(events_topic) as events:  # nobody had gone on
        with pytest.raises(UnreadableEventError):
            await take(events, 1)
        sent = await events_topic.publish(failures(1))
        assert ids(await take(events, 1)) == sent


async def test_a_consumer_goes_on_after_what_was_handled(events_topic: EventsTopic) -> None:
    sent = await events_topic.publish(FAILED)  # of one execution: in one partition, in order
    async with consuming(events_topic) as events:
        assert ids(await take(events, 2)) == sent[:2]
    async with consuming(events_topic) as events:
        assert ids(await take(events, 1)) == sent[1:2], "the last one was not handled"
        await events.commit()
    async with consuming(events_topic) as events:
        assert ids(await take(events, 1, counts=True)) == sent[2:]
    sent = await events_topic.publish(failures(1))
    async with consuming(events_topic) as events:
        assert ids(await take(events, 1)) == sent


async def test_what_was_being_handled_when_an_error_came_comes_again(events_topic: EventsTopic) -> None:
    sent = await events_topic.publish(FAILED)
    with pytest.raises(ZeroDivisionError):
        async with consuming(events_topic) as events:
            async for received in events:
                if received.id == sent[1]:
                    raise ZeroDivisionError
    async with consuming(events_topic) as events:
        assert ids(await take(events, 2)) == sent[1:]


async def test_what_was_handled_is_committed_while_nothing_comes(events_topic: EventsTopic) -> None:
    """A kill then finds nothing undone."""
    await events_topic.publish(FAILED)
    async with consuming(events_topic) as events:
        await take(events, 3)
        waiting = asyncio.create_task(anext(events))
        tps = events._opened_consumer().assignment()
        async with asyncio.timeout(60):
            while 3 not in [await events._opened_consumer().committed(tp) for tp in tps]:
                await asyncio.sleep(0.02)
        waiting.cancel()


async def test_of_several_consumers_of_a_group_none_loses_an_event(events_topic: EventsTopic) -> None:
    """The second one comes while the first handles an event, and leaves while it handles one itself."""
    sent = await events_topic.publish(failures(40))
    seen: set[str] = set()
    async with consuming(events_topic, commit_every=60) as first:
        seen.update(ids(await take(first, 5)))
        async with consuming(events_topic, commit_every=60) as second:
            until = asyncio.create_task(take(second, 3))
            while not until.done():
                seen.update(ids(await take(first, 1)))
                if seen.issuperset(sent):
                    sent += await events_topic.publish(failures(40))
            seen.update(ids(await until))
        while not seen.issuperset(sent):
            seen.update(ids(await take(first, 1)))


async def test_what_was_being_handled_when_the_group_changed_is_not_committed(events_topic: EventsTopic) -> None:
    sent = await events_topic.publish(FAILED)
    async with consuming(events_topic) as first:
        await take(first, 2)
        await first._let_go()  # as when the group's members change
        await first.commit()
    async with consuming(events_topic) as events:
        assert ids(await take(events, 2)) == sent[1:]


@pytest.mark.parametrize("error", [CommitFailedError, IllegalStateError])
async def test_a_commit_that_comes_too_late_ends_nothing(
    events_topic: EventsTopic, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    async def commit(_offsets: Any) -> None:
        raise error

    sent = await events_topic.publish(FAILED)
    async with consuming(events_topic, commit_every=0) as events:
        monkeypatch.setattr(events._opened_consumer(), "commit", commit)
        assert ids(await take(events, 3)) == sent


async def test_a_group_may_begin_with_what_comes_from_now_on(events_topic: EventsTopic) -> None:
    await events_topic.publish(FAILED)
    async with consuming(events_topic, start="latest") as events:
        coming = asyncio.create_task(take(events, 1))
        consumer = events._opened_consumer()
        async with asyncio.timeout(60):
            while not consumer.assignment():
                await asyncio.sleep(0.02)
            for partition in consumer.assignment():
                await consumer.position(partition)
        sent = await events_topic.publish(failures(1))
        assert ids(await coming) == sent


async def test_without_the_topic_nothing_starts(kafka: str) -> None:
    with pytest.raises(ConnectionError, match=r"has no topic nowhere\.task-execution\.events: .*started"):
        async with EventConsumer(Kafka(kafka, prefix="nowhere."), "alerts", start_timeout=1):
            pass


async def test_without_kafka_nothing_starts() -> None:
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9 did not answer"):
        async with EventConsumer("127.0.0.1:9", "alerts", start_timeout=0.5):
            pass


async def test_a_consumer_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await anext(EventConsumer("127.0.0.1:9", "alerts"))


async def test_who_takes_too_long_is_left_behind_and_the_event_goes_to_another(events_topic: EventsTopic) -> None:
    async with consuming(events_topic) as other, consuming(events_topic, max_handling=2.0) as slow:
        await shared([slow, other])
        sent = await events_topic.publish(failures(10))
        taken = ids(await take(slow, 1))
        seen: set[str] = set()
        while not seen.issuperset(sent):
            seen.update(ids(await take(other, 1)))
        assert seen.issuperset(taken)


async def shared(consumers: list[EventConsumer]) -> None:
    """Return when each has a partition; nothing has been published yet."""
    opened = [events._opened_consumer() for events in consumers]
    async with asyncio.timeout(60):
        while not all(len(consumer.assignment()) == 1 for consumer in opened):
            for consumer in opened:
                assert not await consumer.getmany(timeout_ms=20)  # else it takes too long already


async def test_who_has_fallen_out_of_the_group_is_told_so(events_topic: EventsTopic) -> None:
    """aiokafka's task for the group can cancel itself; who only iterates was not cancelled."""
    async with consuming(events_topic) as events:
        await events_topic.publish(FAILED)
        await take(events, 1)
        coordinator: Any = events._opened_consumer()._coordinator
        coordinator._coordination_task.cancel()
        with pytest.raises(ConnectionError, match="Open a new one"):
            while True:
                await take(events, 1)


async def test_who_is_cancelled_is_cancelled(events_topic: EventsTopic) -> None:
    async with consuming(events_topic) as events:
        waiting = asyncio.create_task(take(events, 1))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
