"""Times and durations as people write them: RFC 3339, or short, such as `24h`."""

import re
from datetime import UTC, timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from service.contracts.timestamps import Timestamp

_UNITS: Final = {
    "ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks",
}  # fmt: skip
_SHORT: Final = "[0-9]{1,6}(ms|s|m|h|d|w)"
_PART: Final = re.compile(r"([0-9]{1,6})(ms|s|m|h|d|w)")


def read_duration(text: object) -> object:
    """The duration that a short text says: `90s`, `5m`, `24h`, `7d`; anything else is left to pydantic: ISO 8601."""
    if isinstance(text, str) and (found := _PART.fullmatch(text)):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    return text


def read_moment(text: object) -> object:
    """The moment that a text says: RFC 3339, or how long ago.

    Raises:
        ValueError: it says neither.
    """
    ago = read_duration(text)
    if isinstance(ago, timedelta):
        return Timestamp.of(Timestamp.now(UTC) - ago)
    if isinstance(text, str):
        try:
            return Timestamp.parse(text)
        except ValueError:
            detail = "must be a time such as 2026-03-02T04:00:00Z, or how long ago, such as 90m, 24h or 7d"
            raise ValueError(detail) from None
    return text


_SCHEMA: Final[dict[str, Any]] = {"type": "string"}

Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    WithJsonSchema(_SCHEMA | {"pattern": f"^({_SHORT}|P[0-9A-Z.]+)$"}),
]
"""How long something takes, from outside."""
Moment = Annotated[
    Timestamp,
    BeforeValidator(read_moment),
    WithJsonSchema(
        _SCHEMA | {"anyOf": [{"format": "date-time"}, {"pattern": f"^{_SHORT}$"}]},
    ),
]
"""A time from outside."""
