"""The state topic: its newest snapshots are what the events add up to, and it says who still waits for whom."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tests.chaos.life import body_of, time_of
from tests.chaos.network import FINAL, Network
from tests.chaos.topics import Read

_POSITION: Final = b"\0position"
_VERSIONS: Final = {b"\3": "plain", b"\5": "with terms", b"\6": "expected"}
_ID: Final = 16
_FIELDS: Final = 12
"""What all snapshots have; behind them are sensitive variables, of which there are none here, and terms."""

_SNAPSHOT: Final = ("sequence", "status", "taskId", "taskVersion", "createdBy", "tags")
_TIMES: Final = ("createdAt", "occurredAt", "startedAt", "completedAt")
_TERMS: Final = {"upstreams": 0, "is awaited": 8, "retried by": 10}

Flaw = tuple[str, str]
"""What is wrong, and where."""


def state_flaws(
    state: Sequence[Read], committed: Mapping[int, int], events: Mapping[str, Sequence[Read]], network: Network
) -> Iterator[Flaw]:
    """Everything that should not be there, or should; `committed` are the group's offsets."""
    newest = {(record.partition, record.key or b""): record for record in state}
    for number, offset in committed.items():
        position = newest.pop((number, _POSITION), None)
        if offset and (position is None or int(position.value or b"-1") != offset):
            yield "position is not the group's offset", f"{number}: {position and position.value!r}, not {offset}"
    values = {key: record.value for (_, key), record in newest.items() if record.value is not None}
    edges = {(key[:_ID].hex(), key[_ID:].hex()) for key in values if len(key) == 2 * _ID}
    snapshots = {key.hex(): value for key, value in values.items() if len(key) == _ID}
    by_key = {_key(id_): id_ for id_ in events}
    wanted = _edges(network)
    yield from _edge_flaws(edges, wanted, {key for key, id_ in by_key.items() if network.status(id_) in FINAL})
    needed = {upstream for upstream, _ in wanted if upstream not in by_key}
    never = {_key(id_) for named in network.waits.values() for id_ in (one.upstream for one in named)} - {*by_key}
    for key in {*snapshots, *by_key, *needed}:
        value = snapshots.get(key)
        if key not in by_key:
            if key not in never or value is None or _VERSIONS.get(value[:1]) != "expected":
                yield "state of an execution that is not there", key
        elif value is None or value[:1] not in _VERSIONS or _unpacked(value)[:_FIELDS] != _fold(events[by_key[key]]):
            yield "state is not the sum of the events", by_key[key]
        else:
            yield from _terms_flaws(by_key[key], value, network)


def _edges(network: Network) -> set[tuple[str, str]]:
    """Who was announced to whom, and must be known there until that one ends."""
    return {
        (_key(upstream), _key(id_))
        for id_ in network.waits
        if network.status(id_) == "PENDING"
        for upstream in network.unmet(id_)
        if network.status(upstream) not in FINAL
    }


def _edge_flaws(edges: set[tuple[str, str]], wanted: set[tuple[str, str]], ended: set[str]) -> Iterator[Flaw]:
    for upstream, downstream in wanted - edges:
        yield "nobody knows that it waits", f"{downstream} for {upstream}"
    for upstream, downstream in edges:
        if upstream in ended:
            yield "known to wait for what has ended", f"{downstream} for {upstream}"


def _terms_flaws(id_: str, value: bytes, network: Network) -> Iterator[Flaw]:
    """What it is known to wait for is what it waits for; what has ended is waited for no more."""
    unpacked = _unpacked(value)
    terms = unpacked[_FIELDS + 1] if len(unpacked) > _FIELDS else None
    status, unmet = network.status(id_), network.unmet(id_)
    told = sorted(one[0] if isinstance(one, list) else one["executionId"] for one in terms[0]) if terms else []
    if status == "PENDING" and told != sorted(unmet):
        yield "state waits for others than it should", f"{id_}: {told}, not {unmet}"
    if status in FINAL and terms and (told or terms[_TERMS["is awaited"]]):
        yield "state has ended, and waits or is waited for", f"{id_}: {terms}"


def _fold(events: Sequence[Read]) -> list[Any]:
    bodies = [body_of(event) for event in events]
    last = {"tags": [], **bodies[-1]}
    commands = [
        [_id_bytes(body["commandId"]), bytes.fromhex(body["commandHash"]), body["sequence"], body["status"]]
        for event, body in zip(events, bodies, strict=True)
        if event.text("ce_type") != "TaskExecutionProgressed"
    ]
    times = [None if last.get(name) is None else round(time_of(last[name]) * 1000) for name in _TIMES]
    return [*(last[name] for name in _SNAPSHOT), *times, last.get("sparkApplicationId"), commands]


def _unpacked(value: bytes) -> Any:
    return msgspec.msgpack.decode(value[1:])


def _key(id_: str) -> str:
    return _id_bytes(id_).hex()


def _id_bytes(id_: str) -> bytes:
    return bytes.fromhex(id_.replace("-", ""))
