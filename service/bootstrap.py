"""The composition root: the one place that builds the parts and connects them."""

from asyncio import Task
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from service.contracts.readiness import STARTING, Readiness
from service.contracts.sensitive import Seal, withhold
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.embedded.errors import EmbeddedError
from service.handling.recovery import StateLostError
from service.kafka.installation import (
    OF_ALL_ROLES,
    RECORDED,
    InstallationError,
    check_installation,
    watch_installation,
)
from service.kafka.internals.fetching import bound_fetching
from service.kafka.provisioning import ProvisioningError, ensure_topics
from service.logs import configure_logs
from service.memory import collect_seldom, give_back
from service.ports.errors import ForeignStoreError, StoreSetupError, UnavailableError
from service.ports.readiness import Check
from service.runtime.child import Up, report, run_child
from service.runtime.readiness import answers, told, until_ready
from service.runtime.running import Role, Running
from service.runtime.shared_metrics import shared_metrics
from service.runtime.supervisor import ChildEndedError, Supervisor
from service.runtime.tasks import first_end, running_task
from service.sealing import KeyRing, KeyRingError
from service.settings import Settings

if TYPE_CHECKING:
    from service.kafka.connection import Kafka
    from service.projection.rebuild import Rebuilder
    from service.queries.executions import TaskExecutionQueries
    from service.read_model.clickhouse.driver import Driver
    from service.read_model.clickhouse.store import ClickHouseStore

EMBEDDED_PARTITIONS: Final = 4

OPERATOR_ERRORS: Final = (
    ConnectionError, ProvisioningError, InstallationError, StateLostError, ForeignStoreError, StoreSetupError,
    UnavailableError, EmbeddedError, ChildEndedError, KeyRingError,
)  # fmt: skip
"""Errors whose message tells whoever runs the service all there is to know."""


@asynccontextmanager
async def running_service(settings: Settings, roles: Collection[Role], *also: Task[None]) -> AsyncIterator[Running]:
    """Run these roles while the context is open; it opens when they are ready: no partition is closed.

    An error of a role, or of `also`, ends `watch`.

    Raises:
        ConnectionError: Kafka or ClickHouse cannot be reached.
        ProvisioningError: the topics are not as they must be.
    """
    collect_seldom()
    bound_fetching()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        kafka = settings.kafka
        partitions = await ensure_topics(kafka, settings.partitions, settings.replication_factor)
        installation = await check_installation(kafka, partitions)
        parts = [*also]
        checks: dict[str, Check] = {role: told(lambda: STARTING) for role in roles if role is not Role.API}
        queries, url = None, None
        # What a role does not need is not loaded: for a handler, that is half of all.
        if Role.PROJECTOR in roles or Role.API in roles:
            store, _ = await _opened_store(settings, stack, migrating=Role.PROJECTOR in roles)
            queries = _queries(store, kafka, partitions)
            if Role.PROJECTOR in roles:
                from service.projection.housekeeping import keep_house  # noqa: PLC0415
                from service.projection.lag import watch_lag  # noqa: PLC0415
                from service.projection.projector import Projector  # noqa: PLC0415

                projector = Projector(store, kafka, partitions)
                parts.append(await enter(running_task(projector.run(), "projector")))
                checks[Role.PROJECTOR] = told(lambda: projector.readiness)
                parts.append(await enter(running_task(watch_lag(kafka, lambda: projector.next_offsets), "lag")))
                parts.append(await enter(running_task(keep_house(store, settings.retentions), "housekeeping")))
            if Role.API in roles:
                tasks, url = await _api(settings, partitions, store, queries, checks, stack)
                parts += tasks
        if settings.metrics_port is not None:
            from service.runtime.http import serving_operations  # noqa: PLC0415

            parts.append(await enter(serving_operations(settings, settings.metrics_port, checks)))
        if Role.HANDLER in roles:
            from service.handling.handler import HandlerOptions, running_handler  # noqa: PLC0415

            options = HandlerOptions(
                kafka, partitions, settings.retention, settings.state_dir, installation, seal=_seal(settings)
            )
            with kafka.answering():
                handler = await enter(running_handler(options))
            parts.append(handler.task)
            checks[Role.HANDLER] = told(handler.readiness)
        watched = RECORDED if Role.HANDLER in roles else OF_ALL_ROLES
        parts.append(await enter(running_task(watch_installation(kafka, installation, watched), "installation")))
        parts.append(await enter(running_task(give_back(), "memory")))
        watch = await enter(running_task(first_end(parts), "roles"))
        await until_ready(checks, watch)
        yield Running(tuple(sorted(roles)), kafka, queries, url, checks, watch)


