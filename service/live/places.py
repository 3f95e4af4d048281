"""How far a reader is in all partitions, as the `id` of a message says it: `0:12,1:7`, the next offset of each."""

import re
from collections.abc import Sequence
from typing import Final

from service.contracts.problems import Code, FieldError, RejectedError, reject

_ID: Final = re.compile(r"[0-9]{1,5}:[0-9]{1,18}(,[0-9]{1,5}:[0-9]{1,18})*")


def write_id(next_offsets: Sequence[int]) -> bytes:
    """The `id` of a reader that has read all before these offsets."""
    return ",".join([f"{partition}:{offset}" for partition, offset in enumerate(next_offsets)]).encode()


def read_id(text: str, partitions: int) -> list[int]:
    """The next offsets that the `id` says.

    Raises:
        RejectedError: it is none that this service gave.
    """
    pairs = [tuple(map(int, pair.split(":"))) for pair in text.split(",")] if _ID.fullmatch(text) else []
    if [partition for partition, _ in pairs] != list(range(partitions)):
        raise no_such_id(
            f"must be the id of a message, as it came: the next offset of each of {partitions} partitions, "
            "such as 0:12,1:7"
        )
    return [offset for _, offset in pairs]


def no_such_id(flaw: str) -> RejectedError:
    """The refusal to go on from there. What was missed is found in lists and histories."""
    detail = f"The stream cannot go on after this id: {flaw}. Begin without one, and list what was missed."
    return reject(Code.INVALID_REQUEST, detail, (FieldError(pointer="#/lastEventId", detail=flaw),))
