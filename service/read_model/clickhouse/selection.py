"""What filters mean in SQL: which rows of the transitions count, and which of them count against."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, epoch_ms
from service.ports.filters import CreationFilters, Filters

LABELS: Final = r"arrayConcat([concat('\x01', taskId), concat('\x02', createdBy)], tags)"
"""What an execution is looked for by, as the text index has it: a query must say it in the same words.

No tag can look like one of the others, for no tag has control characters. Not by a lambda, which ClickHouse 26.9 fails
on where a part has no index yet.
"""

_LAST_MS: Final = 10_413_791_999_999  # in the year 2299
FINAL: Final = tuple(status for status in Status if status.is_final)
_OPEN: Final = (Status.PENDING, Status.RUNNING)
_LATER: Final = {Status.PENDING: (Status.RUNNING, *FINAL), Status.RUNNING: FINAL}

_ALWAYS: Final = {
    "task_id": "",
    "created_by": "",
    "tag": "",
    "task_version": "taskVersion = {task_version:String}",
    "created_from": "createdAt >= fromUnixTimestamp64Milli({created_from:Int64}, 'UTC')",
    "created_to": "createdAt < fromUnixTimestamp64Milli({created_to:Int64}, 'UTC')",
    "id_prefix": "reinterpretAsUInt64(executionId) BETWEEN {id_first:UInt64} AND {id_last:UInt64}",
}
"""What is true of an execution from its creation on; the first three are in its labels.

