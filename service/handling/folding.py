"""What all events lead to, for a rebuild of the state; and whether it is as much as the state has."""

from collections.abc import Iterable
from typing import Final

from service.contracts.events import Event, UnknownEvent, read_event
from service.contracts.topics import EVENTS_TOPIC, STATE_TOPIC
from service.domain.execution import Execution, evolve
from service.handling.restoring import until_ready
from service.handling.snapshots import decode_snapshot, encode_snapshot, execution_id_of, is_state_key, state_key
from service.handling.state_store import Mark, StateStore
from service.handling.whole_topics import RebuildError, reading
from service.kafka.connection import Kafka
from service.kafka.records import Record
from service.ports.progress import Tell

_NOWHERE: Final = Mark("events", 0, 0)


async def fold_events(kafka: Kafka, partitions: int, store: StateStore, tell: Tell) -> None:
    """Put into an empty store what all events lead to.

    Raises:
        RebuildError: of an execution, an event is missing.
    """
    early: list[Event | UnknownEvent] = []
    tps = [kafka.partition(EVENTS_TOPIC, number) for number in range(partitions)]
    async for records in reading(kafka, tps, "Reading events", tell):
        early += await _fold(store, map(_event, records))
    # An execution that has moved has its first events in another partition, which may be read later.
    early = await _fold(store, sorted(early, key=lambda event: (event.execution_id, event.sequence)))
    if early:
        first = early[0]
        raise RebuildError(
            f"Of execution {first.execution_id}, event {first.sequence} is there and one before it is not: records "
            "were deleted from the events topic. Restore it from a backup."
        )


async def _fold(store: StateStore, events: Iterable[Event | UnknownEvent]) -> list[Event | UnknownEvent]:
    """Fold these into the store; those that come before their time are given back."""
    found = [*events]
    keys = [*{state_key(event.execution_id): None for event in found}]
    values = dict(zip(keys, store.get(keys), strict=True)) if keys else {}
    states = {key: None if value is None else _execution(key, value) for key, value in values.items()}
    early = []
    for event in found:
        key = state_key(event.execution_id)
        state = states[key]
        known = 0 if state is None else state.sequence
        if event.sequence == known + 1:
            states[key] = evolve(state, event)
        elif event.sequence > known:
            early.append(event)
    await until_ready(store)
    changed = ((key, encode_snapshot(state)) for key, state in states.items() if state is not None)
    store.write(changed, _NOWHERE)
    return early


def _execution(key: bytes, value: bytes) -> Execution | None:
    state = decode_snapshot(execution_id_of(key), value)
    return state if isinstance(state, Execution) else None


def _event(record: Record) -> Event | UnknownEvent:
    type_ = next((value for name, value in record.headers if name == "ce_type"), b"")
    return read_event(type_.decode(), record.value or b"")


async def compare_states(kafka: Kafka, partitions: int, store: StateStore, tell: Tell) -> None:
    """Look whether the events lead at least as far as the state topic does, as long as there is one.

    Raises:
        RebuildError: there are no events for what the state has.
    """
    tps = [kafka.partition(STATE_TOPIC, number) for number in range(partitions)]
    async for records in reading(kafka, tps, "Comparing with the state", tell):
        had = {record.key: record.value for record in records if record.value and is_state_key(record.key or b"")}
        keys = [key for key in had if key is not None]
        for key, value in zip(keys, store.get(keys) if keys else [], strict=True):
            id_ = execution_id_of(key)
            known = _execution(key, had[key] or b"")
            if known is None:  # it was expected, and is not there yet: it has no events
                continue
            found = value and _execution(key, value)
            if not found or found.sequence < known.sequence:
                raise RebuildError(
                    f"Events are missing: execution {id_} has had event {known.sequence}, and the events topic has "
                    f"{f'them up to {found.sequence}' if found else 'none of it'}. Restore it from a backup. The state "
                    "was left as it is."
                )
