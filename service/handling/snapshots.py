"""The state topic's records: a packed snapshot per execution, and the service's own records beside them.

The key of a snapshot is the executionId's 16 bytes; a key that begins with NUL and has another length is the service's.
The value is a byte that names the version of its format, then a MessagePack array. Each later version reads it. What is
not known is refused: to write the execution again without it would be to lose it.
"""

from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from service.contracts.sensitive import Sensitive
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, epoch_ms, from_epoch_ms
from service.domain.execution import Execution, Remembered
from service.domain.identity import id_bytes

POSITION_KEY: Final = b"\0position"
"""The key of the record that holds the next command offset of the partition, as decimal text."""

VERSION: Final = 4
"""What is written of executions with sensitive variables, which an older version would show in clear; of others, 3.

Versions 1 and 2 were JSON under the executionId's text: see `json_snapshots`.
"""

_PLAIN, _SENSITIVE = b"\3", b"\4"
_ID_BYTES: Final = 16


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


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = {
    _PLAIN: msgspec.msgpack.Decoder(_Packed).decode,
    _SENSITIVE: msgspec.msgpack.Decoder(_PackedSensitive).decode,
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


def encode_snapshot(state: Execution) -> bytes:
    """The state, packed."""
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


def decode_snapshot(execution_id: str, value: bytes) -> Execution:
    """The state of this execution.

    Raises:
        UnreadableSnapshotError: a later version wrote it, or it holds what this one does not know.
    """
    check_version(value)
    try:
        packed = _unpack[value[:1]](value[1:])
    except msgspec.MsgspecError as error:
        raise UnreadableSnapshotError(f"The state of {execution_id} cannot be read: {error}.") from error
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
        packed.sensitive if isinstance(packed, _PackedSensitive) else None,
    )


def _time(milliseconds: int | None) -> Timestamp | None:
    return None if milliseconds is None else from_epoch_ms(milliseconds)
