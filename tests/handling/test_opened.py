"""What an opened partition does in one transaction, and what it remembers of it afterwards. No broker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError, PolicyViolationError
from prometheus_client import REGISTRY

from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC, REPLIES_TOPIC, STATE_TOPIC
from service.domain.timers import Timer
from service.handling import processing
from service.handling.bisection import Verdict
from service.handling.opened import OpenedPartition
from service.handling.snapshots import is_state_key, state_key
from service.kafka.records import Record
from tests.handling.stages import AT, WINDOW, MemoryStore, execute, finished, remembering, timer_of
from tests.handling.stand_ins import AnyTopic, StandInProducer, a_context
from tests.ids import id_of

OLD = finished("old", AT - 2 * WINDOW)


@dataclass
class Bench:
    """A partition that was opened with these states, at offset 7, and its stand-in producer."""

    opened: OpenedPartition
    producer: StandInProducer
    topics: AnyTopic
    now: Timestamp = AT

    async def transact(self, *records: Record, due: Sequence[Timer] = (), verdict: Verdict = Verdict.DECIDE) -> int:
        return await self.opened.transact(records, due, verdict)


@pytest.fixture
async def bench() -> Bench:
    context = a_context(lambda: made.now)
    opened = OpenedPartition(context, cast("Any", None), 0, lambda: None)
    opened.states, opened.next_offset = remembering(OLD), 7
    made = Bench(opened, StandInProducer(), cast("AnyTopic", context.reply_topics))
    opened._producer = cast("Any", made.producer)
    return made


def executions(bench: Bench) -> int:
    """How many are remembered."""
    states = bench.opened.states
    known = {**cast("MemoryStore", states._store).records, **states._unwritten}
    return len([key for key, value in known.items() if is_state_key(key) and value is not None])


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_what_is_committed_is_remembered_and_gone_on_from(bench: Bench) -> None:
    assert await bench.transact(execute(7), execute(9)) == 2
    assert (executions(bench), bench.opened.next_offset) == (3, 10)
    assert bench.producer.sent[STATE_TOPIC, 0][-1].value == b"10"
    await bench.transact(execute(12, "9"))  # a duplicate, of what was committed before
    assert len(bench.producer.sent[EVENTS_TOPIC, 0]) == 2


async def test_it_goes_on_behind_what_is_answered_not_behind_what_was_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing, "MAX_EVENTS_BYTES", 0)
    assert await bench.transact(execute(7), execute(9)) == 1
    assert bench.opened.next_offset == 8
    assert bench.producer.sent[STATE_TOPIC, 0][-1].value == b"8"


async def test_a_unit_has_the_time_of_its_transaction(bench: Bench) -> None:
    bench.now = AT + timedelta(seconds=5)
    await bench.transact(execute(7))
    (event,) = bench.producer.sent[EVENTS_TOPIC, 0]
    assert dict(event.headers)["ce_time"] == str(bench.now).encode()


async def test_what_fails_is_not_remembered(bench: Bench) -> None:
    bench.producer.errors[EVENTS_TOPIC] = KafkaConnectionError()
    with pytest.raises(KafkaConnectionError):
        await bench.transact(execute(7), due=[timer_of(OLD)])
    assert (bench.opened.states.get(id_of("old")), executions(bench), bench.opened.next_offset) == (OLD, 1, 7)
    assert bench.topics.told == []


async def test_a_topic_that_takes_no_replies_is_reported(bench: Bench) -> None:
    bench.producer.errors[REPLIES_TOPIC] = (error := PolicyViolationError())
    with pytest.raises(Exception, match=REPLIES_TOPIC):
        await bench.transact(execute(7))
    assert bench.topics.told == [(REPLIES_TOPIC, error)]
    assert (executions(bench), bench.opened.next_offset) == (1, 7)


async def test_timers_alone_are_a_transaction_that_stays_where_the_commands_are(bench: Bench) -> None:
    assert await bench.transact(due=[timer_of(OLD)]) == 0
    assert bench.opened.states.get(id_of("old")) is None
    assert [(record.key, record.value) for record in bench.producer.sent[STATE_TOPIC, 0]] == [
        (state_key(id_of("old")), None), (b"\0position", b"7")
    ]  # fmt: skip
    assert bench.opened.next_offset == 7
    assert ("commit",) in bench.producer.calls


async def test_timers_that_have_nothing_to_do_any_more_are_no_transaction(bench: Bench) -> None:
    assert await bench.transact(due=[timer_of(finished("gone"))]) == 0
    assert bench.producer.calls == []


async def test_timers_and_commands_go_together_the_timers_first(bench: Bench) -> None:
    assert await bench.transact(execute(7), due=[timer_of(OLD)]) == 1
    assert bench.producer.calls.count(("commit",)) == 1
    assert [record.value is None for record in bench.producer.sent[STATE_TOPIC, 0]] == [True, False, False]
    assert executions(bench) == 1


async def test_the_timers_of_what_is_committed_are_set(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.opened.states.rung(bench.opened.states.take_due(AT))
    timer = timer_of(finished("new"))
    original = bench.opened._processing.process

    async def with_timer(records: Any, unit: Any, verdict: Verdict) -> None:
        await original(records, unit, verdict)
        unit.timers.append(timer)

    monkeypatch.setattr(bench.opened._processing, "process", with_timer)
    await bench.transact(execute(7))
    assert bench.opened.states.seconds_left(AT) == WINDOW.total_seconds()


async def test_each_outcome_is_counted_when_it_is_committed(bench: Bench) -> None:
    names = ("accepted", "duplicate", "rejected", "forwarded")
    before = [metric("taskexec_commands_total", outcome=name) for name in names]
    await bench.transact(execute(7, "a"), execute(8, "a"), execute(9, "b"))
    bench.producer.errors[EVENTS_TOPIC] = KafkaConnectionError()
    with pytest.raises(KafkaConnectionError):
        await bench.transact(execute(10))
    after = [metric("taskexec_commands_total", outcome=name) for name in names]
    assert [new - old for old, new in zip(before, after, strict=True)] == [2, 1, 0, 0]


@pytest.mark.parametrize(
    ("verdict", "counted"), [(Verdict.DECIDE, 0), (Verdict.SET_ASIDE, 1), (Verdict.SET_ASIDE_BARE, 1)]
)
async def test_what_is_set_aside_is_counted(bench: Bench, verdict: Verdict, counted: int) -> None:
    before = metric("taskexec_commands_set_aside_total")
    await bench.transact(execute(7), verdict=verdict)
    assert metric("taskexec_commands_set_aside_total") - before == counted


async def test_a_producer_is_stopped_even_if_the_closing_of_the_store_is_cut_short(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[object] = []

    async def stop(producer: object, _: object) -> None:
        stopped.append(producer)

    monkeypatch.setattr("service.handling.opened.stop_producer", stop)
    monkeypatch.setattr(bench.opened.states, "close", asyncio.Event().wait)
    bench.opened._close_store = bench.opened.states.close
    discarding = asyncio.create_task(bench.opened.discard())
    await asyncio.sleep(0)
    discarding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await discarding
    assert stopped == [bench.producer]
