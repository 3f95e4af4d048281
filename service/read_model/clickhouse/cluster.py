"""The statements of one server as those of a cluster, so that there is one schema and one SQL for both. Pure.

A table `x` becomes `x_local`, replicated within each shard, and `x` in front of them, `Distributed`: queries and
inserts use that, by the same name. All rows of an execution are on one shard, so that FINAL, subqueries and deletes see
the whole of it there (docs/adr/0031).
"""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final

SHARDED_BY: Final = {
    "task_execution_events_in": "executionId",
    "task_execution_events": "executionId",
    "task_execution_transitions": "executionId",
    "task_executions_open": "executionId",
    "task_execution_dependencies": "executionId",
    "task_execution_hours": "taskId",
    "task_execution_hours_closed": "edge",
    "task_command_rejections": "partition, offset",
    "projector_position": "topic, partition",
    "projector_topics": "topic",
}
"""Every table, and by what its rows are spread: whole executions; else whole keys, for FINAL merges within a shard."""

_COMMENTS: Final = re.compile(r"\A(\s*(--[^\n]*)?\n)+")
_TABLE: Final = re.compile(rf"\b({'|'.join(SHARDED_BY)})\b")
_ENGINE: Final = re.compile(r"\bENGINE = (\w*MergeTree)")
_COMMENT: Final = re.compile(r"COMMENT '[^']*'\s*\Z")

_NEW_TABLE: Final = re.compile(r"(CREATE TABLE IF NOT EXISTS\s+)(\w+)(?=\s*\()")
_OF_BOTH: Final = re.compile(r"(ALTER TABLE\s+)(\w+)(?=\s+(?:ADD COLUMN|MODIFY COMMENT)\b)")
_KEY: Final = re.compile(r",\s+MODIFY ORDER BY [^;]*\Z")
_OF_LOCAL: Final = re.compile(
    r"((?:CREATE MATERIALIZED VIEW IF NOT EXISTS|DELETE FROM|OPTIMIZE TABLE)\s+|"
    r"ALTER TABLE\s+(?=\w+\s+(?:ADD INDEX|UPDATE|MODIFY (?:COLUMN|SETTING))\b))(\w+)"
)
_OF_FRONT: Final = re.compile(r"((?:CREATE OR REPLACE VIEW|CREATE VIEW IF NOT EXISTS|DROP VIEW IF EXISTS)\s+)(\w+)")
_AS_IT_IS: Final = re.compile(r"INSERT INTO\s")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster of this name, as the servers' configuration has it; the database is there on all of them."""

    name: str
    database: str

    settings: ClassVar[dict[str, Any]] = {
        # Subqueries on the tables in front mean those of the shard.
        "distributed_product_mode": "local",
        # Everybody asks the same replica, so that whoever has read a position finds the events up to it.
        "load_balancing": "in_order",
        "prefer_localhost_replica": 0,
        # An insert is acknowledged when most replicas have it: before, the position must not be written.
        "distributed_foreground_insert": 1,
        "insert_quorum": "auto",
        # What a delete looks up is on the same shard, and stays until the delete has ended on all replicas.
        "allow_nondeterministic_mutations": 1,
    }
    """Of every statement."""

    def statements(self, sql: str) -> list[str]:
        """What to run instead, in order.

        Raises:
            ValueError: nobody has said what this statement means on a cluster, or by what a new table is spread.
        """
        sql = _COMMENTS.sub("", sql)
        if found := _NEW_TABLE.match(sql):
            return [*self._local(_ENGINE.sub(r"ENGINE = Replicated\1", sql), found), self._distributed(sql, found[2])]
        if found := _OF_BOTH.match(sql):
            return [*self._local(sql, found), *self._front(_KEY.sub("", sql), found)]
        if found := _OF_LOCAL.match(sql):
            return self._local(sql, found)
        if found := _OF_FRONT.match(sql):
            return self._front(sql, found)
        if _AS_IT_IS.match(sql):
            return [sql]
        raise ValueError(f"not a statement that is known on a cluster: {sql[:80]!r}")

    def _distributed(self, sql: str, name: str) -> str:
        if name not in SHARDED_BY:
            raise ValueError(f"SHARDED_BY does not say by what the rows of {name} are spread")
        where = f"{_text(self.name)}, {_text(self.database)}, '{name}_local', cityHash64({SHARDED_BY[name]})"
        comment = _COMMENT.search(sql)
        return (
            f"CREATE TABLE IF NOT EXISTS {name} {self._on} AS {name}_local\n"
            f"ENGINE = Distributed({where})\n{comment[0] if comment else ''}"
        )

    def _local(self, sql: str, found: re.Match[str]) -> list[str]:
        """Of the tables of each server, which do the work."""
        beginning, further = (_TABLE.sub(r"\1_local", part) for part in (found[0], sql[found.end() :]))
        return [f"{beginning} {self._on}{further}"]

    def _front(self, sql: str, found: re.Match[str]) -> list[str]:
        return [f"{found[0]} {self._on}{sql[found.end() :]}"]

    @property
    def _on(self) -> str:
        return f"ON CLUSTER {_text(self.name)}"


def _text(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
