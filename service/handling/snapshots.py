"""The state topic's records: a snapshot per execution, and the position that each transaction writes beside them."""

from typing import Final

from pydantic import TypeAdapter

from service.domain.execution import Execution

POSITION_KEY: Final = b"\0position"
"""The key of the record that holds the next command offset of the partition, as decimal text."""

_SNAPSHOT: Final = TypeAdapter(Execution)


def encode_snapshot(state: Execution) -> bytes:
    """The state as JSON."""
    return _SNAPSHOT.serializer.to_json(state)


def decode_snapshot(value: bytes) -> Execution:
    """The state from JSON."""
    return _SNAPSHOT.validate_json(value)
