# ruff: noqa: S608, E501 - SQL of our own
"""Fills the tables of the read side with runs as a platform has them, made by ClickHouse itself."""

import time
from typing import Final

from rich.progress import track

from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.store import ClickHouseStore

TABLES: Final = ("task_execution_events", "task_execution_transitions", "task_executions_open")
"""Those that lists and counts read."""

DAYS: Final = 28
_CHUNK: Final = 500_000
_EVENTS: Final = "task_execution_events_in"

_RUN: Final = """
SELECT number AS n, cityHash64(n, 1) AS h1, cityHash64(n, 2) AS h2, cityHash64(n, 3) AS h3, cityHash64(n, 4) AS h4,
    reinterpretAsUUID(concat(reinterpretAsFixedString(h1), reinterpretAsFixedString(cityHash64(n, 9)))) AS id,
    {began} + intDiv(n * {span}, {runs}) AS created,
    created + 200 + h3 % 20000 AS started,
    started + multiIf(h4 % 100 = 0, h4 % 172800000, h4 % 100 < 10, h4 % 3600000, h4 % 300000) AS ended,
    multiIf(h2 % 1000 < 20, '', h2 % 1000 < 70, 'FAILURE', h2 % 1000 < 80, 'STOPPED', h2 % 1000 < 100, 'SKIPPED', 'SUCCESS')
        AS outcome,
    if(h1 % 10 = 0, 'acme:hot',
        concat('team', toString(h1 % 20), ':task', toString(toUInt32(exp2((h3 % 8000) / 1000.) * 2)))) AS task,
    concat('1.', toString(h2 % 3), '.0') AS version,
    multiIf(h4 % 20 = 1, 'scheduler', h4 % 500000 = 7, 'rare', concat('user', toString(h4 % 300))) AS creator,
    arrayFilter(t -> t != '', [if(h3 % 5 = 0, 'nightly', ''), if(h3 % 7 = 0, concat('region-', toString(h3 % 11)), ''),
        if(h3 % 400000 = 3, 'rare', ''), if(h2 % 3 = 0, concat('customer-', toString(h2 % 500)), '')]) AS labels
FROM numbers({first}, {count})
"""
_COLUMNS: Final = (
    "executionId, sequence, type, status, previousStatus, taskId, taskVersion, createdAt, startedAt, "
    "completedAt, createdBy, tags, payload, topic, partition, offset"
)
_SAME: Final = "task, version, fromUnixTimestamp64Milli(toInt64(created), 'UTC')"
_PLACE: Final = "'task-execution.events', n % 8"
_STEPS: Final = (
    # A created, a started and an ended one: payloads of about 400 bytes in all.
    f"""SELECT id, 1, 'TaskExecutionCreated', 'PENDING', NULL, {_SAME},
    NULL, NULL, creator, labels, concat('{{"taskId":"', task, '","taskVersion":"', version,
    '","createdBy":"', creator, '","tags":', toJSONString(labels), ',"resolvedInputs":{{"date":"2026-11-', leftPad(toString(n % 30), 2, '0'),
    '","source":"s3://lake/raw/customer-', toString(h2 % 500), '/part-', toString(h3 % 100000),
    '.parquet","target":"warehouse.facts_daily_', toString(h1 % 40), '","mode":"append","limit":', toString(h2 % 100000),
    ',"options":{{"retries":3,"compression":"zstd","partitions":', toString(h4 % 64), '}}}}}}'), {_PLACE}, n * 3
    FROM ({{run}}) WHERE created <= {{now}}""",
    f"""SELECT id, 2, 'TaskExecutionStarted', 'RUNNING', 'PENDING', {_SAME},
    fromUnixTimestamp64Milli(toInt64(started), 'UTC'), NULL, creator, labels, concat('{{"status":"RUNNING","startedAt":', toString(toInt64(started) - toInt64(created)),
    '}}'), {_PLACE}, n * 3 + 1
    FROM ({{run}}) WHERE started <= {{now}} AND outcome != 'SKIPPED' AND (outcome != '' OR h2 % 2)""",
    f"""SELECT id, if(outcome = 'SKIPPED', 2, 3), transform(outcome, ['SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED'],
        ['TaskExecutionSucceeded', 'TaskExecutionFailed', 'TaskExecutionStopped', 'TaskExecutionSkipped'], ''), outcome,
    if(outcome = 'SKIPPED', 'PENDING', 'RUNNING'), {_SAME},
    if(outcome = 'SKIPPED', NULL, fromUnixTimestamp64Milli(toInt64(started), 'UTC')),
    fromUnixTimestamp64Milli(toInt64(ended), 'UTC'), creator, labels,
    concat('{{"status":"', outcome, '","completedAt":', toString(toInt64(ended) - toInt64(created)), ',',
    multiIf(outcome = 'SUCCESS', concat('"outputs":{{"rows":', toString(h1 % 1000000), ',"path":"s3://lake/out/part-',
        toString(h3 % 100000), '","checksum":', toString(h4 % 1000000000), '}}}}'),
        outcome = 'FAILURE', concat('"errorMessage":"worker-', toString(h2 % 50), ' lost its connection to 10.0.',
        toString(h3 % 255), '.', toString(h4 % 255), ' after ', toString(h2 % 90), ' s"}}'),
        outcome = 'SKIPPED', '"skipReason":"upstream_failed: collect_data"}}',
        '"requestedBy":"ana","reason":"not needed"}}')), {_PLACE}, n * 3 + 2
    FROM ({{run}}) WHERE ended <= {{now}} AND outcome != ''""",
)


class StoredRuns:
    """So many runs of four weeks before `now_ms`; more can follow, evenly on."""

    def __init__(self, driver: Driver, runs: int, now_ms: int) -> None:
        self._driver = driver
        self._runs, self._span = runs, DAYS * 86_400_000
        self._began, self._next = now_ms - self._span, 0

    async def fill(self) -> None:
        """Write all of them, oldest first, with a progress bar."""
        for _ in track(range(-(-self._runs // _CHUNK)), "runs"):
            await self.more(min(_CHUNK, self._runs - self._next))

    async def more(self, count: int) -> None:
        """Write so many more, with what has happened to them by the time of the last."""
        run = _RUN.format(began=self._began, span=self._span, runs=self._runs, first=self._next, count=count)
        self._next += count
        until = self._began + max(self._span, self._next * self._span // self._runs)
        for step in _STEPS:
            select = step.replace("{run}", run).replace("{now}", f"{until}")
            await self._driver.command(
                f"INSERT INTO {_EVENTS} ({_COLUMNS}) {select} SETTINGS max_partitions_per_insert_block = 0"
            )


async def filled(driver: Driver, executions: int) -> tuple[StoredRuns, ClickHouseStore]:
    """New tables with so many executions, merged, their hours closed."""
    await create_schema(driver, migrating=True)
    runs = StoredRuns(driver, executions, int(time.time() * 1000))
    await runs.fill()
    store = ClickHouseStore(driver)
    for table in TABLES:
        await driver.command(f"OPTIMIZE TABLE {table} FINAL")
    await store.tidy()
    while await store.close_hours():
        pass
    await driver.command("OPTIMIZE TABLE task_execution_hours FINAL")  # as it is ten minutes later
    return runs, store
