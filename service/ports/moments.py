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
_PARTS: Final = re.compile("([0-9]{1,6})(ms|s|m|h|d|w)")


def read_duration(text: object) -> object:
    """The duration that a short text says: `90s`, `5m`, `24h`, `7d`.

    Raises:
        ValueError: it says none.
    """
    if not isinstance(text, str):
        return text
    if (duration := _short(text)) is None:
        raise ValueError("must be a duration such as 500ms, 90s, 5m, 24h, 7d or 2w")
    return duration


def read_moment(text: object) -> object:
    """The moment that a text says: RFC 3339, or how long ago.

    Raises:
        ValueError: it says neither.
    """
    if not isinstance(text, str):
        return text
    try:
        ago = _short(text)
        return Timestamp.parse(text) if ago is None else Timestamp.of(Timestamp.now(UTC) - ago)
    except (ValueError, OverflowError):
        detail = "must be a time such as 2026-03-02T04:00:00Z, or how long ago, such as 90m, 24h or 7d"
        raise ValueError(detail) from None


def _short(text: str) -> timedelta | None:
    found = _PARTS.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


_SCHEMA: Final[dict[str, Any]] = {"type": "string"}

Duration = Annotated[timedelta, BeforeValidator(read_duration), WithJsonSchema(_SCHEMA | {"pattern": f"^{_SHORT}$"})]
"""How long something takes, from outside."""

Moment = Annotated[
    Timestamp,
    BeforeValidator(read_moment),
    WithJsonSchema(_SCHEMA | {"anyOf": [{"format": "date-time"}, {"pattern": "^[0-9]{1,4}(ms|s|m|h|d|w)$"}]}),
]
"""A time from outside."""
