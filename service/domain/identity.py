"""Identity is idempotency: one command, by its CloudEvents (source, id), is one id for ever."""

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from itertools import count
from typing import Any, Final

from uuid_utils import UUID, uuid5

from service.contracts.codec import sorted_json

NAMESPACE: Final = UUID("6f1b2c0e-5d0b-5c8e-9a55-0d5f1f1c7f6a")
"""The UUIDv5 namespace of command ids. Part of the contract: it never changes."""


def command_id(source: str, id_: str) -> str:
    """The id of the command that (source, id) names; of an ExecuteTask, it is the executionId.

    CloudEvents 1.0 says that (source, id) is unique per distinct message. Neither may hold a newline (control
    characters are refused in the envelope), so joining them with one is unambiguous.
    """
    return str(uuid5(NAMESPACE, f"{source}\n{id_}"))


def id_bytes(id_: str) -> bytes:
    """The 16 bytes of an id of ours, a UUID in its canonical text form."""
    return bytes.fromhex(id_.replace("-", ""))


def placed_id(place: str, is_owned: Callable[[str], bool]) -> str:
    """The id of a command that names none, of the record at this place: one that fits, so that it stays where it is.

    No client can name such an id: a source is never empty.
    """
    candidates = (str(uuid5(NAMESPACE, f"\n{place}\n{number}")) for number in count())
    return next(filter(is_owned, candidates))


def command_hash(type_: str, data: Any) -> str:  # noqa: ANN401 - JSON is any
    """Equal for equal payloads, whatever the order of their keys."""
    return payload_hash(type_, sorted_json(data))


def payload_hash(type_: str, payload: bytes) -> str:
    """The same of a payload that is sorted JSON already: BLAKE2b-128 of the type and it."""
    begun = _hash_of_type(type_).copy()
    begun.update(payload)
    return begun.hexdigest()


@lru_cache(maxsize=64)  # there are few, and to begin is half of the work
def _hash_of_type(type_: str) -> blake2b:
    return blake2b(b"%b\n" % type_.encode(), digest_size=16)
