"""What the list of executions shows: which of its columns, what narrows it, and where each of its links leads."""

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlencode

from pydantic import Field

from service.contracts.status import Status
from service.ports.moments import read_moment
from service.queries.requests import ListTaskExecutions

PATH: Final = "/executions"


class Back(StrEnum):
    """How far back the list goes, where no times are given."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    ALL = "all"


class Column(StrEnum):
    """What a row can show."""

    STATUS = "status"
    TASK = "task"
    ID = "id"
    CREATED = "created"
    QUEUED = "queued"
    RAN = "ran"
    CREATED_BY = "createdBy"
    TAGS = "tags"
    OUTCOME = "outcome"
    OWNER = "owner"
    ATTEMPT = "attempt"


_DEFAULT: Final = (
    Column.STATUS, Column.TASK, Column.ID, Column.CREATED, Column.QUEUED, Column.RAN, Column.CREATED_BY, Column.TAGS,
    Column.OUTCOME,
)  # fmt: skip
_TIMES: Final = ("created_from", "created_to", "started_from", "started_to", "completed_from", "completed_to")
_LABELS: Final = {
    "taskId": "task", "taskVersion": "version", "createdBy": "by", "tag": "tag", "status": "status", "text": "text",
    "fingerprint": "cause", "minDuration": "ran at least", "createdFrom": "created from", "createdTo": "created before",
    "startedFrom": "started from", "startedTo": "started before", "completedFrom": "ended from",
    "completedTo": "ended before",
}  # fmt: skip
_PLACES: Final = ("cursor", "pageNumber", "minPosition")
"""What belongs to one page of a list, and not to the list."""


class ShowTaskExecutions(ListTaskExecutions):
    """The query of the page: that of the API's list, and how it is shown."""

    period: Back | None = Field(default=None, description="How far back; without times, 24 hours.")
    columns: tuple[Column, ...] = Field(default=(), description="What the rows show.")


class Chip(NamedTuple):
    """A filter that is on, and the list without it."""

    label: str
    value: str
    without: str


class Listing(NamedTuple):
    """A query of the page; `given` is its text, as names and values."""

    wanted: ShowTaskExecutions
    given: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, wanted: ShowTaskExecutions, sent: Iterable[tuple[str, str]]) -> Self:
        """The query with its text as it was sent; fields that were left empty say nothing."""
        return cls(wanted, [(name, value) for name, value in sent if value])

    @property
    def period(self) -> Back | None:
        """How far back it goes; None if times are given."""
        if self.wanted.period is not None:
            return self.wanted.period
        return None if any(getattr(self.wanted, name) for name in _TIMES) else Back.DAY

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that are shown, in their order."""
        return tuple(one for one in Column if one in (self.wanted.columns or _DEFAULT))

    @property
    def question(self) -> ListTaskExecutions:
        """What is asked of the queries."""
        fields = {name: getattr(self.wanted, name) for name in ListTaskExecutions.model_fields} | {"counts": True}
        if self.period not in {None, Back.ALL}:
            fields["created_from"] = read_moment(self.period)
        return ListTaskExecutions.model_construct({*fields}, **fields)

    @property
    def filters(self) -> str:
        """Those that are on, as the API's actions take them: JSON. A period is the time that it began."""
        several = ShowTaskExecutions.names_of_several()
        found: dict[str, Any] = {}
        for name, value in self.given:
            if name in several:
                found.setdefault(name, []).append(value)
            else:
                found[name] = value
        first = self.question.created_from
        return json.dumps(
            {name: found[name] for name in _LABELS if name in found} | ({"createdFrom": str(first)} if first else {})
        )

    @property
    def chips(self) -> Iterator[Chip]:
        """Of every filter but the period."""
        for name, value in self.given:
            if name in _LABELS:
                yield Chip(_LABELS[name], value, self.without(name, value))

    def without(self, name: str, value: str | None = None) -> str:
        """The list without this filter, or without one value of it."""
        return self._to([pair for pair in self.given if pair[0] != name or value not in {None, pair[1]}])

    def toggled(self, status: Status) -> str:
        """The list with this status among the wanted ones, or without it if it is there."""
        pair = ("status", str(status))
        return self.without(*pair) if pair in self.given else self._to([*self.given, pair])

    def with_(self, name: str, value: str) -> str:
        """The list with this value instead of any other."""
        others = [pair for pair in self.given if pair[0] != name]
        if name == "period":
            others = [pair for pair in others if not pair[0].endswith(("From", "To"))]
        return self._to([*others, (name, value)])

    def kept(self, *leaving: str) -> list[tuple[str, str]]:
        """What a form that asks for something else has to repeat."""
        return [pair for pair in self.given if pair[0] not in {*leaving, *_PLACES}]

    @property
    def here(self) -> str:
        """This page of the list."""
        return self.following(self.wanted.cursor) if self.wanted.cursor else self._to(self.given)

    def following(self, cursor: str) -> str:
        """The next page of the list."""
        return f"{self._to(self.given)}{'&' if self.kept() else '?'}{urlencode({'cursor': cursor})}"

    @property
    def followed(self) -> list[tuple[str, str]]:
        """The filters that the stream of events has, too: what fits them may change the list."""
        names = {"taskId", "taskVersion", "createdBy", "tag"}
        return [pair for pair in self.given if pair[0] in names]

    @staticmethod
    def _to(pairs: Sequence[tuple[str, str]]) -> str:
        kept = [pair for pair in pairs if pair[0] not in _PLACES]
        return f"{PATH}?{urlencode(kept)}" if kept else PATH
