"""When two JSON values are the same: by their JSON, not by what Python makes of it."""

from collections.abc import Iterable
from typing import Final

import msgspec
from pydantic import JsonValue

_encoder: Final = msgspec.json.Encoder(order="deterministic")


_MOST_SHORTENED: Final = 4  # `-0.0` becomes `0`


class JsonValues:
    """JSON values: whether one is among them is found out however many they are, and however large it is, at once."""

    def __init__(self, values: Iterable[JsonValue]) -> None:
        self._known = frozenset(map(canonical, values))
        self._longest = max(map(len, self._known), default=0)

    def __contains__(self, value: JsonValue) -> bool:
        if not isinstance(value, str) and len(_encoder.encode(value)) > self._longest * _MOST_SHORTENED:
            return False
        return canonical(value) in self._known


def canonical(value: JsonValue) -> str | bytes:
    """Equal, and hashable, for the same JSON values: 1 and 1.0 are the same number, true is none; keys have no order.

    Text, for its hash cannot be foreseen: no list of values can be made to collide.
    """
    return value if isinstance(value, str) else _encoder.encode(_with_whole_numbers(value))


def _with_whole_numbers(value: JsonValue) -> JsonValue:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
    return value
