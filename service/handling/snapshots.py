"""The state topic's records: a snapshot per execution, and the position that each transaction writes beside them.

A snapshot names the version of its format, and each later version reads it. What is not known is refused: to write the
execution again without it would be to lose it.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, decode_hook, encode_hook
from service.domain.execution import Execution, Remembered

POSITION_KEY: Final = b"\0position"
"""The key of the record that holds the next command offset of the partition, as decimal text."""

VERSION: Final = 2
"""What is written. Version 1 was the bare execution, with the ids and hashes of its commands only."""


class UnreadableSnapshotError(Exception):
    """A later version wrote this state. The action: upgrade this handler; until then the partition stays closed."""


class _Snapshot(Struct, forbid_unknown_fields=True):
    version: Literal[2]
    execution: Execution


class _Version(Struct):
    version: int = 1


class _Execution1(Struct, forbid_unknown_fields=True):
    """An execution as version 1 wrote it: command number n had caused the event with sequence n."""

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
    commands: tuple[tuple[str, str], ...]


_encoder: Final = msgspec.json.Encoder(enc_hook=encode_hook)
_decoder: Final = msgspec.json.Decoder(_Snapshot, dec_hook=decode_hook)
_decoder_1: Final = msgspec.json.Decoder(_Execution1, dec_hook=decode_hook)
_versions: Final = msgspec.json.Decoder(_Version)


def encode_snapshot(state: Execution) -> bytes:
    """The state as JSON."""
    return _encoder.encode(_Snapshot(VERSION, state))


def decode_snapshot(value: bytes) -> Execution:
    """The state from JSON, whichever version wrote it.

    Raises:
        UnreadableSnapshotError: a later version wrote it, or it holds what this one does not know.
    """
    try:
        version = _versions.decode(value).version
        return _upcast(_decoder_1.decode(value)) if version == 1 else _decoder.decode(value).execution
    except msgspec.ValidationError as error:
        raise UnreadableSnapshotError(
            f"A state was written by a later version than this one, which reads snapshots up to version {VERSION}: "
            f"{error}. Upgrade this handler."
        ) from error


def _upcast(old: _Execution1) -> Execution:
    """The execution as today's version remembers it. What the askers were told followed from the sequence then."""
    spark = old.spark_application_id
    told: list[tuple[Status, Timestamp | None, Timestamp | None, str | None]] = [
        (Status.PENDING, None, None, None),
        *[(Status.RUNNING, old.started_at, None, spark)] * (old.sequence - 2),
        (old.status, old.started_at, old.completed_at, spark),
    ]
    commands = zip(old.commands, told[-old.sequence :], strict=True)
    return Execution(
        execution_id=old.execution_id,
        sequence=old.sequence,
        status=old.status,
        task_id=old.task_id,
        task_version=old.task_version,
        created_by=old.created_by,
        created_at=old.created_at,
        tags=old.tags,
        occurred_at=old.completed_at or old.started_at or old.created_at,
        started_at=old.started_at,
        completed_at=old.completed_at,
        spark_application_id=spark,
        commands=tuple(
            Remembered(id_, hash_, sequence, *answer) for sequence, ((id_, hash_), answer) in enumerate(commands, 1)
        ),
    )