async def _api(  # noqa: PLR0913, PLR0917 - all that it is made of
    settings: Settings,
    partitions: int,
    store: "ClickHouseStore",
    queries: "TaskExecutionQueries",
    checks: dict[str, Check],
    stack: AsyncExitStack,
) -> tuple[list[Task[None]], str]:
    """The tasks and the URL of the HTTP API, which adds its checks."""
    from service.api.app import create_app  # noqa: PLC0415 - see above
    from service.api.principals import SOURCE  # noqa: PLC0415
    from service.client.commands import CommandClient  # noqa: PLC0415
    from service.client.definition_following import FollowedDefinitions  # noqa: PLC0415
    from service.dispatch.dispatcher import Dispatcher  # noqa: PLC0415
    from service.live.following import LiveFollower  # noqa: PLC0415
    from service.runtime.http import hosts, serving_api  # noqa: PLC0415
    from service.web.routes import all_pages  # noqa: PLC0415

    commands = await stack.enter_async_context(CommandClient(settings.kafka, SOURCE))
    checks |= {
        "kafka": told(lambda: Readiness(not commands.closed, commands.closed or "answers")),
        "clickhouse": answers(store.ping),
    }
    claims = Dispatcher(settings.kafka, partitions, store, commands, queries.get)
    matching = await stack.enter_async_context(running_task(claims.run(), "claims"))
    definitions = FollowedDefinitions(settings.kafka)
    following = await stack.enter_async_context(running_task(definitions.run(), "definitions"))
    live = LiveFollower(settings.kafka, partitions)
    telling = await stack.enter_async_context(running_task(live.run(), "live events"))
    app = create_app(
        commands, queries, checks, hosts(settings), claims=claims, definitions=definitions, live=live,
        pages=all_pages(queries, commands, definitions, settings.principal_header),
        principal_header=settings.principal_header,
    )  # fmt: skip
    serving, url = await stack.enter_async_context(serving_api(settings, app))
    stack.callback(claims.close)  # first of all: who waits would hold up the server's end
    stack.callback(live.close)
    return [matching, following, telling, serving], url


def _seal(settings: Settings) -> Seal:
    file = settings.sensitive_key_file
    return withhold if file is None else KeyRing.read(file).seal


def _queries(store: "ClickHouseStore", kafka: "Kafka", partitions: int) -> "TaskExecutionQueries":
    from service.kafka.ends import TopicEnds  # noqa: PLC0415 - see above
    from service.queries.executions import TaskExecutionQueries  # noqa: PLC0415

    ends = TopicEnds(kafka, (EVENTS_TOPIC, REJECTIONS_TOPIC), partitions)
    return TaskExecutionQueries(store, partitions, ends=ends)


async def _opened_store(
    settings: Settings, stack: AsyncExitStack, *, migrating: bool
) -> "tuple[ClickHouseStore, Driver]":
    from service.read_model.clickhouse.connecting import connect  # noqa: PLC0415 - see above
    from service.read_model.clickhouse.schema import create_schema  # noqa: PLC0415
    from service.read_model.clickhouse.store import ClickHouseStore  # noqa: PLC0415

    driver = connect(settings.clickhouse_dsn, cluster=settings.clickhouse_cluster)
    stack.push_async_callback(driver.close)
    await create_schema(driver, migrating=migrating)
    return ClickHouseStore(driver, settings.retentions), driver


async def store_version(settings: Settings) -> str | None:
    """The version of the tables in ClickHouse; None if there are none yet. Nothing is changed.

    Raises:
        StoreSetupError: they are not ours, or older ones; or the settings do not fit them.
        UnavailableError: ClickHouse cannot be reached.
    """
    from service.read_model.clickhouse.connecting import connect  # noqa: PLC0415 - see above
    from service.read_model.clickhouse.schema import check_schema  # noqa: PLC0415

    driver = connect(settings.clickhouse_dsn, cluster=settings.clickhouse_cluster)
    try:
        return await check_schema(driver)
    finally:
        await driver.close()


