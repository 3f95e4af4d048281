"""Lengths of time on the wire: ISO 8601 durations, such as `PT30S` (RFC 3339, appendix A)."""

from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

LONGEST: Final = timedelta(days=36_500)


def _is_text(value: object) -> object:
    """Refuse what pydantic would also take: a number of unknown unit, a clock time."""
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return value
    raise ValueError("must be an ISO 8601 duration, such as PT30S or P1D")


def _from(least: timedelta, most: timedelta) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise ValueError(f"must be from {least.total_seconds():g} s to {most.total_seconds():g} s")
        return value

    return AfterValidator(check)


_TEXT: Final = BeforeValidator(_is_text)
_SCHEMA: Final = Field(json_schema_extra={"type": "string", "format": "duration", "pattern": "^P"})

Delay = Annotated[timedelta, _TEXT, _from(timedelta(0), LONGEST), _SCHEMA]
"""Of any length. A year and a month are 365 and 30 days."""

Limit = Annotated[timedelta, _TEXT, _from(timedelta(seconds=1), LONGEST), _SCHEMA]
"""A second at least."""

Lease = Annotated[timedelta, _TEXT, _from(timedelta(seconds=1), timedelta(days=1)), _SCHEMA]
"""From a second to a day."""
