"""Compares the tables in use with the second ones, row by row, and makes them equal.

First the hashes of the rows in each of some thousand buckets are added up: one scan, little memory. Then the buckets
that differ are looked at row by row.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.ports.second_store import Comparison, Difference, Kind, TooManyDifferencesError
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.statements import Statement

MOST: Final = 100_000
"""Differing rows that are told one by one."""

_BUCKETS: Final = 4096
_AT_ONCE: Final = 1_000
_HASH: Final = "cityHash64(tuple(*))"
_SETTINGS: Final = "SETTINGS do_not_merge_across_partitions_select_final = 1"


@dataclass(frozen=True, slots=True)
class _Compared:
    """A table: what tells a row; what it is about, as columns and as a text; and that it is about some of these."""

    name: str
    key: str
    subject: str = "executionId"
    text: str = "toString(executionId)"
    about: str = "executionId IN {subjects:Array(UUID)}"


_EVENTS: Final = _Compared("task_execution_events", "executionId, sequence")
_POSITION: Final = "concat(toString(partition), ':', toString(offset))"
_TABLES: Final = (
    _EVENTS,
    _Compared("task_execution_transitions", "at, executionId, status"),
    _Compared("task_executions_open", "createdAt, executionId"),
    _Compared("task_execution_dependencies", "upstream, executionId, createdAt"),
    _Compared(
        "task_command_rejections",
        "topic, partition, offset",
        "partition, offset",
        _POSITION,
        f"{_POSITION} IN {{subjects:Array(String)}}",
    ),
)


async def compare(driver: Driver) -> Comparison:
    """See `SecondStore`."""
    rows: dict[str, int] = {}
    differences: list[Difference] = []
    for table in _TABLES:
        stored, made = await _sums(driver, table, table.name), await _sums(driver, table, f"{table.name}_new")
        rows[table.name] = sum(count for count, _ in made.values())
        differing = sorted(bucket for bucket in stored.keys() | made.keys() if stored.get(bucket) != made.get(bucket))
        if differing:
            if table is _EVENTS:
                await _refuse_bodies_of_schema_3(driver)
            differences += await _differing(driver, table, differing)
        if len(differences) > MOST:
            raise TooManyDifferencesError(
                f"More than {MOST:,} rows differ: too many to look at each. Run `taskexec projection rebuild`."
            )
    return Comparison(rows, differences)


async def _refuse_bodies_of_schema_3(driver: Driver) -> None:
    sql = "SELECT count() AS n FROM {} FINAL WHERE sequence = 1 AND JSONHas(payload, 'createdAt')"
    stored, made = [(await driver.query(sql.format(name)))[0]["n"] for name in (_EVENTS.name, f"{_EVENTS.name}_new")]
    if stored > made:
        raise TooManyDifferencesError(
            f"{stored:,} executions are stored as an earlier version did it: they are read, but cannot be compared. "
            "Run `taskexec projection rebuild`, which stores them anew, in less space."
        )


async def _sums(driver: Driver, table: _Compared, name: str) -> dict[int, tuple[int, int]]:
    found = await driver.query(
        f"SELECT cityHash64({table.subject}) % {_BUCKETS} AS bucket, count() AS count, sum({_HASH}) AS sum "  # noqa: S608 - our own names
        f"FROM {name} FINAL GROUP BY bucket"
    )
    return {row["bucket"]: (row["count"], row["sum"]) for row in found}


async def _differing(driver: Driver, table: _Compared, buckets: Sequence[int]) -> list[Difference]:
    sides = " UNION ALL ".join(
        f"SELECT {table.text} AS subject, toString(tuple({table.key})) AS row, {side} AS side, {_HASH} AS hash "  # noqa: S608 - as above
        f"FROM {name} FINAL WHERE cityHash64({table.subject}) % {_BUCKETS} IN {{buckets:Array(UInt64)}}"
        for side, name in ((0, table.name), (1, f"{table.name}_new"))
    )
    found = await driver.query(
        f"SELECT subject, row, countIf(side = 0) AS stored, countIf(side = 1) AS made FROM ({sides}) "  # noqa: S608 - as above
        f"GROUP BY subject, row HAVING stored != made OR uniqExact(hash) > 1 ORDER BY subject, row LIMIT {MOST + 1}",
        {"buckets": list(buckets)},
    )
    return [Difference(table.name, one["subject"], one["row"], _kind(one["stored"], one["made"])) for one in found]


def _kind(stored: int, made: int) -> Kind:
    if not stored:
        return Kind.MISSING
    return Kind.DIFFERENT if made else Kind.SURPLUS


async def repairs(driver: Driver, differences: Sequence[Difference]) -> Iterator[Statement]:
    """What is to be run, in this order, so that nothing differs any more."""
    found = await driver.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND default_kind != 'MATERIALIZED'"
    )
    columns: dict[str, list[str]] = defaultdict(list)
    for row in found:
        columns[row["table"]].append(row["name"])
    return _repairs(differences, columns)


def _repairs(differences: Sequence[Difference], columns: Mapping[str, Sequence[str]]) -> Iterator[Statement]:
    """First what is missing is written, then what is not so is deleted: answers lack nothing meanwhile."""
    subjects: dict[str, set[str]] = defaultdict(set)
    for difference in differences:
        subjects[difference.table].add(difference.subject)
    for table in _TABLES:
        about = sorted(subjects[table.name])
        hash_ = f"cityHash64(tuple({', '.join(columns[table.name])}))"  # a DELETE takes no asterisk
        for first in range(0, len(about), _AT_ONCE):
            given = {"subjects": about[first : first + _AT_ONCE]}
            right = f"{table.name}_new FINAL WHERE {table.about}"
            yield Statement(
                f"INSERT INTO {table.name} SELECT * FROM {right} {_SETTINGS}, insert_deduplicate = 0, "  # noqa: S608 - as above
                "max_partitions_per_insert_block = 0",
                given,
            )
            yield Statement(
                f"DELETE FROM {table.name} WHERE {table.about} AND {hash_} NOT IN (SELECT {hash_} FROM {right})",  # noqa: S608 - as above
                given,
            )
