"""The composition root: the one place that builds the parts and connects them."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import structlog
import uvicorn
from prometheus_client import REGISTRY, CollectorRegistry, start_http_server

from service.api.app import create_app
from service.api.commands import SOURCE
from service.clickhouse.client import ClickHouse, connect
from service.clickhouse.errors import ClickHouseSetupError, UnavailableError
from service.clickhouse.schema import create_schema
from service.client.commands import CommandClient
from service.embedded.broker import EmbeddedBroker
from service.embedded.data_dir import data_directory
from service.embedded.errors import EmbeddedError
from service.handling.handler import HandlerOptions, running_handler
from service.kafka.provisioning import ProvisioningError, ensure_topics
from service.projection.projector import Projector
from service.queries.executions import TaskExecutionQueries
from service.settings import Settings

EMBEDDED_PARTITIONS: Final = 4

OPERATOR_ERRORS: Final = (ConnectionError, ProvisioningError, ClickHouseSetupError, UnavailableError, EmbeddedError)
"""Errors whose message tells whoever runs the service all there is to know."""

log = structlog.get_logger(__name__)


class Role(StrEnum):
    """What a process does. One process may have several roles; `projector` and `api` share its ClickHouse client."""

    HANDLER = "handler"
    PROJECTOR = "projector"
    API = "api"


@dataclass(frozen=True, slots=True)
class Running:
    """What runs, and where: `queries` where there is a ClickHouse, `url` where there is an API."""

    roles: tuple[Role, ...]
    bootstrap_servers: str
    queries: TaskExecutionQueries | None
    url: str | None

    @property
    def summary(self) -> str:
        """One line for whoever started it."""
        api = f" API: {self.url}." if self.url else ""
        return f"{', '.join(self.roles)} running. Kafka: {self.bootstrap_servers}.{api}"


@asynccontextmanager
async def running_service(
    settings: Settings, roles: Collection[Role], *also: asyncio.Task[None]
) -> AsyncIterator[tuple[Running, asyncio.Task[None]]]:
    """Run these roles while the context is open.

    The task that comes with it ends only by an error, of a role or of `also`, which must end the process: nothing may
    half run.

    Raises:
        ConnectionError: Kafka or ClickHouse cannot be reached.
        ProvisioningError: the topics are not as they must be.
    """
    # Each command leaves small, long-lived objects behind; the default thresholds spend 40 % of the time on them.
    gc.set_threshold(1_000_000, 20, 50)
    async with AsyncExitStack() as stack:
        servers = settings.kafka_bootstrap_servers
        partitions = await ensure_topics(servers, settings.partitions, settings.replication_factor)
        parts = [*also]
        queries, url = None, None
        if Role.PROJECTOR in roles or Role.API in roles:
            clickhouse = connect(settings.clickhouse_dsn)
            stack.push_async_callback(clickhouse.close)
            await create_schema(clickhouse)
            queries = TaskExecutionQueries(clickhouse)
            if Role.PROJECTOR in roles:
                projector = Projector(clickhouse, servers, partitions)
                parts.append(await stack.enter_async_context(_task(projector.run(), "projector")))
            if Role.API in roles:
                task, url = await stack.enter_async_context(_serving(settings, clickhouse, queries))
                parts.append(task)
        if Role.HANDLER in roles:
            options = HandlerOptions(servers, partitions, settings.idempotency_window)
            parts.append((await stack.enter_async_context(running_handler(options))).task)
        watch = await stack.enter_async_context(_task(_first_end(parts), "roles"))
        if settings.metrics_port is not None:  # last: that it answers says that all roles are up
            stack.callback(serve_metrics(settings.http_host, settings.metrics_port))
        yield Running(tuple(sorted(roles)), servers, queries, url), watch


def serve_metrics(host: str, port: int, registry: CollectorRegistry = REGISTRY) -> Callable[[], None]:
    """Serve Prometheus metrics; what is returned stops it.

    Raises:
        ConnectionError: the port cannot be used.
    """
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise ConnectionError(
            f"Metrics cannot be served on {host}:{port}: {error.strerror}. Set another port with TASKEXEC_METRICS_PORT."
        ) from error
    return server.shutdown


async def run_roles(settings: Settings, roles: Collection[Role], started: Callable[[Running], None]) -> None:
    """Run these roles until cancelled; `started` is called when all are up.

    Raises:
        Exception: whatever made a role end.
    """
    async with running_service(settings, roles) as (running, watch):
        started(running)
        await watch


@asynccontextmanager
async def running_embedded(
    directory: Path, settings: Settings, kafka_port: int
) -> AsyncIterator[tuple[Running, asyncio.Task[None]]]:
    """Run every role on a broker and an engine of our own in this directory, while the context is open.

    Raises:
        EmbeddedError: the directory, Java, Maven or the port cannot be used.
    """
    async with AsyncExitStack() as stack:
        data = stack.enter_context(data_directory(directory))
        broker = await stack.enter_async_context(EmbeddedBroker(data, port=kafka_port))
        parts = {
            "kafka_bootstrap_servers": broker.bootstrap_servers,
            "clickhouse_dsn": f"chdb://{quote(str(data / 'clickhouse'))}",
            "partitions": EMBEDDED_PARTITIONS,
        }
        alive = await stack.enter_async_context(_task(broker.wait(), "broker"))
        service = running_service(settings.model_copy(update=parts), tuple(Role), alive)
        yield await stack.enter_async_context(service)


async def run_embedded(
    directory: Path, settings: Settings, kafka_port: int, started: Callable[[Running], None]
) -> None:
    """Run everything in this directory until cancelled; raises as `running_embedded`, or what made a part end."""
    async with running_embedded(directory, settings, kafka_port) as (running, watch):
        started(running)
        await watch


async def _first_end(parts: list[asyncio.Task[None]]) -> None:
    done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    for part in done:
        part.result()
        raise RuntimeError(f"the {part.get_name()} ended by itself")


@asynccontextmanager
async def _task(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


@asynccontextmanager
async def _serving(
    settings: Settings, clickhouse: ClickHouse, queries: TaskExecutionQueries
) -> AsyncIterator[tuple[asyncio.Task[None], str]]:
    async with CommandClient(settings.kafka_bootstrap_servers, SOURCE) as commands:

        async def kafka_answers() -> None:
            if commands.closed:
                raise ConnectionError(commands.closed)

        async def clickhouse_answers() -> None:
            await clickhouse.query("SELECT 1")

        app = create_app(commands, queries, {"kafka": kafka_answers, "clickhouse": clickhouse_answers})
        config = uvicorn.Config(
            app, host=settings.http_host, port=settings.http_port, log_config=None, access_log=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]  # signals cancel us
        with _listen(settings.http_host, settings.http_port) as listener:
            port = listener.getsockname()[1]
            async with _task(server.serve([listener]), "api") as task:
                try:
                    yield task, f"http://{settings.http_host}:{port}"
                finally:
                    server.should_exit = True
                    await asyncio.wait([task], timeout=5)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise ConnectionError(
            f"The API cannot listen on {host}:{port}: {error.strerror}. Set another port with TASKEXEC_HTTP_PORT or "
            "--http-port (0: any that is free)."
        ) from error
