"""Ids and hashes that tests call by names."""

import re
from functools import cache
from hashlib import blake2b
from uuid import NAMESPACE_URL, uuid5

from service.contracts.model import UUID_PATTERN


@cache
def id_of(name: str) -> str:
    """The id by this name; a UUID is its own."""
    return name if re.fullmatch(UUID_PATTERN, name) else str(uuid5(NAMESPACE_URL, name))


def hash_of(name: str) -> str:
    """The hash of a content by this name."""
    return blake2b(name.encode(), digest_size=16).hexdigest()
