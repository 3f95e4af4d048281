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
_AFTER: Final = (
    "(time, partition, offset) < "
    "(fromUnixTimestamp64Milli({rejected_ms:Int64}, 'UTC'), {partition:UInt32}, {offset:UInt64})"
)


def rejections_total_statement(filters: RejectionFilters) -> Statement:
    """How many refused commands fit."""
    where, parameters = _where(filters)
    return Statement(f"SELECT count() AS total FROM task_command_rejections FINAL WHERE {where}", parameters)  # noqa: S608 - see Statement


def rejections_statement(filters: RejectionFilters, limit: int, after: RejectionPlace | None) -> Statement:
    """The refused commands that fit, newest first, after this place."""
    where, parameters = _where(filters)
    if after is not None:
        where, parameters = f"{where} AND {_AFTER}", parameters | after._asdict()
    sql = (
        f"SELECT {_COLUMNS}, '' AS record FROM task_command_rejections FINAL WHERE {where} "  # noqa: S608 - see Statement
        f"ORDER BY time DESC, partition DESC, offset DESC LIMIT {limit}"
    )
    return Statement(sql, parameters)


def rejection_statement(partition: int, offset: int) -> Statement:
    """The refused command at this place, with its record."""
    sql = (
        f"SELECT {_COLUMNS}, record FROM task_command_rejections FINAL "  # noqa: S608 - see Statement
        "WHERE partition = {partition:UInt32} AND offset = {offset:UInt64}"
    )
    return Statement(sql, {"partition": partition, "offset": offset})


def _where(filters: RejectionFilters) -> tuple[str, dict[str, Any]]:
    given = {name: value for name in CONDITIONS if (value := getattr(filters, name)) is not None}
    parameters = {name: bounded_ms(value) if isinstance(value, Timestamp) else value for name, value in given.items()}
    return " AND ".join(["true", *(CONDITIONS[name] for name in given)]), parameters
