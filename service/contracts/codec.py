"""JSON in and out, in one place: what every other parser lets through quietly is refused here."""

import math
import re
from array import array
from itertools import accumulate
from typing import Any, Final
from urllib.parse import quote

import jiter
import msgspec
from pydantic import JsonValue
from pydantic_core import to_json

from service.contracts.plain_text import LONG, encode_hook, tell_plain_texts

__all__ = ["MAX_DEPTH", "MalformedJsonError", "decode", "decode_slowly", "encode", "pointer", "read", "sorted_json"]

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

MAX_DEPTH: Final = 200
"""How deep the parser follows nested arrays and objects."""

# What jiter accepts and we refuse can only be in a document that holds one of these (or \u0000); few do.
_SUSPICIOUS = re.compile(rb"[0-9](?:[0-9]{18}|[eE]\+?[0-9]{3,}(?![\w\"-]))")

# The same for msgspec, at a glance: what is left of a document is where its numbers are long, and its brackets.
_OUTLINE: Final = bytes.maketrans(b"0123456789{", b"0000000000[")
_LONG_NUMBER: Final = b"0" * 19

_MANY: Final = 100

_decoder: Final = msgspec.json.Decoder()
_encoder: Final = msgspec.json.Encoder(order="deterministic", enc_hook=encode_hook)

_QUOTED: Final = re.compile(r' ".*" (?=at line )', re.DOTALL)
"""The key that is there twice: where it stands says enough, and keys of an object are part of a value."""

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_STEPS: Final = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
_OTHERS: Final = bytes(set(range(256)).difference(b'[]{}"'))


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
    if len(raw) >= LONG and (bare := _without_strings(raw)) is not None:
        return _decode_strictly(raw, bare, max_depth)
    return _read(raw, max_depth)[0]


def read(raw: bytes, max_depth: int = MAX_DEPTH) -> tuple[Any, bytes]:
    """The same, with the value as `sorted_json` writes it; long texts in it are PlainTexts, where that is known.

    It is what `decode_slowly` says, at a third of the cost. Of a large document that is mostly text, the parser costs
    less than to look at that text.
    """
    if len(raw) >= LONG and (bare := _without_strings(raw)) is not None:
        value = _decode_strictly(raw, bare, max_depth)
        tell_plain_texts(value)
        return value, sorted_json(value)
    return _read(raw, max_depth)


def _read(raw: bytes, max_depth: int) -> tuple[Any, bytes]:
    r"""By msgspec, which lets pass: NULs, which only `\u` can write; long integers; and duplicate keys.

    Those sorted JSON has lost, and their colons with them.
    """
    outline = raw.translate(_OUTLINE)
    if (
        not (b"\\" in raw and b"\\u" in raw)  # few have any, and one byte is found far faster than two
        and _LONG_NUMBER not in outline
        and (
            len(raw) <= max_depth or len(outline.split(b"[", max_depth)) <= max_depth or not _is_deeper(raw, max_depth)
        )
    ):
        try:
            value = _decoder.decode(raw)
        except ValueError:
            pass  # the slow way says what is wrong
        else:
            again = _encoder.encode(value)
            if len(again.split(b":")) == len(raw.split(b":")):  # some Pythons count six times slower than they split
                return value, again
    value = decode_slowly(raw, max_depth)
    return value, sorted_json(value)


def decode_slowly(raw: bytes, max_depth: int) -> Any:  # noqa: ANN401 - JSON is any
    """As `decode`, whatever comes: what it says is right."""
    return _decode_strictly(raw, raw, max_depth)


def _without_strings(raw: bytes) -> bytes | None:
    """Valid JSON without what its strings hold; None if they are many, or one has a backslash."""
    if b"\\" in raw:
        return None
    middle = len(raw) // 2
    begin, end = raw.rfind(b'"', 0, middle), raw.find(b'"', middle)
    if raw.count(b'"', 0, begin + 1) % 2:  # in a long text, most likely: to leap over it is quicker than to split it
        raw = raw[: begin + 1] + raw[end:]
    parts = raw.split(b'"', _MANY)
    return b'"'.join(parts[::2]) if len(parts) <= _MANY else None


def _decode_strictly(raw: bytes, bare: bytes, max_depth: int) -> Any:  # noqa: ANN401 - JSON is any
    """As `decode`; `bare` has all its brackets and numbers."""
    try:
        value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedJsonError(_QUOTED.sub(" ", str(error), count=1)) from None
    if bare.count(b"[") + bare.count(b"{") > max_depth and _is_deeper(raw, max_depth):
        raise MalformedJsonError(f"nested deeper than {max_depth}")
    if (b"\\" in raw and b"\\u0000" in raw) or _SUSPICIOUS.search(bare):
        _check(value, None)
    return value


def sorted_json(value: Any) -> bytes:  # noqa: ANN401 - JSON is any
    """The value as JSON that is equal for equal values, whatever the order of their keys."""
    return _encoder.encode(value)


def encode(value: object) -> bytes:
    """Write compact UTF-8 JSON."""
    return to_json(value)


def pointer(parent: str, *steps: str | int) -> str:
    """A JSON pointer (RFC 6901) in URI fragment form, as RFC 9457 writes them."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "/".join([parent, *(quote(step, safe="~!$&'()*+,;=:@?") for step in escaped)])


def _is_deeper(raw: bytes, most: int) -> bool:
    """Whether this JSON nests more levels.

    Told by the brackets outside of strings alone: a megabyte may hold as many values. Where it is not valid, then of
    what is before the flaw.
    """
    if b"\\" in raw:
        raw = _STRING.sub(b"", raw)
    marks = raw.translate(None, _OTHERS).replace(b'""', b"").split(b'"')
    steps = array("b", b"".join(marks[::2]).translate(_STEPS))
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


_VALUES: Final = ("inputs", "outputs")


def _flaw(detail: str, place: _Place | None) -> MalformedJsonError:
    steps: list[str | int] = []
    while place is not None:
        place, step = place
        steps.insert(0, step)
    # What is below an input or output is its value, which may be sensitive: the variable's name is told, no key in it.
    ends = (index + 2 for index, step in enumerate(steps) if step in _VALUES)
    return MalformedJsonError(detail, pointer("#", *steps[: next(ends, None)]))
