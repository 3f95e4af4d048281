"""The port to ClickHouse and its one implementation, for a server and for the engine in process (chdb) alike."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from service.read_model.clickhouse.errors import ClickHouseSetupError, translated

Row = dict[str, Any]

DEFAULT_MEMORY_BYTES: Final = 2 * 1024**3
"""How much memory the engine in process may use before it refuses a query."""

_READERS: Final = 4
_QUERY_SETTINGS: Final = {"max_execution_time": 30, "do_not_merge_across_partitions_select_final": 1}
_INSERT_SETTINGS: Final = {
    # A retry must reach a view that failed the first time, and must not double the one that succeeded.
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # A rebuild reads years of events in one insert; each week is a partition.
    "max_partitions_per_insert_block": 0,
}
_LEFTOVER_SECONDS: Final = 3600

T = TypeVar("T")


class ClickHouse(Protocol):
    """What the service needs of ClickHouse.

    The implementation owns connections and threads; whoever made it calls `close`, after which nothing may be
    called. All methods may be called concurrently. A cancelled call may still take effect.

    Raises:
        UnavailableError: by every method; try again later.
    """

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a SELECT, by column name; values from outside come in as `{name:Type}` parameters only."""
        ...

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], token: str | None = None
    ) -> None:
        """Insert all rows, the views' rows included; repeated with the same token it has no further effect."""
        ...

    async def command(self, sql: str) -> None:
        """Run a statement that returns nothing, such as DDL."""
        ...

    async def close(self) -> None:
        """Wait for what runs, then close everything."""
        ...


class ConnectedClickHouse:
    """`ClickHouse` over clickhouse-connect: synchronous clients, one per thread.

    A chdb client serialises its calls; several clients on one engine run side by side. So every thread has a client
    of its own. Inserts have their own thread: no queue of slow queries holds up the projection.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="clickhouse-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="clickhouse-write")
        self._local = threading.local()
        self._clients: list[Client] = []

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """See `ClickHouse`."""

        def run(client: Client) -> list[Row]:
            bound = dict(parameters or {})
            return list(client.query(sql, parameters=bound, settings=dict(_QUERY_SETTINGS)).named_results())

        return await self._run(self._readers, run)

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], token: str | None = None
    ) -> None:
        """See `ClickHouse`."""
        if not rows:
            return
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token or ""}

        def run(client: Client) -> None:
            client.insert(
                table,
                list(zip(*rows, strict=True)),
                column_names=list(columns),
                column_oriented=True,
                settings=settings,
            )

        await self._run(self._writer, run)

    async def command(self, sql: str) -> None:
        """See `ClickHouse`."""

        def run(client: Client) -> None:
            client.command(sql)

        await self._run(self._writer, run)

    async def close(self) -> None:
        """See `ClickHouse`."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for threads in (self._readers, self._writer):
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


def connect(dsn: str, *, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> ConnectedClickHouse:
    """Make the port for `chdb:///path/to/directory` or `clickhouse[s]://user:password@host:port/database`.

    Nothing is connected before the first call. One process at a time may use a chdb directory, and a process may
    use one directory at a time: the caller holds the lock. `memory_bytes` limits chdb; a server has limits of its own.

    Raises:
        ClickHouseSetupError: the DSN is not one of these, or chdb is not installed.
    """
    parts = urlsplit(dsn)
    match parts.scheme:
        case "chdb":
            return ConnectedClickHouse(_chdb(Path(unquote(parts.path)), memory_bytes))
        case "clickhouse" | "clickhouses":
            if not parts.hostname:
                raise ClickHouseSetupError("The ClickHouse DSN names no host: clickhouse://user:password@host:port/db.")
            return ConnectedClickHouse(_server(dsn, secure=parts.scheme == "clickhouses"))
        case scheme:
            raise ClickHouseSetupError(
                f"The ClickHouse DSN begins with {scheme!r}; allowed are chdb:///path/to/directory (in process) and "
                "clickhouse[s]://user:password@host:port/database (a server)."
            )


def _server(dsn: str, *, secure: bool) -> Callable[[], Client]:
    def open_client() -> Client:
        return clickhouse_connect.get_client(
            dsn=dsn,
            secure=secure,
            autogenerate_session_id=False,  # a session serves one request at a time
            form_encode_query_params=True,  # a page's ids would not fit into every proxy's URLs
            connect_timeout=5,
            send_receive_timeout=60,
        )

    return open_client


def _chdb(path: Path, memory_bytes: int) -> Callable[[], Client]:
    if not path.is_absolute() or path == Path("/"):
        raise ClickHouseSetupError(f"A chdb DSN names an absolute directory: chdb:///path/to/directory, not {path}.")
    try:
        import chdb  # noqa: F401, PLC0415 - optional: 100 MB that only the engine in process needs
    except ModuleNotFoundError as error:
        raise ClickHouseSetupError(
            "ClickHouse in process needs the extra `embedded`: pip install 'task-execution-service[embedded]', "
            "or point the DSN to a server: clickhouse://user:password@host:port/database."
        ) from error
    path.mkdir(parents=True, exist_ok=True)
    _remove_leftovers()
    options = {"max_server_memory_usage": memory_bytes}

    def open_client() -> Client:
        return clickhouse_connect.get_client(interface="chdb", path=str(path), chdb_options=options)

    return open_client


def _remove_leftovers() -> None:
    """Every chdb insert passes through a temporary file, which a killed process leaves behind for ever."""
    oldest = time.time() - _LEFTOVER_SECONDS
    for file in Path(tempfile.gettempdir()).glob("tmp????????.native"):
        with suppress(OSError):  # somebody else's, or gone
            if file.stat().st_mtime < oldest:
                file.unlink()
