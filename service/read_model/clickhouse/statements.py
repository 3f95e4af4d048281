"""The SQL of the read model: our own words, and the values from outside that it binds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from service.ports.filters import Filters
from service.ports.read_model import Place
from service.read_model.clickhouse.selection import FINAL, Rows, Selection, among


class Statement(NamedTuple):
    """What to run; `parameters` are bound, never pasted."""

    sql: str
    parameters: dict[str, Any]


LIFE: Final = "(executionId, createdAt)"
"""One life of an execution: should its id ever be used again, the record of one is not taken for the other's."""

TOPIC_IDS: Final = "SELECT topic, toString(id) AS id FROM projector_topics FINAL"
POSITIONS: Final = (
    "SELECT topic, partition, max(p.offset) AS offset, max(endOffset) AS end_offset, "
    "max(toUnixTimestamp64Milli(asOf)) AS as_of FROM projector_position AS p GROUP BY topic, partition"
)

COMPLETED: Final = (
    "coalesce(addMilliseconds(createdAt, JSONExtract(payload, 'completedAt', 'Nullable(Int64)')), "
    "parseDateTime64BestEffortOrNull(JSONExtractString(payload, 'completedAt'), 3, 'UTC'))"
)
"""When an execution ended, of its last event; of the others, NULL. Before schema 4, it was a text."""

TRANSITIONS: Final = "task_execution_transitions FINAL"
_CUT: Final = "fromUnixTimestamp64Milli({kept_since:Int64}, 'UTC')"
ENDED: Final = among(FINAL)
CREATED: Final = "fromUnixTimestamp64Milli({created_ms:Int64}, 'UTC')"


_LISTED: Final = "toString(id) AS execution_id, toUnixTimestamp64Milli(created) AS created_ms"

_BESIDE: Final = 1000
"""So many more of those that ended last are looked at than twice the page."""

PAYLOAD_COLUMNS: Final = "toString(executionId) AS execution_id, sequence, payload"
BODY_COLUMNS: Final = f"{PAYLOAD_COLUMNS}, toUnixTimestamp64Milli(createdAt) AS created_ms"
EVENT_COLUMNS: Final = f"{BODY_COLUMNS}, type, partition, offset"


_LATELY_READ: Final = "SETTINGS use_uncompressed_cache = 1"
"""What was shown is often shown again. Executions lie in no order: of each, a block is unpacked in which it is."""


def events_statement(execution_ids: Sequence[str], kept_since: int | None, columns: str) -> Statement:
    """Of all events of these executions that are kept, these columns: each of them costs time."""
    sql = (
        f"SELECT {columns} FROM task_execution_events "  # noqa: S608 - see Statement
        f"WHERE {_of_these(kept_since)} ORDER BY executionId, sequence LIMIT 1 BY executionId, sequence {_LATELY_READ}"
    )
    return Statement(sql, {"ids": list(execution_ids)} | since(kept_since))


def nodes_statement(execution_ids: Sequence[str], kept_since: int | None) -> Statement:
    """What each of these executions is in a graph; payloads stay where they are."""
    sql = (
        "SELECT toString(executionId) AS execution_id, "  # noqa: S608 - see Statement
        "anyIf(JSONExtractString(payload, 'taskId'), sequence = 1) AS task_id, "
        "ifNull(argMax(JSONExtract(payload, 'status', 'Nullable(String)'), sequence), 'PENDING') AS status, "
        "anyIf(JSONExtractRaw(payload, 'dependsOn'), sequence = 1) AS depends_on, "
        "max(JSONExtractString(payload, 'retriedBy')) AS retried_by "
        f"FROM task_execution_events WHERE {_of_these(kept_since)} GROUP BY executionId HAVING min(sequence) = 1"
    )
    return Statement(sql, {"ids": list(execution_ids)} | since(kept_since))


def downstream_statement(execution_ids: Sequence[str], limit: int) -> Statement:
    """The first so many that wait for any of these."""
    sql = (
        "SELECT DISTINCT toString(executionId) AS execution_id FROM task_execution_dependencies "  # noqa: S608 - see Statement
        f"WHERE upstream IN {{ids:Array(UUID)}} ORDER BY execution_id LIMIT {limit}"
    )
    return Statement(sql, {"ids": list(execution_ids)})


def _of_these(kept_since: int | None) -> str:
    wanted = "executionId IN {ids:Array(UUID)}"
    if kept_since is None:
        return wanted
    gone = f"SELECT {LIFE} FROM task_execution_events WHERE {wanted} AND {COMPLETED} < {_CUT}"  # noqa: S608 - see Statement
    return f"{wanted} AND {LIFE} NOT IN ({gone})"


def page_statement(  # noqa: PLR0913 - a page has these
    filters: Filters, limit: int, offset: int, after: Place | None, kept_since: int | None, *, backwards: bool = False
) -> Statement:
    """The page: newest first, or `backwards`, oldest first."""
    selection = Selection(filters)
    page = _Page(selection, offset + limit, after, kept_since, "ASC" if backwards else "DESC")
    if selection.of_all:
        found = [page.created(where) for where in kept(selection.created, kept_since)]
    else:
        found = [page.ended()] if selection.ended.statuses else []
        found += [page.open()] if selection.open else []
    if len(found) == 1:
        rows = f"({found[0]} LIMIT {limit} OFFSET {offset})"
    else:
        found = [f"{one} LIMIT {offset + limit}" for one in found]
        order = f"ORDER BY created {page.order}, id {page.order} LIMIT 1 BY id LIMIT {limit} OFFSET {offset}"
        rows = f"({' UNION ALL '.join(found)}) {order}"
    sql = f"SELECT {_LISTED} FROM {rows}"  # noqa: S608 - see Statement
    place = {} if after is None else {"created_ms": after.created_ms, "execution_id": after.execution_id}
    return Statement(sql, selection.parameters | place | since(kept_since))


