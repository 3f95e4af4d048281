"""Snapshots as versions 1 and 2 wrote them: JSON, under the executionId's text. Read once, they are carried over."""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, decode_hook
from service.domain.execution import Execution, Remembered
from service.domain.identity import id_bytes
from service.handling.snapshots import UnreadableSnapshotError

_TEXT_KEY_BYTES: Final = 36


class _Fields(Struct, forbid_unknown_fields=True):
    execution_id: str
    sequence: int
    status: Status
    task_id: str
    task_version: str
    created_by: str
    created_at: Timestamp
    tags: tuple[str, ...]
    started_at: Timestamp | None
    completed_at: Timestamp | None
    spark_application_id: str | None


class _Execution1(_Fields):
    """Command number n, an id and a hash, had caused the event with sequence n."""

    commands: tuple[tuple[str, str], ...]


class _Command2(Struct, array_like=True, forbid_unknown_fields=True):
    command_id: str
    command_hash: str
    sequence: int
    status: Status
    started_at: Timestamp | None
    completed_at: Timestamp | None
    spark_application_id: str | None


class _Execution2(_Fields):
    occurred_at: Timestamp
    commands: tuple[_Command2, ...]


class _Snapshot2(Struct, forbid_unknown_fields=True):
    version: Literal[2]
    execution: _Execution2


class _Version(Struct):
    version: int = 1


_decoder_1: Final = msgspec.json.Decoder(_Execution1, dec_hook=decode_hook)
_decoder_2: Final = msgspec.json.Decoder(_Snapshot2, dec_hook=decode_hook)
_versions: Final = msgspec.json.Decoder(_Version)


def is_text_key(key: bytes) -> bool:
    """Whether a snapshot in JSON has this key."""
    return len(key) == _TEXT_KEY_BYTES


def decode_json_snapshot(value: bytes) -> Execution:
    """The state from JSON, of version 1 or 2.

    Raises:
        UnreadableSnapshotError: it is neither.
    """
    try:
        if _versions.decode(value).version == 1:
            old = _decoder_1.decode(value)
            return _execution(old, old.completed_at or old.started_at or old.created_at, _commands_1(old))
        old_2 = _decoder_2.decode(value).execution
    except msgspec.MsgspecError as error:
        raise UnreadableSnapshotError(f"A state in JSON is not of version 1 or 2: {error}.") from error
    commands = tuple(
        Remembered(id_bytes(one.command_id), bytes.fromhex(one.command_hash), one.sequence, one.status)
        for one in old_2.commands
    )
    return _execution(old_2, old_2.occurred_at, commands)


def _commands_1(old: _Execution1) -> tuple[Remembered, ...]:
    statuses = [Status.PENDING, *[Status.RUNNING] * (old.sequence - 2), old.status][-old.sequence :]
    told = zip(old.commands, statuses, strict=True)
    return tuple(
        Remembered(id_bytes(id_), bytes.fromhex(hash_), sequence, status)
        for sequence, ((id_, hash_), status) in enumerate(told, 1)
    )


def _execution(old: _Fields, occurred_at: Timestamp, commands: tuple[Remembered, ...]) -> Execution:
    return Execution(
        execution_id=old.execution_id,
        sequence=old.sequence,
        status=old.status,
        task_id=old.task_id,
        task_version=old.task_version,
        created_by=old.created_by,
        created_at=old.created_at,
        tags=old.tags,
        occurred_at=occurred_at,
        started_at=old.started_at,
        completed_at=old.completed_at,
        spark_application_id=old.spark_application_id,
        commands=commands,
    )
