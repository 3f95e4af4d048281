"""The state topic's records: a packed snapshot per execution, and the service's own records beside them.

The key of a snapshot is the executionId's 16 bytes; a key that begins with NUL and has another length is the service's.
One of 32 bytes says that an execution (the second 16) waits for another (the first).
The value is a byte that names the version of its format, then a MessagePack array. Each later version reads it. What is
not known is refused: to write the execution again without it would be to lose it.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from service.contracts.sensitive import Sensitive
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, epoch_ms, from_epoch_ms
from service.domain.decided import Edge
from service.domain.execution import Execution, Expected, Remembered
from service.domain.identity import id_bytes
from service.domain.terms import NONE, Terms

POSITION_KEY: Final = b"\0position"
"""The key of the record that holds the next command offset of the partition, as decimal text."""

VERSION: Final = 6
"""The highest that is written. Each execution has the lowest that says all of it: 3, with sensitive variables 4, with
terms 5; 6 is one that is expected. An older version would forget what it does not know.

Versions 1 and 2 were JSON under the executionId's text: see `json_snapshots`.
"""

_PLAIN, _SENSITIVE, _TERMS, _EXPECTED = b"\3", b"\4", b"\5", b"\6"
_ID_BYTES: Final = 16
EDGE_SIZE: Final = 2 * _ID_BYTES
"""Of a key that says who waits for whom."""


class UnreadableSnapshotError(Exception):
    """A later version wrote this state. The action: upgrade this handler; until then the partition stays closed."""


class _Packed(Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """An execution without its id, which is the key. Times are milliseconds since 1970."""

    sequence: int
    status: Status
    task_id: str
    task_version: str
    created_by: str
    tags: tuple[str, ...]
    created_at: int
    occurred_at: int
    started_at: int | None
    completed_at: int | None
    spark_application_id: str | None
    commands: tuple[Remembered, ...]


class _PackedSensitive(_Packed, array_like=True, forbid_unknown_fields=True, gc=False):
    sensitive: Sensitive


class _PackedTerms(_Packed, array_like=True, forbid_unknown_fields=True, gc=False):
    sensitive: Sensitive | None
    terms: Terms


def _read_time(kind: type, value: Any) -> object:  # noqa: ANN401 - whatever was packed
    if kind is Timestamp:
        return from_epoch_ms(value)
    raise NotImplementedError(f"{kind.__name__} is not packed")


_pack: Final = msgspec.msgpack.Encoder(enc_hook=epoch_ms).encode
_unpack: Final[dict[bytes, Callable[[bytes], _Packed | Expected]]] = {
    _PLAIN: msgspec.msgpack.Decoder(_Packed).decode,
    _SENSITIVE: msgspec.msgpack.Decoder(_PackedSensitive).decode,
    _TERMS: msgspec.msgpack.Decoder(_PackedTerms, dec_hook=_read_time).decode,
    _EXPECTED: msgspec.msgpack.Decoder(Expected).decode,
}


def state_key(execution_id: str) -> bytes:
    """The key of an execution's snapshot."""
    return id_bytes(execution_id)


def execution_id_of(key: bytes) -> str:
    """The executionId whose snapshot has this key."""
    return str(UUID(bytes=key))


def is_state_key(key: bytes) -> bool:
    """Whether a snapshot has this key, or anything else of the service."""
    return len(key) == _ID_BYTES


def edge_record(edge: Edge) -> tuple[bytes, bytes]:
    """The key and value that say that one execution waits for another: both ids, and the condition."""
    return state_key(edge.upstream) + state_key(edge.downstream), (edge.condition or "").encode()


def edge_of(key: bytes, value: bytes) -> Edge:
    """What such a record says."""
    return Edge(execution_id_of(key[:_ID_BYTES]), execution_id_of(key[_ID_BYTES:]), value.decode() or None)


def has_terms(value: bytes) -> bool:
    """Whether timers can follow from a snapshot of an execution that has not ended."""
    return value[:1] == _TERMS


def encode_snapshot(state: Execution | Expected) -> bytes:
    """The state, packed."""
    if isinstance(state, Expected):
        return _EXPECTED + _pack(state)
    started, completed = state.started_at, state.completed_at
    packed = (
        state.sequence,
        state.status,
        state.task_id,
        state.task_version,
        state.created_by,
        state.tags,
        epoch_ms(state.created_at),
        epoch_ms(state.occurred_at),
        None if started is None else epoch_ms(started),
        None if completed is None else epoch_ms(completed),
        state.spark_application_id,
        state.commands,
    )
    if state.terms != NONE:
        return _TERMS + _pack(_PackedTerms(*packed, state.sensitive, state.terms))
    if state.sensitive is not None:
        return _SENSITIVE + _pack(_PackedSensitive(*packed, state.sensitive))
    return _PLAIN + _pack(_Packed(*packed))


def check_version(value: bytes) -> None:
    """Look whether a snapshot can be read, without reading it.

    Raises:
        UnreadableSnapshotError: a later version wrote it.
    """
    if value[:1] not in _unpack:
        raise UnreadableSnapshotError(
            f"A state was written by a later version than this one, which reads snapshots up to version {VERSION}: "
            f"it begins with {value[:1]!r}. Upgrade this handler."
        )


def decode_snapshot(execution_id: str, value: bytes) -> Execution | Expected:
    """The state of this execution.

    Raises:
        UnreadableSnapshotError: a later version wrote it, or it holds what this one does not know.
    """
    check_version(value)
    try:
        packed = _unpack[value[:1]](value[1:])
    except msgspec.MsgspecError as error:
        raise UnreadableSnapshotError(f"The state of {execution_id} cannot be read: {error}.") from error
    if isinstance(packed, Expected):
        return packed
    return Execution(
        execution_id,
        packed.sequence,
        packed.status,
        packed.task_id,
        packed.task_version,
        packed.created_by,
        from_epoch_ms(packed.created_at),
        packed.tags,
        from_epoch_ms(packed.occurred_at),
        _time(packed.started_at),
        _time(packed.completed_at),
        packed.spark_application_id,
        packed.commands,
        packed.sensitive if isinstance(packed, _PackedSensitive | _PackedTerms) else None,
        packed.terms if isinstance(packed, _PackedTerms) else NONE,
    )


def _time(milliseconds: int | None) -> Timestamp | None:
    return None if milliseconds is None else from_epoch_ms(milliseconds)