def last_ended_statement(filters: Filters, limit: int, offset: int, kept_since: int | None) -> Statement | None:
    """The page, newest first, if those that ended last are all that can be on it; None: others can.

    They are, if each row was created after its `unseen_ms`: all others ended by then, none before it was created.
    """
    selection = Selection(filters)
    if selection.of_all or selection.open:
        return None
    found = _Page(selection, offset + limit, None, kept_since, "DESC").last_ended()
    sql = (
        f"SELECT {_LISTED}, toUnixTimestamp64Milli(unseen) AS unseen_ms "  # noqa: S608 - see Statement
        f"FROM ({found} LIMIT {limit} OFFSET {offset})"
    )
    return Statement(sql, selection.parameters | since(kept_since))


@dataclass(frozen=True, slots=True)
class _Page:
    """Of each kind of row, the first `reach` that may be on the page."""

    selection: Selection
    reach: int
    after: Place | None
    kept_since: int | None
    order: str

    def created(self, where: str) -> str:
        return self._first(f"{TRANSITIONS} WHERE {where}{self._beyond('at')}", "at")

    def open(self) -> str:
        where = f"{self.selection.open_conditions}{self._beyond('createdAt')}"
        return self._first(f"task_executions_open FINAL WHERE {where}", "createdAt")

    def last_ended(self) -> str:
        """The first of those that ended last, each with `unseen`: what was created since then is on no other row."""
        (where,) = kept(self.selection.ended, self.kept_since)
        unseen = f"if(count() OVER () < {self._sample}, fromUnixTimestamp64Milli(0, 'UTC'), min(at) OVER ())"
        return (
            f"SELECT executionId AS id, createdAt AS created, {unseen} AS unseen FROM "  # noqa: S608 - see Statement
            f"({self._last('executionId, createdAt, at', where)}) ORDER BY created DESC, id DESC"
        )

    def ended(self) -> str:
        """Those that ended: stored by when they did, wanted by when they were created.

        Of those that ended last, one is so far down in the order of creation that none below it can be on the page.
        And none above it ended before that one was created.
        """
        (where,) = kept(self.selection.ended, self.kept_since)
        where += self._beyond("createdAt")
        sample = where
        if self.after is not None and self.order == "DESC":
            sample += f" AND at <= {CREATED}"
        order = self.order
        least, none = ("min", 0) if order == "DESC" else ("max", 2**42)
        bound = (
            f"(SELECT if(count() < {self.reach}, fromUnixTimestamp64Milli({none}, 'UTC'), {least}(createdAt)) FROM "  # noqa: S608 - see Statement
            f"(SELECT createdAt FROM ({self._last('createdAt', sample)}) ORDER BY createdAt {order} "
            f"LIMIT {self.reach}))"
        )
        where += f" AND createdAt >= {bound} AND at >= {bound}" if order == "DESC" else f" AND createdAt <= {bound}"
        return self._first(f"{TRANSITIONS} WHERE {where}", "createdAt")

    @property
    def _sample(self) -> int:
        return 2 * self.reach + _BESIDE

    def _last(self, columns: str, where: str) -> str:
        order = f"ORDER BY at {self.order}, executionId {self.order} LIMIT {self._sample}"
        return f"SELECT {columns} FROM {TRANSITIONS} WHERE {where} {order}"  # noqa: S608 - see Statement

    def _first(self, rows: str, created: str) -> str:
        return (
            f"SELECT executionId AS id, {created} AS created FROM {rows} "  # noqa: S608 - see Statement
            f"ORDER BY {created} {self.order}, executionId {self.order}"
        )

    def _beyond(self, created: str) -> str:
        if self.after is None:
            return ""
        return f" AND {created} <= {CREATED} AND ({created}, executionId) < ({CREATED}, {{execution_id:UUID}})"


def kept(rows: Rows, kept_since: int | None) -> list[str]:
    """The conditions on these rows, of executions that are kept: one for each stretch of time.

    What ended before is not shown any more. Of what was begun before, some has ended since then, or not at all; what
    was begun later has ended later. So almost all is in a stretch where nothing need be looked up.
    """
    if kept_since is None:
        return [rows.where]
    stretches = [f"{rows.where} AND at >= {_CUT}"]
    if began := tuple(status for status in rows.statuses if not status.is_final):
        gone = f"SELECT {LIFE} FROM task_execution_transitions WHERE {ENDED} AND at < {_CUT}"  # noqa: S608 - see Statement
        earlier = Rows(began, rows.conditions)
        stretches.append(f"{earlier.where} AND at < {_CUT} AND {LIFE} NOT IN ({gone})")
    return stretches


def since(kept_since: int | None) -> dict[str, Any]:
    """The parameters of `kept`."""
    return {} if kept_since is None else {"kept_since": kept_since}
