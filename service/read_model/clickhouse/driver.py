"""Runs SQL in ClickHouse, in a server and in the engine in process (chdb) alike."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error
from pydantic.alias_generators import to_camel

from service.read_model.clickhouse.cluster import Cluster
from service.read_model.clickhouse.errors import translated

Row = dict[str, Any]

_READERS: Final = 4
_QUERY_SETTINGS: Final = {
    "max_execution_time": 30,
    "do_not_merge_across_partitions_select_final": 1,
    # What is indexed of a row is in all rows of its key: whoever finds one finds all, and need not look beside it.
    "use_skip_indexes_if_final_exact_mode": 0,
}
_INSERT_SETTINGS: Final = {
    # A retry must reach a view that failed the first time, and must not double the one that succeeded.
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # A rebuild reads years of events in one insert; each week is a partition.
    "max_partitions_per_insert_block": 0,
    # A fresh part is small: it is read whole, and has its indexes from its first merge on.
    "materialize_skip_indexes_on_insert": 0,
}

_MAINTENANCE_SETTINGS: Final = {"lightweight_deletes_sync": 2, "mutations_sync": 2}

T = TypeVar("T")


def columns_of(row: type[NamedTuple]) -> list[str]:
    """The columns that the fields of the row are stored in, in order."""
    return [to_camel(name) for name in row._fields]


def _run_command(client: Client, sql: str, given: dict[str, Any], settings: dict[str, Any]) -> None:
    client.command(sql, parameters=given, settings=settings)


class Driver:
    """Runs SQL over clickhouse-connect: synchronous clients, one per thread. Only the read model speaks to it.

    It owns connections and threads; whoever made it calls `close`, after which nothing may be called. All methods may
    be called concurrently. A cancelled call may still take effect.

    A chdb client serialises its calls; several clients on one engine run side by side. So every thread has a client
    of its own. Inserts have their own thread, and so has maintenance: nothing slow holds up the projection.

    On a `cluster`, the same SQL means its tables.

    Raises:
        UnavailableError: by every method; try again later.
        StoreSetupError: by every method; the user, password or database is not right.
    """

    def __init__(self, connect: Callable[[], Client], cluster: Cluster | None = None) -> None:
        self._connect = connect
        self._rewrite: Callable[[str], str] = str
        self.cluster = cluster
        self._settings: dict[str, Any] = {} if cluster is None else cluster.settings
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="clickhouse-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="clickhouse-write")
        self._maintainer = ThreadPoolExecutor(1, thread_name_prefix="clickhouse-maintain")
        self._local = threading.local()
        self._clients: list[Client] = []

    def rewriting(self, rewrite: Callable[[str], str]) -> "Driver":
        """The same driver, which rewrites each statement, and the table's name of an insert; close the first only."""
        other = copy(self)
        other._rewrite = rewrite  # noqa: SLF001 - ours
        return other

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a SELECT, by column name; values from outside come in as `{name:Type}` parameters only."""

        def run(client: Client) -> list[Row]:
            bound = dict(parameters or {})
            settings = _QUERY_SETTINGS | self._settings
            return list(client.query(self._rewrite(sql), parameters=bound, settings=settings).named_results())

        return await self._run(self._readers, run)

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], token: str | None = None
    ) -> None:
        """Insert all rows, the views' rows included; repeated with the same token it has no further effect."""
        if not rows:
            return
        settings = {**_INSERT_SETTINGS, **self._settings, "insert_deduplication_token": token or ""}

        def run(client: Client) -> None:
            held = list(zip(*rows, strict=True))
            try:
                client.insert(
                    self._rewrite(table), held, column_names=list(columns), column_oriented=True, settings=settings
                )
            finally:
                held.clear()  # clickhouse-connect keeps it in a cycle, which may be collected much later

        await self._run(self._writer, run)

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing, such as DDL."""
        await self._command(self._writer, sql, parameters, {})

    async def maintain(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that changes many rows; returns when it is done. After an error it may still be done."""
        await self._command(self._maintainer, sql, parameters, _MAINTENANCE_SETTINGS)

    async def _command(
        self, threads: ThreadPoolExecutor, sql: str, parameters: Mapping[str, Any] | None, settings: dict[str, Any]
    ) -> None:
        sql, given = self._rewrite(sql), dict(parameters or {})
        for statement in [sql] if self.cluster is None else self.cluster.statements(sql):
            await self._run(
                threads, partial(_run_command, sql=statement, given=given, settings=settings | self._settings)
            )

    async def close(self) -> None:
        """Wait for what runs, then close everything."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for threads in (self._readers, self._writer, self._maintainer):
            threads.shutdown(wait=True, cancel_futures=True)
        while self._clients:
            self._clients.pop().close()

    async def _run(self, threads: ThreadPoolExecutor, call: Callable[[Client], T]) -> T:
        def in_thread() -> T:
            try:
                return call(self._client())
            except (Error, OSError) as error:
                ours = translated(error)
                if ours is error:
                    raise
                raise ours from error

        return await asyncio.get_running_loop().run_in_executor(threads, in_thread)

    def _client(self) -> Client:
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
            self._clients.append(client)
        return client