An id is compared by its first half, as a number: ClickHouse sorts ids by their second one, so no key helps.
"""

RUN_MS: Final = (
    "if(isNull(startedAt), -1, toUnixTimestamp64Milli(at) - toUnixTimestamp64Milli(assumeNotNull(startedAt)))"
)
"""How long it ran, in milliseconds, as an index has it: a query must say it in the same words. -1: it never did."""

_ENDED: Final = {
    "completed_from": "at >= fromUnixTimestamp64Milli({completed_from:Int64}, 'UTC')",
    "completed_to": "at < fromUnixTimestamp64Milli({completed_to:Int64}, 'UTC')",
    "min_duration": f"{RUN_MS} >= {{min_duration:Int64}}",
    "fingerprint": "fingerprint = {fingerprint:String}",
}
"""What only those have that ended; a fingerprint, only those that failed."""

_RAN: Final = "previousStatus = 'RUNNING'"
"""The same as a `min_duration` of nothing, from a column that is read ten times faster."""

_STARTED: Final = {
    "started_from": "{{}} >= fromUnixTimestamp64Milli({started_from:Int64}, 'UTC')",
    "started_to": "{{}} < fromUnixTimestamp64Milli({started_to:Int64}, 'UTC')",
}
_OTHERS: Final = ("status", "text")
_IN_ID: Final = "positionCaseInsensitiveUTF8(toString(executionId), {text:String}) > 0"
_IN_MESSAGE: Final = f"({_IN_ID} OR positionCaseInsensitiveUTF8(message, {{text:String}}) > 0)"

if undecided := {*_ALWAYS, *_ENDED, *_STARTED, *_OTHERS} ^ Filters.model_fields.keys():
    raise TypeError(f"SQL and Filters do not have the same names: {', '.join(sorted(undecided))}")


@dataclass(frozen=True, slots=True)
class Rows:
    """Transitions into these statuses that meet the conditions; `sign` is what each of them counts."""

    statuses: tuple[Status, ...]
    conditions: tuple[str, ...]
    sign: int = 1

    @property
    def where(self) -> str:
        """As SQL."""
        narrowed = [among(self.statuses)] if len(self.statuses) < len(Status) else []
        return " AND ".join([*narrowed, *self.conditions]) or "TRUE"


class Selection:
    """The executions that fit the filters.

    An execution is in a status if it came into it and not yet into a later one. So how many fit is a sum over rows:
    those that came into a wanted status, less those that left it.
    """

    def __init__(self, creation: CreationFilters) -> None:
        filters = creation if isinstance(creation, Filters) else Filters(**dict(creation))
        self.parameters = _parameters(filters)
        given = {*self.parameters}
        labels = _labels(filters)
        if labels:
            self.parameters["labels"] = labels
        if prefix := self.parameters.pop("id_prefix", None):
            self.parameters |= _half(prefix)
        self.always = [f"hasAll({LABELS}, {{labels:Array(String)}})"] if labels else []
        self.always += [sql for name, sql in _ALWAYS.items() if sql and name in given]
        ended = _ENDED | ({"min_duration": _RAN} if filters.min_duration == timedelta() else {})
        self._ended = [sql for name, sql in ended.items() if name in given]
        self._started = [sql for name, sql in _STARTED.items() if name in given]
        self._in_id = [_IN_ID] if "text" in given else []
        self._in_message = [_IN_MESSAGE] if "text" in given else []
        wanted = {*(filters.status or Status)}
        if self._ended:
            wanted -= {*_OPEN}
        if self._started:
            wanted -= {Status.PENDING}
        if "fingerprint" in given:
            wanted &= {Status.FAILURE}
        self._wanted = tuple(status for status in Status if status in wanted)
        self.of_none = not wanted
        """What is wanted in one filter cannot be in another: such as one that is RUNNING and has ended."""
        self.of_all = len(wanted) == len(Status) and not self._in_id
        self.of_creation = not (self._ended or self._started or self._in_id)
        """Whether nothing narrows it, beside the status, but what is known from the creation on."""

    @property
    def open(self) -> tuple[Status, ...]:
        """The wanted statuses in which an execution has not ended."""
        return () if self.of_all else tuple(status for status in self._wanted if not status.is_final)

    @property
    def open_conditions(self) -> str:
        """What those must meet that have not ended, where a row has `startedAt`."""
        return " AND ".join([among(self.open), *self.always, *self._on("startedAt"), *self._in_id])

    @property
    def created(self) -> Rows:
        """All that fit, where every status will do: one row for each, `at` its creation."""
        return Rows((Status.PENDING,), tuple(sql.replace("createdAt", "at") for sql in self.always))

    @property
    def ended(self) -> Rows:
        """Those that fit and have ended: one row for each."""
        conditions = (*self.since, *self._ended, *self._on("startedAt"), *self._in_message)
        return Rows(tuple(status for status in self._wanted if status.is_final), conditions)

    @property
    def counted(self) -> list[Rows]:
        """The rows whose signs add up to how many fit."""
        if self.of_all:
            return [self.created]
        rows = [self.ended] if self.ended.statuses else []
        for status in self.open:
            came = self._on("at") if status is Status.RUNNING else []
            left = self._on("startedAt") if status is Status.RUNNING else []
            always = self.created.conditions if status is Status.PENDING else self.since
            rows += [
                Rows((status,), (*always, *came, *self._in_id)),
                Rows(_LATER[status], (f"previousStatus = '{status}'", *self.since, *left, *self._in_id), -1),
            ]
        return rows

    @property
    def since(self) -> list[str]:
        """What is always true, and that nothing comes into a status before it is created: the key is by `at` only."""
        return self.always + [sql.replace("createdAt", "at") for sql in self.always if sql.startswith("createdAt >=")]

    def _on(self, column: str) -> list[str]:
        return [sql.replace("{{}}", column) for sql in self._started]


def among(statuses: Sequence[Status]) -> str:
    """That a row is in one of these statuses, as SQL."""
    return "status IN (" + ", ".join(f"'{status}'" for status in statuses) + ")"


def _labels(filters: Filters) -> list[str]:
    labels = [f"\x01{filters.task_id}"] if filters.task_id is not None else []
    labels += [f"\x02{filters.created_by}"] if filters.created_by is not None else []
    return [*labels, *filters.tag]


def _half(prefix: str) -> dict[str, int]:
    """The first halves of the ids that begin so: the least, and the greatest."""
    digits = prefix.replace("-", "")
    return {"id_first": int(digits.ljust(16, "0"), 16), "id_last": int(digits.ljust(16, "f"), 16)}


def _parameters(filters: Filters) -> dict[str, Any]:
    bound = ("task_version", *_ALWAYS, *_ENDED, *_STARTED, "text")
    values = {name: getattr(filters, name) for name in bound if name not in {"task_id", "created_by", "tag"}}
    return {name: _value(value) for name, value in values.items() if value is not None}


def bounded_ms(at: Timestamp) -> int:
    """In epoch milliseconds, as far as ClickHouse's times go: nothing happened beyond."""
    return min(max(epoch_ms(at), 0), _LAST_MS)


def _value(value: object) -> object:
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    if isinstance(value, Timestamp):
        return bounded_ms(value)
    return value
