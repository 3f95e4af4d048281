"""What the rejections topic holds: the problem, and the refused record so that nothing is lost."""

from enum import StrEnum

from service.contracts.model import Contract
from service.contracts.problems import Problem
from service.contracts.timestamps import Timestamp


class OriginalHeader(Contract):
    """A header of the refused record; the value in base64, for it may be any bytes. U+FFFD stands for NUL in a name."""

    name: str
    value: str


class Extent(StrEnum):
    """How much is withheld of a refused record's value, for it may hold a value of a sensitive variable.

    `part`: the value is written anew with what is known to be harmless: `{"sealed": null}` stands for each value of a
    sensitive variable and of one that the definition does not have, and other fields are left out. `whole`: all of it,
    where the definition is not known.
    """

    PART = "part"
    WHOLE = "whole"


class OriginalRecord(Contract):
    """The refused record. Binary parts are base64. A value too large to repeat is given by its SHA-256 and its head.

    `valueSize` is that of the value as it came, `valueWithheld` says that it is not told as it came.

    A timestamp outside of the years 1970 to 9999 is given as the nearest one inside.
    """

    topic: str
    partition: int
    offset: int
    timestamp: Timestamp
    headers: tuple[OriginalHeader, ...]
    key: str | None = None
    value: str | None = None
    value_size: int
    value_sha256: str | None = None
    value_head: str | None = None
    value_withheld: Extent | None = None


class CommandRejected(Contract):
    """A command was refused: why (`problem`) and what it was (`record`)."""

    problem: Problem
    record: OriginalRecord


REJECTION_TYPE = "TaskCommandRejected"
"""The CloudEvents type of a rejection."""
