"""Makes the driver for what a DSN names: a server, or the engine in process (chdb)."""

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from service.ports.errors import StoreSetupError
from service.read_model.clickhouse.cluster import Cluster
from service.read_model.clickhouse.driver import Driver

DEFAULT_MEMORY_BYTES: Final = 2 * 1024**3
"""How much memory the engine in process may use before it refuses a query."""

_CACHES: Final = {
    "mark_cache_size": 64 << 20,
    "index_mark_cache_size": 16 << 20,
    "primary_index_cache_size": 16 << 20,
    "query_condition_cache_size": 16 << 20,
    "compiled_expression_cache_size": 16 << 20,
    "uncompressed_cache_size": 128 << 20,  # a page of a thousand executions takes half of it
}
"""Of the engine in process, in bytes. Its own limits are gigabytes, made for a machine that runs nothing else."""

_MERGES: Final = {"background_merges_mutations_concurrency_ratio": 8}
"""Of each thread of the engine in process. With its own two, a delete in six parts finds no place for two of them, and
looks again after a second."""

_LEFTOVER_SECONDS: Final = 3600


def connect(dsn: str, *, cluster: str | None = None, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> Driver:
    """Make the driver for `chdb:///path/to/directory` or `clickhouse[s]://user:password@host:port/database`.

    Nothing is connected before the first call. One process at a time may use a chdb directory, and a process may
    use one directory at a time: the caller holds the lock. `memory_bytes` limits chdb; a server has limits of its own.
    `cluster` is the one that the server belongs to, by the name in its configuration: the tables are spread over it.

    Raises:
        StoreSetupError: the DSN is not one of these, or not of a cluster; or chdb is not installed.
    """
    parts = urlsplit(dsn)
    match parts.scheme:
        case "chdb" if cluster is not None:
            raise StoreSetupError(
                "A ClickHouse cluster is made of servers, not of the engine in process: set CLICKHOUSE_DSN to "
                "clickhouse[s]://user:password@host:port/database, or unset TASKEXEC_CLICKHOUSE_CLUSTER."
            )
        case "chdb":
            return Driver(_chdb(Path(unquote(parts.path)), memory_bytes))
        case "clickhouse" | "clickhouses":
            if not parts.hostname:
                raise StoreSetupError("The ClickHouse DSN names no host: clickhouse://user:password@host:port/db.")
            return Driver(_server(dsn, secure=parts.scheme == "clickhouses"), _cluster(cluster, parts.path))
        case scheme:
            raise StoreSetupError(
                f"The ClickHouse DSN begins with {scheme!r}; allowed are chdb:///path/to/directory (in process) and "
                "clickhouse[s]://user:password@host:port/database (a server)."
            )


def _cluster(name: str | None, path: str) -> Cluster | None:
    if name is None:
        return None
    if not (database := unquote(path.strip("/"))):
        raise StoreSetupError(
            "On a cluster, the ClickHouse DSN must name the database, which must be there on all its servers: "
            "clickhouse://user:password@host:port/database."
        )
    return Cluster(name, database)


def _server(dsn: str, *, secure: bool) -> Callable[[], Client]:
    def open_client() -> Client:
        return clickhouse_connect.get_client(
            dsn=dsn,
            secure=secure,
            autogenerate_session_id=False,  # a session serves one request at a time
            form_encode_query_params=True,  # a page's ids would not fit into every proxy's URLs
            connect_timeout=2,
            send_receive_timeout=60,
            query_retries=0,  # whoever asks is told, and can ask again
        )

    return open_client


def _chdb(path: Path, memory_bytes: int) -> Callable[[], Client]:
    if not path.is_absolute() or path == Path("/"):
        raise StoreSetupError(f"A chdb DSN names an absolute directory: chdb:///path/to/directory, not {path}.")
    try:
        import chdb  # noqa: F401, PLC0415 - optional: 100 MB that only the engine in process needs
    except ModuleNotFoundError as error:
        raise StoreSetupError(
            "ClickHouse in process needs the extra `embedded`: pip install 'task-execution-service[embedded]', "
            "or point the DSN to a server: clickhouse://user:password@host:port/database."
        ) from error
    path.mkdir(parents=True, exist_ok=True)
    _remove_leftovers()
    options = {"max_server_memory_usage": memory_bytes, **_CACHES, **_MERGES}

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
