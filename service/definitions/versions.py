"""Which versions of tasks there are, and what each is: what the records of two topics make of them. Pure.

The definitions topic says which versions there are: those whose key has a record. What a published one is, says the
first record of it in the log of published definitions: nothing that comes later, or that compaction leaves, changes it
(ADR 0037).
"""

from collections.abc import Iterator
from hashlib import sha256

from msgspec import Struct

from service.contracts.envelope import CONTENT_TYPE, STRUCTURED
from service.definitions.records import Reading, is_structured, read_definition
from service.domain.definition_changes import same
from service.domain.definitions import Definition
from service.kafka.records import Record

Identity = tuple[str, str]
"""The taskId and the version."""


class Taken(Struct, frozen=True):
    """What is to be told of a record: why it cannot be used, and the name of what it would have changed."""

    flaw: str | None = None
    changes: str | None = None


class Unrecorded(Struct, frozen=True):
    """A definition that was published, with what the log shall have of its record."""

    definition: Definition
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def key(self) -> bytes:
        """Its key in the log."""
        return self.definition.source.key.encode()


class Versions:
    """All versions, as far as the records of both topics were taken in, each topic's in order.

    `sensitive`: some definition that was read has, or could have, a sensitive variable; it may be withdrawn since.
    `unrecorded`: what was published first, as far as is known, and the log does not have yet.
    """

    def __init__(self) -> None:
        self.sensitive = False
        self.unrecorded: dict[Identity, Unrecorded] = {}
        self._firsts: dict[Identity, Definition] = {}
        self._last: dict[Identity, Definition] = {}
        self._keys: dict[Identity, bytes | None] = {}
        self._by_key: dict[bytes | None, set[Identity]] = {}
        self._usable: dict[tuple[object, ...], Reading] = {}

    def get(self, task_id: str, version: str) -> Definition | None:
        """The version, if it is there; `flaw` says why if it cannot be used."""
        identity = (task_id, version)
        last = self._last.get(identity)
        return None if last is None else self.published(task_id, version) or last

    def published(self, task_id: str, version: str) -> Definition | None:
        """The version as it was published first, withdrawn or not."""
        identity = (task_id, version)
        if first := self._firsts.get(identity):
            return first
        return unrecorded.definition if (unrecorded := self.unrecorded.get(identity)) else None

    def last(self, task_id: str, version: str) -> Definition | None:
        """What the definitions topic has now, whether it counts or not."""
        return self._last.get((task_id, version))

    def is_changed(self, task_id: str, version: str) -> bool:
        """Whether the definitions topic has something else now than what was published, which is ignored."""
        return self._ignored((task_id, version)) is not None

    def __iter__(self) -> Iterator[Definition]:
        """All that are there, in no order."""
        return (found for identity in self._last if (found := self.get(*identity)))

    def take(self, record: Record) -> Taken:
        """Take in a record of the definitions topic."""
        if record.value is None:
            self._withdraw(record.key)
            return Taken()
        reading = self._read(record, record.value)
        definition = reading.definition
        if definition is None:
            return Taken(reading.flaw)
        identity = (definition.task_id, definition.version)
        if definition.is_published and self.published(*identity) is None:
            headers = ((CONTENT_TYPE, STRUCTURED.encode()),) if is_structured(record) else ()
            self.unrecorded[identity] = Unrecorded(definition, record.value, headers)
        self._last[identity] = definition
        self._keys[identity] = record.key
        self._by_key.setdefault(record.key, set()).add(identity)
        return Taken(reading.flaw, self._ignored(identity))

    def take_published(self, record: Record) -> Taken:
        """Take in a record of the log."""
        reading = self._read(record, record.value or b"")
        definition = reading.definition
        if definition is None:
            return Taken(reading.flaw)
        identity = (definition.task_id, definition.version)
        if identity in self._firsts:
            return Taken()
        before = self.unrecorded.pop(identity, None)
        self._firsts[identity] = definition
        if before is not None and before.definition is definition:
            return Taken()  # nothing new: what it makes ignored was told before
        return Taken(reading.flaw, self._ignored(identity))

    def _read(self, record: Record, value: bytes) -> Reading:
        """Both topics have the same records: each is made ready for use once."""
        whole = type(value), is_structured(record), sha256(value).digest()
        if (reading := self._usable.get(whole)) is None:
            reading = read_definition(record, value)
            self.sensitive = self.sensitive or reading.sensitive
            if reading.flaw is None:
                self._usable[whole] = reading
        return reading

    def _ignored(self, identity: Identity) -> str | None:
        last, first = self._last.get(identity), self.published(*identity)
        if last is None or first is None or last is first or first.flaw is not None:
            return None
        return None if last.flaw is None and same(last.source, first.source) else first.name

    def _withdraw(self, key: bytes | None) -> None:
        """Remove what was last written under this key, and under no other one since."""
        for identity in self._by_key.pop(key, ()):
            if self._keys.get(identity) == key:
                del self._keys[identity], self._last[identity]
