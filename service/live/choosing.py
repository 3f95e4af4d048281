"""Which events a reader wants. Pure."""

from collections.abc import Callable

from service.live.entries import Entry, Head
from service.ports.live import FollowTaskExecutions

Wanted = Callable[[Entry], bool]
_Condition = Callable[[Head], bool]


def chooser(asked: FollowTaskExecutions) -> Wanted | None:
    """Whether an event fits, raising ValueError for one that cannot be read; None if all do."""
    conditions = _conditions(asked)
    types = frozenset(asked.type)
    ids = frozenset(id_.encode() for id_ in asked.execution_id)
    if not (conditions or types or ids):
        return None

    def wanted(entry: Entry) -> bool:
        if ids and entry.record.key not in ids:
            return False
        if types and entry.type not in types:
            return False
        head = entry.head
        return all(condition(head) for condition in conditions)

    return wanted


def _conditions(asked: FollowTaskExecutions) -> list[_Condition]:
    names = ("task_id", "task_version", "created_by")
    conditions = [_is(name, value) for name in names if (value := getattr(asked, name)) is not None]
    if (prefix := asked.id_prefix) is not None:
        conditions.append(lambda head: head.execution_id.startswith(prefix))
    if asked.status:
        statuses = frozenset(map(str, asked.status))
        conditions.append(lambda head: head.status in statuses)
    if asked.tag:
        tags = frozenset(asked.tag)
        conditions.append(lambda head: tags.issubset(head.tags))
    if asked.created_from is not None:
        first = str(asked.created_from)  # texts of times sort as the times do
        conditions.append(lambda head: head.created_at >= first)
    if asked.created_to is not None:
        end = str(asked.created_to)
        conditions.append(lambda head: head.created_at < end)
    return conditions


def _is(name: str, value: str) -> _Condition:
    return lambda head: bool(getattr(head, name) == value)
