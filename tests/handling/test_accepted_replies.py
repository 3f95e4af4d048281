"""The quick reply to an accepted command says what the contract's models say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from service.contracts.events import TaskExecutionEvent
from service.contracts.replies import CommandReply, Outcome, Position
from service.domain.view import view
from service.handling.accepted_replies import accepted_reply
from service.kafka.records import Record
from tests.handling.pure import EXECUTE, FAIL, SKIP, START, STOP, SUCCEED, accepted, state_after

HERE = Position(partition=3, offset=41)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


def by_the_models(*events: TaskExecutionEvent) -> Any:
    reply = CommandReply(outcome=Outcome.ACCEPTED, task_execution=view(events), position=HERE)
    return json.loads(reply.model_dump_json(by_alias=True, exclude_none=True))


@pytest.mark.parametrize(
    "records",
    [(EXECUTE,), (EXECUTE, START), (EXECUTE, START, SUCCEED), (EXECUTE, START, FAIL), (EXECUTE, STOP), (EXECUTE, SKIP)],
)
def test_every_event_is_told_as_the_models_tell_it(records: tuple[Record, ...]) -> None:
    *before, last = records
    events = tuple(accepted(last, state_after(*before)).decision.events)
    assert json.loads(accepted_reply(events, HERE)) == by_the_models(*events)


@given(
    inputs=st.dictionaries(TEXTS, JSON),
    tags=st.lists(TEXTS),
    spark=st.none() | TEXTS,
    by=TEXTS,
)
def test_so_are_any_values(inputs: dict[str, Any], tags: list[str], spark: str | None, by: str) -> None:
    (created,) = accepted(EXECUTE).decision.events
    (started,) = accepted(START, state_after(EXECUTE)).decision.events
    created = replace(created, resolved_inputs=inputs)
    started = replace(started, tags=tuple(tags), spark_application_id=spark, created_by=by)
    for events in ((created,), (started,), (created, started)):
        assert json.loads(accepted_reply(events, HERE)) == by_the_models(*events)
