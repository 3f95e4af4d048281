"""Task definitions: the sound one that all commands name, and hostile ones, with inputs that meet them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.values import SIZES, VALUES

TASK: Final = "fuzz:task"
VERSION: Final = "1.0.0"


def _variable(name: str, type_: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "required": False, **more}


SOUND: Final[dict[str, Any]] = {
    "taskId": TASK, "version": VERSION, "status": "PUBLISHED", "type": "pyspark_operator",
    "inputVariables": [
        {"name": "n", "type": "number", "validation": {"minValue": 0, "maxValue": 1e6}},
        _variable("s", "string"),
        _variable("word", "string", validation={"pattern": "^[a-z]{1,20}$", "maxLength": 20}),
        _variable("flag", "boolean", defaultValue=False),
        _variable("list", "array", validation={"maxLength": 100_000}),
        _variable("map", "object"),
        _variable("file", "file", defaultValue="s3://bucket/key"),
    ],
    "outputVariables": [_variable("sum", "number"), _variable("any", "object")],
}  # fmt: skip

_PATTERNS: Final = (
    "a[ab]{2000}c", "(a|a)*$", "(a+)+$", "^(\\w+\\s?)*$", "(?=a)b", "(a)\\1", "[", "(", "(" * 1000, "a{1000}{1000}",
    "a{100000}",
    "\\pL{500}", "(?i)\\w{300}", "x*" * 20_000, "|".join("ab" * 20_000), "\\u0000", "(?P<n>a)(?P<n>b)", "\\p{Nope}", "",
    "[^\\x00-\\x{10FFFF}]", "(?R)", "(?#c)", "\\C", "\\K", "a**", "(?-u:\xff)", ".{0,65535}",
    "^.*a.*b.*c.*d.*e.*f.*g.*$",
)  # fmt: skip
_LIMITS: Final[tuple[dict[str, Any], ...]] = (
    {"minLength": 5, "maxLength": 1}, {"minLength": 2**63 - 1}, {"minLength": -1}, {"maxLength": 2**70},
    {"minLength": 1.5},
    {"minValue": 5, "maxValue": 1}, {"minValue": 1e308}, {"minValue": 10**400}, {"minValue": "1"}, {"enum": []},
    {"enum": None},
    {"enum": [None, True, 1, 1.0, "1", [], {}, [1], {"a": 1}]}, {"enum": [[1] * 5000] * 10}, {"enum": ["x" * 100_000]},
    {"enum": [*range(50_000)]}, {"pattern": 1}, {"unknown": 1},
)  # fmt: skip
_TYPES: Final = ("string", "number", "boolean", "array", "object", "file")


@dataclass(frozen=True)
class Trial:
    """A hostile definition of a kind, and an execution of it whose input is `value` of this size."""

    kind: str
    size: int
    type: str
    value: str

    @property
    def inputs(self) -> dict[str, Any]:
        """What the execution is given."""
        return {"v": VALUES[self.value](self.size)}


def _body(number: str, *variables: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**SOUND, "taskId": f"fuzz:{number}", "inputVariables": list(variables), "outputVariables": [], **more}


_KINDS: Final[dict[str, Callable[[Trial, str], Any]]] = {
    "sound": lambda trial, number: _body(number, _variable("v", trial.type)),
    "pattern": lambda trial, number: _body(
        number, _variable("v", "string", validation={"pattern": _PATTERNS[trial.size % len(_PATTERNS)]})
    ),
    "limits": lambda trial, number: _body(
        number, _variable("v", trial.type, validation=_LIMITS[trial.size % len(_LIMITS)])
    ),
    "default": lambda trial, number: _body(number, _variable("v", trial.type, defaultValue=trial.inputs["v"])),
    "required default": lambda _, number: _body(number, _variable("v", "string", required=True, defaultValue="x")),
    "named twice": lambda _, number: _body(number, _variable("v", "string"), _variable("v", "number")),
    "names": lambda trial, number: _body(number, _variable(str(trial.inputs["v"])[:1000], trial.type)),
    "many variables": lambda trial, number: _body(
        number, *(_variable(f"v{place}", trial.type, validation={"pattern": "^a{1,50}$"}) for place in range(1000))
    ),
    "large default": lambda _, number: _body(number, _variable("v", "array", defaultValue=["x" * 1000] * 2500)),
    "draft": lambda trial, number: _body(number, _variable("v", trial.type), status="DRAFT"),
    "wrong field": lambda trial, number: _body(number, **{list(SOUND)[trial.size % len(SOUND)]: trial.inputs["v"]}),
    "unknown fields": lambda _, number: _body(number, **{f"x{place}": 1 for place in range(20_000)}),
}  # fmt: skip
_RAW: Final = (b"", b"{", b"[]", b"null", b"\xff", b'{"a":1e999}', b"[" * 5000, b'{"taskId":1,"taskId":2}', b'"x"')
KINDS: Final = (*_KINDS, "structured", "broken", "tombstone", "wrong key", "changed")


def records(trial: Trial, number: str) -> list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]]:
    """What is published for it: keys, values and headers."""
    body = _KINDS.get(trial.kind, _KINDS["sound"])(trial, number)
    key = f"fuzz:{number}@{VERSION}".encode()
    value = json.dumps(body).encode()
    match trial.kind:
        case "structured":
            event = {
                "specversion": "1.0",
                "type": "TaskDefinitionPublished",
                "source": "/d",
                "id": number,
                "data": body,
            }
            return [(key, json.dumps(event).encode(), [("content-type", b"application/cloudevents+json")])]
        case "broken":
            return [(key, _RAW[trial.size % len(_RAW)], [])]
        case "tombstone":
            return [(key, value, []), (key, None, []), (b"never there", None, [])]
        case "wrong key":
            return [(b"\xff" + key, value, []), (key, None, [])]
        case "changed":
            other = json.dumps(_body(number, _variable("v", "number"), _variable("w", "string"))).encode()
            return [(key, value, []), (key, other, [])]
        case _:
            return [(key, value, [])]


def trials(without: frozenset[str]) -> st.SearchStrategy[Trial]:
    """Definitions of every kind but those named in `without` as `definition: kind`."""
    return st.builds(
        Trial,
        kind=st.sampled_from([kind for kind in KINDS if f"definition: {kind}" not in without]),
        size=st.one_of(st.integers(0, 300), st.sampled_from([size for size in SIZES if size <= 1_000_000])),
        type=st.sampled_from(_TYPES),
        value=st.sampled_from([*VALUES]),
    )
