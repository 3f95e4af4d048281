"""A record that was sent, and what its own bytes say of it by the public contract."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fuzz.commands import CLOUDEVENT, OWN_REPLIES, REPLIES
from tests.fuzz.topics import Read
from tests.fuzz.wire import Raw

Place = tuple[int, int]
Identity = tuple[str, str]

_MAX_CORRELATION: Final = 1024
_MANY: Final = 65_000


@dataclass(eq=False)
class Sent:
    """A record that the broker has acknowledged at `place`; `what` tells how to make it anew.

    `handled_at` is where it was passed on to, if it was.
    """

    place: Place
    raw: Raw
    what: str
    handled_at: Place | None = None
    events: list[Read] = field(default_factory=list)
    rejections: list[Read] = field(default_factory=list)
    replies: list[Read] = field(default_factory=list)

    @property
    def lowered(self) -> dict[str, bytes | None]:
        """Its headers as CloudEvents' Kafka binding reads them."""
        return {name.decode(errors="replace").lower(): value for name, value in self.raw.headers}

    @property
    def told(self) -> str:
        """The outcome in its reply; `accepted` sorts first, then `answered nothing`."""
        return str(json_of(self.replies[0].value)["outcome"]) if self.replies else "answered nothing"

    def identity(self) -> Identity:
        """The CloudEvents source and id that an event would name as its cause."""
        headers = self.lowered
        content = (headers.get("content-type") or b"").partition(b";")[0].strip().lower()
        if content == CLOUDEVENT:
            body = json_of(self.raw.value)
            id_, source = (body.get("id"), body.get("source")) if isinstance(body, dict) else (None, None)
        else:
            id_, source = ((headers.get(name) or b"").decode(errors="replace") for name in ("ce_id", "ce_source"))
        partition, offset = self.handled_at or self.place
        place = f"task-execution.commands/{partition}/{offset}"
        return str(source or "/kafka/task-execution.commands"), str(id_ or place)

    def about(self) -> str:
        """The execution that it names, if it names one: an identity is one of an execution."""
        data = data_of(self)
        return str(data.get("executionId", "")).lower() if isinstance(data, dict) else ""

    def mailbox(self) -> tuple[str, bytes] | None:
        """Where its reply must come, if the contract promises one for certain."""
        wanted = [value for name, value in self.raw.headers if name == b"reply_to"]
        ids = [value for name, value in self.raw.headers if name == b"correlation_id"]
        if len(wanted) != 1 or wanted[0] not in {REPLIES.encode(), OWN_REPLIES.encode()}:
            return None
        if len(ids) != 1 or not ids[0] or len(ids[0]) > _MAX_CORRELATION:
            return None
        return wanted[0].decode(), ids[0]


def data_of(sent: Sent) -> Any:
    """The command's own fields; None where there is no JSON."""
    body = json_of(sent.raw.value)
    return body.get("data") if isinstance(body, dict) and "specversion" in body else body


def json_of(value: bytes | None) -> Any:
    """The JSON, or None."""
    try:
        return json.loads(value or b"null")
    except (ValueError, RecursionError):
        return None


def digest(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> int:
    """Equal for a record and its copy at the owner."""
    # The reader's library cuts names at a NUL, and gives no headers at all where there are very many.
    kept = [(name.partition("\0")[0], content) for name, content in headers if len(headers) <= _MANY]
    return hash((key, value, tuple(kept)))
