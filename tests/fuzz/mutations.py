"""What can be changed in a valid command record, each change named: kind, variant, and a size that says how."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.values import RAW, SIZES, TEXTS, VALUES
from tests.fuzz.wire import Header

_ATTRIBUTES: Final = ("specversion", "type", "source", "id", "subject", "time")
_HEADERS: Final = (b"ce_specversion", b"ce_type", b"ce_source", b"ce_id", b"ce_subject", b"content-type", b"reply_to",
                   b"correlation_id")  # fmt: skip


@dataclass
class Draft:
    """A record in the making."""

    headers: list[Header]
    body: dict[str, Any]
    key: bytes | None
    timestamp: int
    raw: list[bytes | None] = field(default_factory=list)

    def put(self, name: bytes, value: bytes | None) -> None:
        """Set a header, once."""
        self.headers = [header for header in self.headers if header[0] != name]
        self.headers.append((name, value))

    def find(self, name: bytes) -> bytes | None:
        """The header's value."""
        return dict(self.headers).get(name)


def _data(draft: Draft) -> dict[str, Any]:
    data = draft.body.get("data", draft.body)
    return data if isinstance(data, dict) else {}


def _set_field(draft: Draft, which: str, size: int) -> None:
    data = _data(draft)
    names = [*data, "unknown"]
    data[names[size % len(names)]] = VALUES[which](size)


def _drop_field(draft: Draft, which: str, size: int) -> None:
    data = _data(draft)
    data.pop([*data, "none"][size % (len(data) + 1)], None)


def _input(draft: Draft, which: str, size: int) -> None:
    for holder in ("inputs", "outputs"):
        if isinstance(content := _data(draft).get(holder), dict):
            name = ("n", "s", "word", "flag", "list", "map", "file", "sum", "any", "unknown")[size % 10]
            _data(draft)[holder] = {**content, name: VALUES[which](size)}


def _attribute(draft: Draft, which: str, size: int) -> None:
    draft.body[_ATTRIBUTES[size % len(_ATTRIBUTES)]] = VALUES[which](size)


def _raw(draft: Draft, which: str, size: int) -> None:
    draft.raw.append(RAW[which](size))


def _header(draft: Draft, which: str, size: int) -> None:
    draft.put(_HEADERS[size % len(_HEADERS)], TEXTS[which](size).encode(errors="replace"))


def _shape(draft: Draft, which: str, size: int) -> None:
    name = _HEADERS[size % len(_HEADERS)]
    value = draft.find(name)
    rest = [header for header in draft.headers if header[0] != name]
    shapes: dict[str, list[Header]] = {
        "missing": [], "repeated": [(name, value), (name, value)], "contradicting": [(name, value), (name, b"other")],
        "upper case": [(name.upper(), value)], "both cases": [(name, value), (name.title(), value)],
        "null": [(name, None)], "not UTF-8": [(name, b"\xff\xfe\x80")], "half a character": [(name, b"\xe2\x82")],
    }  # fmt: skip
    draft.headers = rest + shapes[which]


def _more(draft: Draft, which: str, size: int) -> None:
    few, many = min(size, 10_000), min(size, 90_000)  # librdkafka reads no more than 100,000
    more: dict[str, list[Header]] = {
        "name not UTF-8": [(b"\xff\xfe", b"x")], "name empty": [(b"", b"")], "name NUL": [(b"a\0b", None)],
        "name long": [(b"n" * min(size, 70_000), b"")], "value long": [(b"x", b"v" * min(size, 900_000))],
        "many": [(b"x", b"")] * min(many, 20_000),
        "many names": [(b"x%d" % number, None) for number in range(min(many, 60_000))],
        "many ce_": [(b"ce_x%d" % number, b"1") for number in range(min(many, 50_000))],
        "many repeated": [(b"ce_id", b"1")] * min(many, 50_000), "traceparents": [(b"traceparent", b"t" * 1024)] * few,
        "tracestates": [(b"tracestate", b"\xff" * 1024)] * few, "trace odd": [(b"traceparent", b"\r\n\0\xff")],
        "trace null": [(b"traceparent", None), (b"tracestate", b"")], "ce_ alone": [(b"ce_", b"1")],
        "trace upper": [(b"TraceParent", b"00-" + b"a" * 32)] * 2, "ce_data": [(b"ce_data", b"1")],
    }  # fmt: skip
    draft.headers += more[which]


