"""The oracle itself: a timer may ring before or after a command, and only the events tell."""

import json

import pytest

from tests.chaos.drafts import SERVICE_SOURCE
from tests.chaos.life import Life, Outcome
from tests.chaos.topics import Read

CREATED = ("TaskExecutionCreated", SERVICE_SOURCE, "first/attempt/2")
READY = ("TaskExecutionReady", SERVICE_SOURCE, "it/ready")
STOPPED = ("TaskExecutionStopped", "/client", "stop")


def record(type_: str, offset: int, **headers: str) -> Read:
    body = {"notBefore": "2026-01-01T00:00:00Z"} if type_ == CREATED[0] else {}
    named = {"ce_type": type_, **headers}
    return Read(
        "", 0, offset, 0.0, b"it", json.dumps(body).encode(), {key: text.encode() for key, text in named.items()}
    )


@pytest.mark.parametrize("happened", [(CREATED, READY, STOPPED), (CREATED, STOPPED)])
def test_a_timer_may_ring_before_what_is_accepted_either_way(happened: tuple[tuple[str, str, str], ...]) -> None:
    events = [
        record(type_, offset, ce_causationsource=source, ce_causationid=id_)
        for offset, (type_, source, id_) in enumerate(happened)
    ]
    life = Life(events, {CREATED[2]: (0, 0)})

    outcome = life.take(record("StopTaskExecution", 1, ce_source="/client", ce_id="stop"), Outcome.ACCEPTED)
    life.end()

    assert outcome is Outcome.ACCEPTED
    assert [step.type for step in life.steps] == [type_ for type_, _, _ in happened]
    assert life.flaws == []


def test_what_is_refused_and_sent_again_was_refused_before_the_timer_rang() -> None:
    happened = (CREATED, READY, ("TaskExecutionStarted", "/client", "start"))
    events = [
        record(type_, offset, ce_causationsource=source, ce_causationid=id_)
        for offset, (type_, source, id_) in enumerate(happened)
    ]
    life = Life(events, {CREATED[2]: (0, 0)})
    start = record("StartTaskExecution", 1, ce_source="/client", ce_id="start")

    outcomes = [life.take(start, Outcome.REJECTED), life.take(start._replace(offset=5), Outcome.ACCEPTED)]

    assert outcomes == [Outcome.REJECTED, Outcome.ACCEPTED]
    assert life.flaws == []
