"""A second set of tables beside those in use (docs/adr/0028): their names with `_new`, filled by views of its own."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from service.ports.errors import StoreSetupError
from service.ports.second_store import Comparison, Difference
from service.read_model.clickhouse.comparing import compare, repairs
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.hour_keeper import HourKeeper
from service.read_model.clickhouse.schema import schema_statements
from service.read_model.clickhouse.store import ClickHouseStore

TABLES: Final = (
    "task_command_rejections",
    "task_executions_open",
    "task_execution_events",
    "task_execution_dependencies",
    "task_execution_transitions",
)
"""In the order in which they are put in place: an execution has its events before it is listed."""

_HOURS: Final = ("task_execution_hours_closed", "task_execution_hours")
"""What is counted of these tables: they come with them."""

_ENTRANCE: Final = "task_execution_events_in"
_FILLERS: Final = tuple(f"{name}_filler" for name in TABLES[1:])
_OURS: Final = re.compile(rf"\b({'|'.join((_ENTRANCE, *_FILLERS, *TABLES, *_HOURS))})\b")
_FILLER: Final = re.compile(r"\b(\w+)_filler TO (\w+)\b")


def renamed(sql: str) -> str:
    """The same statement on the second tables."""
    return _OURS.sub(r"\1_new", sql)


class SecondTables:
    """`SecondStore` in the database of the tables in use."""

    def __init__(self, driver: Driver, clock: Callable[[], float] = time.time) -> None:
        self._driver = driver
        self._clock = clock
        self._second = ClickHouseStore(driver.rewriting(renamed), clock=clock)
        self.insert_events = self._second.insert_events
        self.insert_rejections = self._second.insert_rejections
        self.drop_finished = self._second.drop_finished
        self.drop_payloads = self._second.drop_payloads
        self.drop_rejections = self._second.drop_rejections

    async def make(self) -> None:
        """See `SecondStore`."""
        if self._driver.cluster is not None:
            raise StoreSetupError(
                "On a ClickHouse cluster, nothing is made anew beside what is in use. Let a projector fill another "
                "database, and point the API to that."
            )
        await self.remove()
        statements = [sql for sql in schema_statements() if _OURS.search(sql)]
        for sql in statements:
            await self._driver.command(renamed(sql))
        # And from what is projected meanwhile, wherever that happens.
        for sql in statements:
            if _FILLER.search(sql):
                await self._driver.command(_FILLER.sub(r"\1_live TO \2_new", sql))
        rejections = TABLES[0]
        await self._driver.command(
            f"CREATE MATERIALIZED VIEW {rejections}_live TO {rejections}_new AS SELECT * FROM {rejections}"  # noqa: S608 - our own names
        )

    async def carry_over(self, begins: Mapping[tuple[str, int], int]) -> None:
        """See `SecondStore`; of an execution that began before, everything."""
        rejections, *others = TABLES
        older = " OR ".join(
            f"(topic = '{topic}' AND partition = {partition} AND offset < {begin})"
            for (topic, partition), begin in begins.items()
        )
        if not older:
            return
        began = f"SELECT executionId FROM task_execution_events WHERE {older}"  # noqa: S608 - our own names and numbers
        for table, where in ((rejections, older), *((table, f"executionId IN ({began})") for table in others)):
            await self._driver.command(
                f"INSERT INTO {table}_new SELECT * FROM {table} FINAL WHERE {where} "  # noqa: S608 - as above
                "SETTINGS max_partitions_per_insert_block = 0"
            )

    async def put_in_place(self) -> None:
        """See `SecondStore`; what is counted of either is used no more, by nobody."""
        # Hours that are being counted now may be marked in the others: as counted before these were opened.
        opened = await HourKeeper(self._driver, self._clock).open_all()
        await HourKeeper(self._driver.rewriting(renamed), self._clock).open_all(opened)
        for table in (*_HOURS, *TABLES):
            await self._driver.command(f"EXCHANGE TABLES {table} AND {table}_new")

    async def compare(self) -> Comparison:
        """See `SecondStore`."""
        return await compare(self._driver)

    async def repair(self, differences: Sequence[Difference]) -> None:
        """See `SecondStore`."""
        keeper = HourKeeper(self._driver, self._clock)
        for statement in await repairs(self._driver, differences):
            await keeper.open_for(0)  # anew where it takes long: hours that are quiet are counted
            await self._driver.maintain(*statement)

    async def remove(self) -> None:
        """See `SecondStore`; first what else writes to it."""
        for table in TABLES:
            await self._driver.command(f"DROP VIEW IF EXISTS {table}_live")
        for view in _FILLERS:
            await self._driver.command(f"DROP VIEW IF EXISTS {view}_new")
        for table in (_ENTRANCE, *TABLES, *_HOURS):
            await self._driver.command(f"DROP TABLE IF EXISTS {table}_new SYNC")