_ORIGINS: Final = (b"task-execution.commands/0/0", b"task-execution.commands/3/99999999999", b"", b"\xff", b"x" * 2000,
                   b"a/b/c", b"task-execution.commands/0/0\n")  # fmt: skip
_TOPICS: Final = (b"task-execution.events", b"task-execution.commands", b"task-execution.state", b"task-definitions",
                  b"task-execution.replies.missing", b"task-execution.replies.", b"task-execution.replies\n", b"..",
                  b"__consumer_offsets", b"task-execution.replies." + b"x" * 300, b"\xff", b"")  # fmt: skip
_CONTENTS: Final = (b"application/cloudevents+json; charset=utf-8", b"APPLICATION/CLOUDEVENTS+JSON", b"text/plain",
                    b"application/cloudevents-batch+json", b"application/json; charset=utf-16", b";", b"application/cloudevents+avro")  # fmt: skip  # noqa: E501 - one each
_TIMES: Final = (0, -1, -(2**63), 2**63 - 1, 253402300799999, 253402300800000, 1_764_000_000_000_000, -62135596800001)
_KEYS: Final = (None, b"", b"\xff\xfe", b"k" * 5000, b"k" * 900_000, b"\0position", b"\0")


def _known(draft: Draft, which: str, size: int) -> None:
    match which:
        case "origin":
            draft.headers.append((b"taskexec_origin", _ORIGINS[size % len(_ORIGINS)]))
        case "ORIGIN":
            draft.headers.append((b"TASKEXEC_Origin", _ORIGINS[size % len(_ORIGINS)]))
        case "reply_to":
            draft.put(b"reply_to", _TOPICS[size % len(_TOPICS)])
        case "content-type":
            draft.put(b"content-type", _CONTENTS[size % len(_CONTENTS)])
        case "timestamp":
            draft.timestamp = _TIMES[size % len(_TIMES)]
        case "key":
            draft.key = _KEYS[size % len(_KEYS)]
        case "other execution":
            _data(draft)["executionId"] = str(uuid.UUID(int=size)).upper()
        case "other task":
            _data(draft)["taskVersion"] = ("9.9.9", "draft", "1.0.0-" + "a." * min(size, 50) + "b")[size % 3]
        case _:
            raise AssertionError(which)


MUTATIONS: Final[dict[str, tuple[tuple[str, ...], Callable[[Draft, str, int], None]]]] = {
    "field": (tuple(VALUES), _set_field),
    "drop": (("field",), _drop_field),
    "input": (tuple(VALUES), _input),
    "attribute": (tuple(VALUES), _attribute),
    "value": (tuple(RAW), _raw),
    "header": (tuple(TEXTS), _header),
    "shape": (("missing", "repeated", "contradicting", "upper case", "both cases", "null", "not UTF-8",
               "half a character"), _shape),
    "more": (("name not UTF-8", "name empty", "name NUL", "name long", "value long", "many", "many names", "many ce_",
              "many repeated", "traceparents", "tracestates", "trace odd", "trace null", "trace upper", "ce_ alone",
              "ce_data"), _more),
    "known": (("origin", "ORIGIN", "reply_to", "content-type", "timestamp", "key", "other execution", "other task"),
              _known),
}  # fmt: skip
"""What can be changed in a valid record, by kind and variant."""


def mutations(without: frozenset[str]) -> st.SearchStrategy[tuple[str, str, int]]:
    """A kind, a variant and a size; `without` names kinds or `kind: variant` to leave out."""
    pairs = [(kind, which) for kind, (variants, _) in MUTATIONS.items() for which in variants]
    kept = [pair for pair in pairs if pair[0] not in without and ": ".join(pair) not in without]
    by_kind = {kind: [pair for pair in kept if pair[0] == kind] for kind, _ in kept}
    pair = st.sampled_from([*by_kind]).flatmap(lambda kind: st.sampled_from(by_kind[kind]))
    size = st.one_of(st.integers(0, 300), st.sampled_from(SIZES))
    return st.tuples(pair, size).map(lambda found: (*found[0], found[1]))
