"""What lists and statistics can be asked for, as Python programs write it."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from pydantic.alias_generators import to_camel

from service.client.transport import Parameters
from service.contracts.replies import Position
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.ports.read_model import Grouping, GroupOrder, Order

Moment = datetime | str
"""A time with a zone, or what the API takes: RFC 3339, or how long ago, such as `24h`."""


class CreationQuery(TypedDict, total=False):
    """See `service.ports.filters.CreationFilters`."""

    task_id: str
    task_version: str
    created_by: str
    tag: str | Collection[str]
    created_from: Moment
    created_to: Moment
    id_prefix: str
    min_position: Position | str


class StatsQuery(CreationQuery, total=False):
    """See `service.queries.requests.GetTaskExecutionStats`."""

    group_by: Grouping | str
    sort: GroupOrder | str
    limit: int
    group_text: str
    times: bool
    exact: bool


class ListQuery(CreationQuery, total=False):
    """See `service.ports.filters.Filters` and `service.queries.requests.ListTaskExecutions`."""

    status: Status | str | Collection[Status | str]
    completed_from: Moment
    completed_to: Moment
    started_from: Moment
    started_to: Moment
    min_duration: timedelta | str
    text: str
    fingerprint: str
    sort: Order | str
    page_size: int


class PageQuery(ListQuery, total=False):
    """The same, and which page."""

    page_number: int
    cursor: str
    counts: bool


def parameters_of(given: Mapping[str, Any]) -> Parameters:
    """These as the API takes them; what is None counts as not given.

    Raises:
        ValueError: a time has no zone.
    """
    return {
        to_camel(name): [*map(_text, value)] if isinstance(value, list | tuple | set | frozenset) else _text(value)
        for name, value in given.items()
        if value is not None
    }


def _text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return str(Timestamp.of(value))
        case timedelta():
            return f"{value // timedelta(milliseconds=1)}ms"
        case _:
            return str(value)
