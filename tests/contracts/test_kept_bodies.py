"""What is kept of bodies is less than was published, and tells as much; what earlier versions kept, too."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.contracts.events import Event
from service.contracts.kept_bodies import put_together, told_again
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, epoch_ms
from service.projection.rows import event_row
from tests.projection.test_own_events import LIVES
from tests.queries.lives import body, life, record
from tests.upgrade.recorded import kept_by_version_3

WRITE_SIDE_ONLY = {"commandId", "commandHash"}


def published(event: Event) -> dict[str, Any]:
    return {name: value for name, value in json.loads(body(event)).items() if name not in WRITE_SIDE_ONLY}


def kept(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event_row(record(event, 0)).payload)
    return found


def mixed(events: list[Event], older: list[bool]) -> list[dict[str, Any]]:
    """As they are kept, some of them by an earlier version."""
    return [
        kept_by_version_3(json.loads(body(event))) if old else kept(event)
        for event, old in zip(events, older, strict=False)
    ]


@given(LIVES, st.lists(st.booleans(), min_size=3, max_size=3))
def test_all_that_was_published_is_told_again_whichever_version_kept_it(events: list[Event], older: list[bool]) -> None:
    created = epoch_ms(events[0].created_at)
    again = told_again(enumerate(mixed(events, older), 1), events[0].execution_id, created)
    assert [*again] == [published(event) for event in events]


@given(LIVES, st.lists(st.booleans(), min_size=3, max_size=3))
def test_the_bodies_put_together_are_what_is_known_at_the_end(events: list[Event], older: list[bool]) -> None:
    found = put_together(mixed(events, older), epoch_ms(events[0].created_at))
    wanted: dict[str, Any] = {}
    for event in events:
        wanted |= published(event)
    for name in ("createdAt", "startedAt", "completedAt"):
        if name in wanted:
            wanted[name] = Timestamp.parse(wanted[name])
    of_events = {"schemaVersion", "executionId", "sequence", "previousStatus", "occurredAt"}
    assert {name: value for name, value in found.items() if name not in of_events} == {
        name: value for name, value in wanted.items() if name not in of_events
    }


def test_little_is_kept_of_what_says_little() -> None:
    created, started, ended = life("a", Status.SUCCESS, outputs={"rows": 7})
    assert kept(started) == {"status": "RUNNING", "startedAt": 1000}
    assert kept(ended) == {"status": "SUCCESS", "completedAt": 3000, "outputs": {"rows": 7}}
    assert kept(created).keys() == {"taskId", "taskVersion", "createdBy", "tags", "resolvedInputs"}
    assert kept(life("a", Status.STOPPED, started=False)[1])["previousStatus"] == "PENDING"
