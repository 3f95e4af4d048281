"""The SQL of which tasks come first: told by one row of each execution, before anything else of them is counted."""

from service.contracts.status import Status
from service.ports.filters import CreationFilters, Filters
from service.ports.read_model import GroupOrder
from service.read_model.clickhouse.selection import Selection
from service.read_model.clickhouse.statements import TRANSITIONS, Statement, kept, since


def ranking_statement(
    filters: CreationFilters, order: GroupOrder, limit: int, text: str, kept_since: int | None
) -> Statement:
    """The tasks with most failures, or with most executions; each row says how many tasks have any."""
    if order is GroupOrder.FAILURE:
        selection = Selection(Filters(status=(Status.FAILURE,), **dict(filters)))
        rows = selection.ended
    else:
        selection = Selection(filters)
        rows = selection.created
    named = " AND positionCaseInsensitiveUTF8(taskId, {text:String}) > 0" if text else ""
    counts = " UNION ALL ".join(
        f"SELECT taskId AS task, count() AS n FROM {TRANSITIONS} WHERE {where}{named} GROUP BY task"  # noqa: S608 - see Statement
        for where in kept(rows, kept_since)
    )
    sql = (
        f"SELECT task, count() OVER () AS tasks FROM ({counts}) GROUP BY task ORDER BY sum(n) DESC, task LIMIT {limit}"  # noqa: S608 - see Statement
    )
    return Statement(sql, selection.parameters | {"text": text} | since(kept_since))
