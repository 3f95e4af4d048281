"""The SQL of refused commands."""

from typing import Any, Final

from service.contracts.timestamps import Timestamp
from service.ports.filters import RejectionFilters
from service.ports.read_model import RejectionPlace
from service.read_model.clickhouse.selection import bounded_ms
from service.read_model.clickhouse.statements import Statement

CONDITIONS: Final = {
    "code": "code = {code:String}",
    "command_source": "commandSource = {command_source:String}",
    "command_type": "commandType = {command_type:String}",
    "execution_id": "executionId = {execution_id:UUID}",
    "rejected_from": "time >= fromUnixTimestamp64Milli({rejected_from:Int64}, 'UTC')",
    "rejected_to": "time < fromUnixTimestamp64Milli({rejected_to:Int64}, 'UTC')",
}
"""For every filter that is declared, what it means here."""

if undecided := CONDITIONS.keys() ^ RejectionFilters.model_fields.keys():
    raise TypeError(f"CONDITIONS and RejectionFilters do not have the same names: {', '.join(sorted(undecided))}")

_COLUMNS: Final = (
    "toUnixTimestamp64Milli(time) AS rejected_ms, partition, offset, code, detail, "
    "toString(executionId) AS execution_id, commandType AS command_type, commandSource AS command_source, problem"
)
_BEFORE: Final = "(time < fromUnixTimestamp64Milli({:d}, 'UTC'))"
_AFTER: Final = (
    "(time, partition, offset) < "
    "(fromUnixTimestamp64Milli({rejected_ms:Int64}, 'UTC'), {partition:UInt32}, {offset:UInt64})"
)


def rejections_total_statement(filters: RejectionFilters, kept_since: int | None) -> Statement:
    """How many refused commands fit, of those that are kept."""
    where, parameters = _where(filters, kept_since)
    return Statement(f"SELECT count() AS total FROM task_command_rejections FINAL WHERE {where}", parameters)  # noqa: S608 - see Statement


def rejections_statement(
    filters: RejectionFilters, limit: int, after: RejectionPlace | None, kept_since: int | None
) -> Statement:
    """The refused commands that fit, newest first, after this place."""
    where, parameters = _where(filters, kept_since)
    if after is not None:
        where, parameters = f"{where} AND {_AFTER}", parameters | after._asdict()
    sql = (
        f"SELECT {_COLUMNS}, '' AS record FROM task_command_rejections FINAL WHERE {where} "  # noqa: S608 - see Statement
        f"ORDER BY time DESC, partition DESC, offset DESC LIMIT {limit}"
    )
    return Statement(sql, parameters)


def rejection_statement(partition: int, offset: int, kept_since: int | None) -> Statement:
    """The refused command at this place, with its record."""
    where, parameters = _where(RejectionFilters(), kept_since)
    sql = (
        f"SELECT {_COLUMNS}, record FROM task_command_rejections FINAL "  # noqa: S608 - see Statement
        f"WHERE {where} AND partition = {{partition:UInt32}} AND offset = {{offset:UInt64}}"
    )
    return Statement(sql, {**parameters, "partition": partition, "offset": offset})


def old_rejections_statement(before: int) -> Statement:
    """How many commands were refused before this moment."""
    sql = f"SELECT count() AS total FROM task_command_rejections FINAL WHERE {_BEFORE.format(before)}"  # noqa: S608 - see Statement
    return Statement(sql, {})


def drop_rejections_statement(before: int) -> str:
    """Drop all of them."""
    return f"DELETE FROM task_command_rejections WHERE {_BEFORE.format(before)}"  # noqa: S608 - our own words and a number


def _where(filters: RejectionFilters, kept_since: int | None) -> tuple[str, dict[str, Any]]:
    given = {name: value for name in CONDITIONS if (value := getattr(filters, name)) is not None}
    parameters = {name: bounded_ms(value) if isinstance(value, Timestamp) else value for name, value in given.items()}
    kept = ["true"] if kept_since is None else [f"NOT {_BEFORE.format(kept_since)}"]
    return " AND ".join([*kept, *(CONDITIONS[name] for name in given)]), parameters
