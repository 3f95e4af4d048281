"""Times on the wire: RFC 3339 in UTC, always with milliseconds, so that texts sort as the times do."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
_NO_ZONE: Final = "the time has no zone; write it as RFC 3339 does, in UTC with a Z"


@lru_cache(maxsize=4096)  # all events of a batch have one time, and few others are repeated in them
def rfc3339(at: datetime) -> str:
    """An aware time as RFC 3339 in UTC, in milliseconds."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


class Timestamp(datetime):
    """An aware UTC time in whole milliseconds. Its text is always as long as `2026-03-02T04:00:00.000Z`.

    A type of its own, so that no other datetime is written by accident: JSON encoders leave out zero fractions.
    """

    @classmethod
    def of(cls, at: datetime) -> Self:
        """This moment, what is finer than a millisecond cut off.

        Raises:
            ValueError: it has no time zone, so it could be any moment.
        """
        if at.tzinfo is None:
            raise ValueError(_NO_ZONE)
        utc = at.astimezone(UTC)
        return cls(
            utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond // 1000 * 1000, tzinfo=UTC
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """The time that an RFC 3339 text says, with or without a fraction.

        Raises:
            ValueError: it is no such text.
        """
        return cls.of(datetime.fromisoformat(text))

    @classmethod
    def from_epoch_ms(cls, milliseconds: int) -> Self:
        """The moment so many milliseconds after 1970 began, exactly."""
        return cls(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)

    def __str__(self) -> str:
        return rfc3339(self)

    json = property(rfc3339, doc="Its text, as `encode_hook` wants it.")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.of,
            core_schema.no_info_before_validator_function(
                _no_number, core_schema.datetime_schema(tz_constraint="aware")
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )


def _no_number(value: object) -> object:
    """Refuse what pydantic would also take: a number, of seconds or of milliseconds."""
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("must be a time as RFC 3339 has it, such as 2026-03-01T04:00:00Z")


@lru_cache(maxsize=4096)  # likewise
def epoch_ms(at: datetime) -> int:
    """The whole milliseconds from the beginning of 1970 to an aware time, exactly."""
    return (at - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=4096)  # what is read together was often written together
def from_epoch_ms(milliseconds: int) -> Timestamp:
    """The moment so many milliseconds after 1970 began, exactly."""
    return Timestamp.from_epoch_ms(milliseconds)


@lru_cache(maxsize=4096)  # the events of an execution repeat its times
def parsed_ms(text: str) -> int:
    """`epoch_ms` of `Timestamp.parse`, without making one.

    Raises:
        ValueError: it is no such text.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(_NO_ZONE)
    return (at - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=4096)  # likewise
def _parsed(text: str) -> Timestamp:
    return Timestamp.parse(text)


def decode_hook(kind: type, value: object) -> object:
    """For msgspec's decoders, which know datetimes only.

    Raises:
        NotImplementedError: another type is wanted.
        ValueError: it is no RFC 3339 text.
    """
    if kind is Timestamp:
        if not isinstance(value, str):
            raise ValueError("a time is a text, as RFC 3339 has it")
        return _parsed(value)
    raise NotImplementedError(f"{kind.__name__} is not read from JSON")


def schema_hook(kind: type) -> dict[str, Any]:
    """For msgspec's JSON Schemas, likewise.

    Raises:
        NotImplementedError: another type is wanted.
    """
    if kind is Timestamp:
        return {"type": "string", "format": "date-time"}
    raise NotImplementedError(f"{kind.__name__} has no JSON schema")