@asynccontextmanager
async def running_embedded(directory: Path, settings: Settings, kafka_port: int) -> AsyncIterator[Running]:
    """Run every role on a broker and an engine of our own in this directory, while the context is open.

    Raises:
        EmbeddedError: the directory, Java, Maven or the port cannot be used.
    """
    async with (
        _embedded_parts(directory, settings, kafka_port) as (embedded, alive),
        running_service(embedded, tuple(Role), alive) as running,
    ):
        yield running


@asynccontextmanager
async def _embedded_parts(
    directory: Path, settings: Settings, kafka_port: int
) -> AsyncIterator[tuple[Settings, Task[None]]]:
    """Where those parts are, and a task that ends with the broker."""
    from service.embedded.broker import EmbeddedBroker  # noqa: PLC0415 - only what runs one pays for it
    from service.embedded.data_dir import CLICKHOUSE, data_directory  # noqa: PLC0415 - the same

    with data_directory(directory) as data:
        async with EmbeddedBroker(data, port=kafka_port) as broker, running_task(broker.wait(), "broker") as alive:
            parts = {
                "kafka_bootstrap_servers": broker.bootstrap_servers,
                "kafka_security_protocol": "PLAINTEXT",
                "clickhouse_cluster": None,
                "clickhouse_dsn": f"chdb://{quote(str(data / CLICKHOUSE))}",
                "partitions": EMBEDDED_PARTITIONS,
                "state_dir": data / "state",
            }
            yield settings.model_copy(update=parts), alive


@asynccontextmanager
async def opened_rebuilder(settings: Settings, directory: Path | None) -> AsyncIterator["Rebuilder"]:
    """What makes the read model anew, or verifies it: that of an installation, or of `up` in this directory.

    The projector of an installation may run meanwhile. `up` must not; its projector runs here.

    Raises:
        ConnectionError: Kafka or ClickHouse cannot be reached.
        StoreSetupError: there are no tables, or they are older ones.
        EmbeddedError: the directory is in use or has no data, or see `running_embedded`.
    """
    collect_seldom()
    async with AsyncExitStack() as stack:
        if directory is not None:
            from service.embedded.data_dir import refuse_unused  # noqa: PLC0415 - only what runs one pays for it

            refuse_unused(directory)
            settings, alive = await stack.enter_async_context(_embedded_parts(directory, settings, 0))
            await stack.enter_async_context(running_service(settings, {Role.PROJECTOR}, alive))
        from service.projection.rebuild import Rebuilder  # noqa: PLC0415 - only what runs it pays for it
        from service.read_model.clickhouse.second import SecondTables  # noqa: PLC0415 - the same

        bound_fetching()
        partitions = await ensure_topics(settings.kafka, settings.partitions, settings.replication_factor)
        live, driver = await _opened_store(settings, stack, migrating=False)
        yield Rebuilder(live, SecondTables(driver), settings.kafka, partitions, settings.retentions)


async def run_handlers(settings: Settings, count: int, started: Callable[[str], None]) -> None:
    """Run so many handler processes until cancelled; `started` is called, with a summary, when all are up.

    Raises:
        ChildEndedError: why a process ended.
    """
    async with AsyncExitStack() as stack:
        directory, registry = stack.enter_context(shared_metrics())
        work = partial(_handler_process, settings.model_copy(update={"metrics_port": None}))
        supervisor = Supervisor(work, count, directory, started)
        parts = [await stack.enter_async_context(running_task(supervisor.run(), "handlers"))]
        if settings.metrics_port is not None:
            from service.runtime.http import serving_operations  # noqa: PLC0415 - the same

            checks: dict[str, Check] = {Role.HANDLER: told(supervisor.readiness)}
            server = serving_operations(settings, settings.metrics_port, checks, registry)
            parts.append(await stack.enter_async_context(server))
        await first_end(parts)


def _handler_process(settings: Settings, tell: Connection) -> None:
    configure_logs(settings.log_level)

    async def work() -> None:
        async with running_service(settings, {Role.HANDLER}) as running:
            tell.send(Up(running.summary))
            await report(running.checks[Role.HANDLER], tell, running.watch)

    run_child(work, tell, OPERATOR_ERRORS)
