"""What a check of `taskexec doctor` found."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How it is: as it must be; as it may be, though somebody may be surprised; or broken."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """How the checked thing is, and what to do about it."""

    check: str
    level: Level
    detail: str
    advice: str | None = None


def ok(check: str, detail: str) -> Finding:
    """It is as it must be."""
    return Finding(check, Level.OK, detail)


def warn(check: str, detail: str, advice: str) -> Finding:
    """It is as it may be."""
    return Finding(check, Level.WARN, detail, advice)


def fail(check: str, detail: str, advice: str) -> Finding:
    """It is broken."""
    return Finding(check, Level.FAIL, detail, advice)
