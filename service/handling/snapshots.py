"""The state topic's records: a snapshot per execution, and the position that each transaction writes beside them."""

from typing import Final

import msgspec

from service.contracts.timestamps import decode_hook, encode_hook
from service.domain.execution import Execution

POSITION_KEY: Final = b"\0position"
"""The key of the record that holds the next command offset of the partition, as decimal text."""

_encoder: Final = msgspec.json.Encoder(enc_hook=encode_hook)
_decoder: Final = msgspec.json.Decoder(Execution, dec_hook=decode_hook)


def encode_snapshot(state: Execution) -> bytes:
    """The state as JSON."""
    return _encoder.encode(state)


def decode_snapshot(value: bytes) -> Execution:
    """The state from JSON."""
    return _decoder.decode(value)
