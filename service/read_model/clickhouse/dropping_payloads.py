"""The SQL that drops the inputs and outputs of finished executions, which stay listed and counted (docs/adr/0030)."""

from typing import Final

from service.contracts.events import PAYLOADS
from service.contracts.kept_bodies import DROPPED
from service.read_model.clickhouse.statements import ENDED, LIFE

UNDROPPED: Final = "payloads != 'DROPPED'"
"""Of a transition into a final status: whether payloads of its execution may still be there."""

HAS_PAYLOADS: Final = " OR ".join(f"JSONHas(payload, '{name}')" for name in PAYLOADS)
_REST: Final = f"arrayFilter(field -> field.1 NOT IN {PAYLOADS}, JSONExtractKeysAndValuesRaw(payload))"
WITHOUT_PAYLOADS: Final = (
    f"concat('{{', arrayStringConcat(arrayMap(field -> concat(toJSONString(field.1), ':', field.2, ','), {_REST})), "
    f"'\"{DROPPED}\":true}}')"
)
_COLUMNS: Final = "executionId, sequence, type, payload, createdAt, topic, partition, offset"


def drop_payloads_statements(since: int, last: int) -> list[str]:
    """Drop the payloads of all executions that ended in between, both included; each once the one before has ended.

    Their events are written again without: the newer row replaces the older one. Only transitions that were there
    before are marked afterwards: what a replay brings back meanwhile is not taken for dropped.
    """
    ended = (
        f"{ENDED} AND at >= fromUnixTimestamp64Milli({since:d}, 'UTC') "
        f"AND at <= fromUnixTimestamp64Milli({last:d}, 'UTC')"
    )
    transitions = "task_execution_transitions"
    theirs = f"{LIFE} IN (SELECT {LIFE} FROM {transitions} WHERE payloads = 'DROPPING' AND {ended})"  # noqa: S608 - see Statement
    rewrite = (
        f"INSERT INTO task_execution_events ({_COLUMNS}) SELECT {_COLUMNS.replace('payload', WITHOUT_PAYLOADS)} "  # noqa: S608 - see Statement
        f"FROM task_execution_events WHERE {theirs} AND ({HAS_PAYLOADS}) "
        # What a replay brought back is dropped a second time, by the same rows.
        "SETTINGS insert_deduplicate = 0"
    )
    return [
        f"ALTER TABLE {transitions} UPDATE payloads = 'DROPPING' WHERE payloads = 'KEPT' AND {ended}",
        rewrite,
        f"ALTER TABLE {transitions} UPDATE payloads = 'DROPPED' WHERE payloads = 'DROPPING' AND {ended}",
    ]
