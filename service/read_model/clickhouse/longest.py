"""The SQL of lists in the order of run times."""

from typing import Final

from service.ports.filters import Filters
from service.ports.read_model import Place
from service.read_model.clickhouse.selection import RUN_MS, Selection
from service.read_model.clickhouse.statements import CREATED, TRANSITIONS, Statement, kept, since

_AFTER: Final = f"(run_ms, createdAt, executionId) < ({{run_ms:Int64}}, {CREATED}, {{execution_id:UUID}})"


def longest_statement(
    filters: Filters, limit: int, offset: int, after: Place | None, kept_since: int | None
) -> Statement:
    """The page, longest first; the filters have a `min_duration`, so that each one has a run time.

    How long each ran is looked at alone at first; then an index tells where the longest are.
    """
    selection = Selection(filters)
    (where,) = kept(selection.ended, kept_since)
    if after is not None:
        where += f" AND {_AFTER}"
    runs = f"SELECT {RUN_MS} AS run_ms FROM {TRANSITIONS} WHERE {where} ORDER BY run_ms DESC LIMIT {offset + limit}"  # noqa: S608 - see Statement
    sql = (
        f"SELECT toString(executionId) AS execution_id, toUnixTimestamp64Milli(createdAt) AS created_ms, {RUN_MS} AS run_ms "  # noqa: S608, E501 - see Statement
        f"FROM {TRANSITIONS} WHERE {where} AND {RUN_MS} >= (SELECT min(run_ms) FROM ({runs})) "
        f"ORDER BY run_ms DESC, createdAt DESC, executionId DESC LIMIT {limit} OFFSET {offset}"
    )
    place = {} if after is None else after._asdict()
    return Statement(sql, selection.parameters | place | since(kept_since))
