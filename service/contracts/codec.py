"""JSON in and out, in one place: what every other parser lets through quietly is refused here."""

import math
import re
from array import array
from itertools import accumulate
from typing import Any, Final
from urllib.parse import quote

import jiter
from pydantic import JsonValue
from pydantic_core import to_json

__all__ = ["MAX_DEPTH", "MalformedJsonError", "decode", "encode", "pointer"]

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

MAX_DEPTH: Final = 200
"""How deep the parser follows nested arrays and objects."""

# What jiter accepts and we refuse can only be in a document that holds one of these (or \u0000); few do.
_SUSPICIOUS = re.compile(rb"[0-9](?:[0-9]{18}|[eE]\+?[0-9]{3,}(?![\w\"-]))")

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_STEPS: Final = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
_OTHERS: Final = bytes(set(range(256)).difference(b"[]{}"))


class MalformedJsonError(ValueError):
    """The bytes are not JSON that every reader would read alike; `pointer` says where, if that is known."""

    def __init__(self, detail: str, pointer: str = "#") -> None:
        super().__init__(detail)
        self.detail, self.pointer = detail, pointer


def decode(raw: bytes, max_depth: int = MAX_DEPTH) -> Any:  # noqa: ANN401 - JSON is any
    """Parse UTF-8 JSON (RFC 8259) strictly.

    Raises:
        MalformedJsonError: not JSON, duplicate keys, NaN or infinities, integers over 64 bits, NUL characters,
            lone surrogates, or nested deeper than `max_depth`.
    """
    try:
        value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedJsonError(str(error)) from None
    if raw.count(b"[") + raw.count(b"{") > max_depth and _is_deeper(raw, max_depth):
        raise MalformedJsonError(f"nested deeper than {max_depth}")
    if b"\\u0000" in raw or _SUSPICIOUS.search(raw):
        _check(value, None)
    return value


def encode(value: object) -> bytes:
    """Write compact UTF-8 JSON."""
    return to_json(value)


def pointer(parent: str, *steps: str | int) -> str:
    """A JSON pointer (RFC 6901) in URI fragment form, as RFC 9457 writes them."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "/".join([parent, *(quote(step, safe="~!$&'()*+,;=:@?") for step in escaped)])


def _is_deeper(raw: bytes, most: int) -> bool:
    """Whether this valid JSON nests more levels, told by its brackets alone: a megabyte may hold as many values."""
    steps = array("b", _STRING.sub(b"", raw).translate(_STEPS, _OTHERS))
    return max(accumulate(steps), default=0) > most


_Place = tuple["_Place | None", str | int]
"""A step from the place above. Only a flaw's place becomes text: a million long pointers would take minutes."""


def _check(value: JsonValue, place: _Place | None) -> None:
    match value:
        case str() if "\0" in value:
            raise _flaw("NUL characters are not allowed", place)
        case float() if not math.isfinite(value):
            raise _flaw("the number is too large for a 64-bit float", place)
        case int() if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise _flaw("the integer does not fit into 64 bits; send it as a string", place)
        case dict():
            for key, item in value.items():
                _check(key, place)
                _check(item, (place, key))
        case list():
            for index, item in enumerate(value):
                _check(item, (place, index))
        case _:
            pass


def _flaw(detail: str, place: _Place | None) -> MalformedJsonError:
    steps: list[str | int] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return MalformedJsonError(detail, pointer("#", *reversed(steps)))
