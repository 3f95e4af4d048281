"""The way of a batch through the stages: in order, each command after the other, and never for long. No broker."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.handling import processing as module
from service.handling.bisection import Verdict
from service.handling.deciding import Decider
from service.handling.incoming import CommandReader
from service.handling.processing import Processing
from service.kafka.records import Record
from tests.handling.stages import EXECUTE, Unit, a_record, execute
from tests.handling.stand_ins import a_context

MILLISECOND = 0.001


async def processed(*records: Record, verdict: Verdict = Verdict.DECIDE) -> Unit:
    unit = Unit(partitions=1)
    await Processing(0, a_context(), cast("Any", None)).process(records, unit, verdict)
    return unit


class Time:
    """A clock that moves only while something is at work."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def during(self, function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        """The function, which takes this long."""

        def slow(*arguments: Any) -> Any:
            self.now += seconds
            return function(*arguments)

        return slow


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Each command takes so many seconds to be read and to be decided."""
    time = Time()
    monkeypatch.setattr(module, "time", time)

    def slow(*, reading: float = 0, deciding: float = 0) -> None:
        monkeypatch.setattr(CommandReader, "read", time.during(CommandReader.read, reading))
        monkeypatch.setattr(Decider, "answer", time.during(Decider.answer, deciding))

    return slow


@pytest.mark.parametrize("count", [0, 1, 59, 60, 61, 121])
async def test_all_are_answered_in_order(count: int) -> None:
    unit = await processed(*map(execute, range(count)))
    assert (unit.count, unit.outcomes["accepted"]) == (count, count)
    assert [answer.record.offset for answer, _ in unit.replies] == list(range(count))


@pytest.mark.parametrize("between", [0, 59, 60])
async def test_each_command_sees_what_those_before_it_did(between: int) -> None:
    unit = await processed(execute(0, "same"), *map(execute, range(1, between + 1)), execute(between + 1, "same"))
    assert unit.outcomes == {"accepted": between + 1, "duplicate": 1}


@pytest.mark.parametrize(("seconds", "answered"), [(9, 1), (0.4, 3), (0.55, 2), (0.05, 20)])
async def test_a_batch_ends_when_its_time_is_over_but_answers_one_at_least(
    slowly: Callable[..., None], seconds: float, answered: int
) -> None:
    slowly(deciding=seconds)
    assert (await processed(*map(execute, range(20)))).count == answered


async def test_to_read_takes_of_the_batch_s_time_as_well(slowly: Callable[..., None]) -> None:
    slowly(reading=0.6, deciding=2 * module.TURN_SECONDS)
    assert (await processed(*map(execute, range(2)))).count == 1


@pytest.mark.parametrize(("events", "answered"), [(0, 1), (1.5, 2), (2, 3)])
async def test_a_batch_ends_when_its_events_are_large(
    monkeypatch: pytest.MonkeyPatch, events: float, answered: int
) -> None:
    """`events` are as many of them as have room."""
    one = (await processed(execute(0))).size
    monkeypatch.setattr(module, "MAX_EVENTS_BYTES", events * one)
    unit = await processed(*map(execute, range(5)))
    assert (unit.count, len(unit.packed(EVENTS_TOPIC))) == (answered, answered)


@pytest.mark.parametrize(("reading", "deciding", "turns"), [(0, 0, 1), (0, 30, 11), (30, 0, 11), (0, 15, 6)])
async def test_everything_else_has_its_turn_when_it_was_at_work_for_long(
    slowly: Callable[..., None], reading: int, deciding: int, turns: int
) -> None:
    """Milliseconds per command; ten commands. At the end there is a turn in any case."""
    slowly(reading=reading * MILLISECOND, deciding=deciding * MILLISECOND)
    counted = 0

    async def others() -> None:
        nonlocal counted
        while True:
            counted += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await processed(*map(execute, range(10)))
    task.cancel()
    assert counted == turns


@pytest.mark.parametrize("value", [EXECUTE, b"{oops"])
@pytest.mark.parametrize(
    ("verdict", "key", "replies"), [(Verdict.SET_ASIDE, "aw==", 1), (Verdict.SET_ASIDE_BARE, None, 0)]
)
async def test_a_record_to_be_set_aside_is_refused_whatever_it_says_in_the_form_of_its_verdict(
    monkeypatch: pytest.MonkeyPatch, value: bytes, verdict: Verdict, key: str | None, replies: int
) -> None:
    monkeypatch.delattr(CommandReader, "read")  # it may be what fails
    record = execute(0)
    unit = await processed(a_record(0, value, record.headers, key=b"k"), verdict=verdict)
    ((_, rejection),) = unit.packed(REJECTIONS_TOPIC)
    told = json.loads(rejection.value or b"")
    assert (told["problem"]["code"], told["record"].get("key")) == ("internal_error", key)
    assert bool(told["record"]["headers"]) is bool(replies)
    assert (len(unit.replies), dict(unit.outcomes)) == (replies, {"rejected": 1})
