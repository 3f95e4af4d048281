"""The composition root: the one place that builds the parts and connects them."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import structlog
from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry

from service.api.app import create_app, create_operations
from service.api.commands import SOURCE
from service.api.guard import Hosts
from service.api.operations import ask
from service.api.server import http_server
from service.client.commands import CommandClient
from service.contracts.readiness import STARTING, Readiness
from service.embedded.broker import EmbeddedBroker
from service.embedded.data_dir import data_directory
from service.embedded.errors import EmbeddedError
from service.handling.handler import HandlerOptions, running_handler
from service.kafka.fetching import bound_fetching
from service.kafka.provisioning import ProvisioningError, ensure_topics
from service.memory import give_back
from service.ports.errors import UnavailableError
from service.ports.read_model import ReadModel
from service.ports.readiness import Check
from service.projection.projector import Projector
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.errors import ClickHouseSetupError
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.store import ClickHouseStore
from service.settings import Settings

EMBEDDED_PARTITIONS: Final = 4
_READY_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 10.0
"""So long roles may take to be ready before it is said why they are not."""

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
    """What runs, and where: `queries` where there is a ClickHouse, `url` where there is an API.

    `checks` tell, by role or part, what it has open.
    """

    roles: tuple[Role, ...]
    bootstrap_servers: str
    queries: TaskExecutionQueries | None
    url: str | None
    checks: Mapping[str, Check]

    @property
    def summary(self) -> str:
        """One line for whoever started it."""
        api = f" API: {self.url}." if self.url else ""
        return f"{', '.join(self.roles)} running. Kafka: {self.bootstrap_servers}.{api}"


@asynccontextmanager
async def running_service(
    settings: Settings, roles: Collection[Role], *also: asyncio.Task[None]
) -> AsyncIterator[tuple[Running, asyncio.Task[None]]]:
    """Run these roles while the context is open; it opens when they are ready: no partition is closed.

    The task that comes with it ends only by an error, of a role or of `also`, which must end the process: nothing may
    half run.

    Raises:
        ConnectionError: Kafka or ClickHouse cannot be reached.
        ProvisioningError: the topics are not as they must be.
    """
    # Each command leaves small, long-lived objects behind; the default thresholds spend 40 % of the time on them.
    gc.set_threshold(1_000_000, 20, 50)
    bound_fetching()
    async with AsyncExitStack() as stack:
        servers = settings.kafka_bootstrap_servers
        partitions = await ensure_topics(servers, settings.partitions, settings.replication_factor)
        parts = [*also]
        checks: dict[str, Check] = {role: _told(lambda: STARTING) for role in roles if role is not Role.API}
        queries, url = None, None
        if Role.PROJECTOR in roles or Role.API in roles:
            driver = connect(settings.clickhouse_dsn)
            stack.push_async_callback(driver.close)
            await create_schema(driver, migrating=Role.PROJECTOR in roles)
            store = ClickHouseStore(driver)
            queries = TaskExecutionQueries(store, partitions)
            if Role.PROJECTOR in roles:
                projector = Projector(store, servers, partitions)
                parts.append(await stack.enter_async_context(_task(projector.run(), "projector")))
                checks[Role.PROJECTOR] = _told(lambda: projector.readiness)
            if Role.API in roles:
                task, url = await stack.enter_async_context(_serving(settings, store, queries, checks))
                parts.append(task)
        if settings.metrics_port is not None:
            server = serving_operations(settings, settings.metrics_port, checks)
            parts.append(await stack.enter_async_context(server))
        if Role.HANDLER in roles:
            options = HandlerOptions(servers, partitions, settings.idempotency_window)
            handler = await stack.enter_async_context(running_handler(options))
            parts.append(handler.task)
            checks[Role.HANDLER] = _told(handler.readiness)
        parts.append(await stack.enter_async_context(_task(give_back(), "memory")))
        watch = await stack.enter_async_context(_task(_first_end(parts), "roles"))
        await _until_ready(checks, watch)
        yield Running(tuple(sorted(roles)), servers, queries, url, checks), watch


def _told(readiness: Callable[[], Readiness]) -> Check:
    async def check() -> Readiness:
        return readiness()

    return check


async def _until_ready(checks: Mapping[str, Check], watch: asyncio.Task[None]) -> None:
    """Return once the roles are ready; raises what ends one of them before."""
    told_at = asyncio.get_running_loop().time()
    while True:
        answers = {name: await ask(check) for name, check in checks.items()}
        flaws = {name: answer.detail for name, answer in answers.items() if not answer.ready}
        if not flaws:
            return
        done, _ = await asyncio.wait([watch], timeout=_READY_POLL_SECONDS)
        if done:
            watch.result()
        if asyncio.get_running_loop().time() > told_at + _PATIENCE_SECONDS:
            told_at = asyncio.get_running_loop().time()
            log.warning("not_ready_yet", **flaws)


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
    settings: Settings, read_model: ReadModel, queries: TaskExecutionQueries, checks: dict[str, Check]
) -> AsyncIterator[tuple[asyncio.Task[None], str]]:
    async with CommandClient(settings.kafka_bootstrap_servers, SOURCE) as commands:

        async def kafka_answers() -> Readiness:
            return Readiness(ready=not commands.closed, detail=commands.closed or "answers")

        async def clickhouse_answers() -> Readiness:
            await read_model.ping()
            return Readiness(ready=True, detail="answers")

        checks |= {"kafka": kafka_answers, "clickhouse": clickhouse_answers}
        app = create_app(commands, queries, checks, _hosts(settings))
        hint = "Set another port with TASKEXEC_HTTP_PORT or --http-port (0: any that is free)."
        async with _serve(app, settings.http_host, settings.http_port, hint) as (task, port):
            yield task, f"http://{settings.http_host}:{port}"


def _hosts(settings: Settings) -> Hosts:
    return Hosts(frozenset({settings.http_host.lower(), *settings.allowed_hosts}), settings.trust_network)


@asynccontextmanager
async def serving_operations(
    settings: Settings, port: int, checks: Mapping[str, Check], registry: CollectorRegistry = REGISTRY
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve metrics and readiness, for a process that has no API, while the context is open.

    Raises:
        ConnectionError: the port cannot be used.
    """
    app = create_operations(checks, registry, _hosts(settings))
    async with _serve(app, settings.http_host, port, "Set another port with TASKEXEC_METRICS_PORT.") as (task, _):
        yield task


@asynccontextmanager
async def _serve(app: FastAPI, host: str, port: int, hint: str) -> AsyncIterator[tuple[asyncio.Task[None], int]]:
    server = http_server(app, host, port)
    with _listen(host, port, hint) as listener:
        async with _task(server.serve([listener]), "http server") as task:
            try:
                yield task, listener.getsockname()[1]
            finally:
                server.should_exit = True
                await asyncio.wait([task], timeout=5)


def _listen(host: str, port: int, hint: str) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConnectionError(f"Nothing can listen on {host}:{port}: {reason}. {hint}") from error
