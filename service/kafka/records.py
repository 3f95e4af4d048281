"""A consumed record as all of our consumers see it: nothing is deserialised for us."""

from typing import Self

from aiokafka import ConsumerRecord

Record = ConsumerRecord[bytes, bytes]
"""Key and value are bytes, or None where absent; header values likewise, whatever the annotation says."""


class CutValue(bytes):
    """All that was kept of the value of a record that is too large to be held, or cannot be read; `flaw` says which.

    It is the head of the value. `size` is what the whole value has, in bytes, and `sha256` its digest in hex; they are
    0 and None where the value was not read. Key and headers of the record are cut as well.
    """

    size: int
    sha256: str | None
    flaw: str

    def __new__(cls, head: bytes, size: int, sha256: str | None, flaw: str) -> Self:
        """The head with what is known of the whole."""
        value = super().__new__(cls, head)
        value.size, value.sha256, value.flaw = size, sha256, flaw
        return value
