"""Hostile values for JSON and text, each named, made from a size: what fields, inputs and whole bodies can hold."""

import json
from collections.abc import Callable
from typing import Any, Final

TEXTS: Final[dict[str, Callable[[int], str]]] = {
    "empty": lambda _: "",
    "long": lambda size: "x" * size,
    "right to left": lambda _: "\u202eevil\u2066\u05d0",
    "emoji": lambda _: "👩‍👩‍👧‍👦🏳️‍🌈",
    "combining": lambda size: "e" + "\u0301" * min(size, 5000),
    "control": lambda _: "a\x01\x1f\x7f\x85b",
    "NUL": lambda _: "a\0b",
    "newline": lambda _: "a\nb\r\n",
    "quotes": lambda _: "\\'\"`;--{}%s\\n\\0\t",
    "braces": lambda _: "{allowed} {0} %(x)s ${y}",
    "spaces": lambda _: "\u00a0\u2028\ufeff ",
    "noncharacter": lambda _: "\ufffe\uffff\U0010ffff",
    "pattern food": lambda size: "a" + "b" * size,
}
"""Texts that JSON can carry."""

VALUES: Final[dict[str, Callable[[int], Any]]] = {
    "null": lambda _: None,
    "true": lambda _: True,
    "number": lambda _: 1.5,
    "zero": lambda _: -0.0,
    "largest integer": lambda _: 2**63 - 1,
    "integer over 64 bits": lambda _: 2**64,
    "integer of 30 digits": lambda _: 10**30,
    "largest float": lambda _: 1.7976931348623157e308,
    "smallest float": lambda _: 5e-324,
    "array": lambda _: [],
    "object": lambda _: {},
    "numbers": lambda size: [1e15] * min(size, 150_000),
    "wide array": lambda size: [0] * min(size, 400_000),
    "wide object": lambda size: {f"k{number}": number for number in range(min(size, 80_000))},
    "deep array": lambda size: _deep(list, size % 300),
    "deep object": lambda size: _deep(dict, size % 300),
    "mixed": lambda _: [None, True, 1, "1", 1.0, {}, [], {"": ""}],
    "odd names": lambda _: {"": 1, "~/%#?": 2, "\u202e": 3, "__proto__": {}, "a b": [{"": [0]}]},
    **TEXTS,
}
"""Values of every JSON type."""

RAW: Final[dict[str, Callable[[int], bytes | None]]] = {
    "null": lambda _: None,
    "empty": lambda _: b"",
    "blanks": lambda size: b" " * min(size, 900_000),
    "cut": lambda _: b'{"taskId": "fuzz:task", "inputs',
    "two documents": lambda _: b'{"a":1}{"b":2}',
    "comma": lambda _: b'{"a":1,}',
    "single quotes": lambda _: b"{'a':1}",
    "comment": lambda _: b'{"a":1}//',
    "duplicate keys": lambda _: b'{"taskId":"a:b","taskId":"a:b"}',
    "long duplicate keys": lambda size: b'{"%b":1,"%b":2}' % ((b"k" * min(size, 400_000),) * 2),
    "NaN": lambda _: b'{"inputs":{"n":NaN}}',
    "Infinity": lambda _: b'{"inputs":{"n":-Infinity}}',
    "1e400": lambda _: b'{"inputs":{"n":1E+0400}}',
    "many digits": lambda size: b'{"inputs":{"n":%b}}' % (b"9" * min(size + 30, 900_000)),
    "many decimals": lambda size: b'{"inputs":{"n":0.%b}}' % (b"9" * min(size + 30, 900_000)),
    "NUL escaped": lambda _: b'{"inputs":{"s":"\\u0000"}}',
    "NUL itself": lambda _: b'{"inputs":{"s":"\0"}}',
    "lone surrogate": lambda _: b'{"inputs":{"s":"\\ud800"}}',
    "lone surrogate in a key": lambda _: b'{"\\udfff":1}',
    "not UTF-8": lambda _: b'{"inputs":{"s":"\xff\xfe"}}',
    "byte order mark": lambda _: b"\xef\xbb\xbf{}",
    "UTF-16": lambda _: '{"a":1}'.encode("utf-16"),
    "deep arrays": lambda size: b"[" * (size % 400_000) + b"]" * (size % 400_000),
    "deep, unclosed": lambda size: b'{"a":' * (size % 150_000),
    "deep, a NUL below": lambda size: _nested(size, b'"\\u0000"'),
    "deep, 20 digits below": lambda size: _nested(size, b"1" * 20),
    "array": lambda _: b"[]",
    "text": lambda _: b'"x"',
    "unknown fields": lambda size: json.dumps({f"f{number}": 0 for number in range(min(size, 70_000))}).encode(),
}  # fmt: skip
"""Whole record values and request bodies, few of which are JSON."""

SIZES: Final = (0, 1, 2, 16, 127, 128, 129, 185, 189, 190, 191, 199, 200, 201, 249, 255, 256, 1024, 1025, 4096, 65_535,
                65_536, 65_537, 100_000, 500_000, 1_000_000)  # fmt: skip
"""About the limits that the contract names, and the largest that a record can have."""


def _deep(kind: type[list[Any]] | type[dict[str, Any]], depth: int) -> Any:
    value: Any = kind()
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def _nested(size: int, bottom: bytes) -> bytes:
    depth = 150 + size % 100
    name = b"k" * max(1, min(size, 900_000) // depth - 6)
    return b'{"%b":' % name * depth + bottom + b"}" * depth
