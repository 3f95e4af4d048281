"""The commands that run the service: everything at once with parts of its own (`up`), or one role in production."""

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service.cli.environment import read_settings
from service.cli.exits import CommandError, Exit
from service.cli.options import examples
from service.cli.output import write_note

if TYPE_CHECKING:
    from service.runtime.running import Running
    from service.settings import Settings

PANEL: Final = "Running the service"

DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="TASKEXEC_DATA_DIR", metavar="DIR", show_default=False, help="Where data are."),
]
KafkaPort = Annotated[
    int, typer.Option("--kafka-port", min=0, max=65_535, help="The embedded broker's port; 0: any that is free.")
]
HttpPort = Annotated[
    int,
    typer.Option(
        "--http-port", envvar="TASKEXEC_HTTP_PORT", min=0, max=65_535, help="The API's port; 0: any that is free."
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes", envvar="TASKEXEC_PROCESSES", min=1, max=64, show_default="one per CPU", help="How many."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command, lines in (
        (up, ("taskexec up", "taskexec up --data-dir ~/taskexec --http-port 8081")),
        (handler, ("taskexec handler", "TASKEXEC_STATE_DIR=/var/lib/taskexec taskexec handler --processes 4")),
        (projector, ("taskexec projector", "CLICKHOUSE_DSN=clickhouse://clickhouse:8123/default taskexec projector")),
        (api, ("taskexec api", "KAFKA_BOOTSTRAP_SERVERS=kafka:9092 taskexec api")),
    ):
        app.command(rich_help_panel=PANEL, epilog=examples(*lines))(command)


def up(data_dir: DataDirOption = None, kafka_port: KafkaPort = 9092, http_port: HttpPort = 8080) -> None:
    """Run the whole service here, with a Kafka broker and a ClickHouse engine of its own, until Ctrl-C.

    Everything is kept in the data directory and found again at the next start.
    """
    from service.bootstrap import running_embedded  # noqa: PLC0415 - loads everything

    settings = read_settings(http_port=http_port)
    run(_serve(running_embedded(data_dir or default_data_dir(), settings, kafka_port)), settings.log_level)


def handler(processes: Processes = None) -> None:
    """Handle commands (KAFKA_BOOTSTRAP_SERVERS). Start as many of these as you like: they share the partitions."""
    from service.bootstrap import run_handlers  # noqa: PLC0415 - loads everything
    from service.runtime.cpus import available_cpus  # noqa: PLC0415 - seldom needed

    settings = read_settings(processes=processes)
    count = settings.processes or available_cpus()
    if count == 1:
        _run_role("handler", settings)
    else:
        run(run_handlers(settings, count, announce), settings.log_level)


def projector() -> None:
    """Write events into ClickHouse (KAFKA_BOOTSTRAP_SERVERS, CLICKHOUSE_DSN)."""
    _run_role("projector", read_settings())


def api() -> None:
    """Serve the HTTP API (KAFKA_BOOTSTRAP_SERVERS, CLICKHOUSE_DSN, TASKEXEC_HTTP_HOST, TASKEXEC_HTTP_PORT)."""
    _run_role("api", read_settings())


def _run_role(name: str, settings: "Settings") -> None:
    from service.bootstrap import running_service  # noqa: PLC0415 - loads everything
    from service.runtime.running import Role  # noqa: PLC0415 - the same

    run(_serve(running_service(settings, {Role(name)})), settings.log_level)


async def _serve(service: AbstractAsyncContextManager["Running"]) -> None:
    async with service as running:
        announce(running.summary)
        await running.watch


def announce(summary: str) -> None:
    """Say on stderr that everything is up, and where."""
    write_note(f"Ready. {summary}")


def default_data_dir() -> Path:
    """Where data are kept if nobody says."""
    from platformdirs import user_data_path  # noqa: PLC0415 - seldom needed

    return user_data_path("task-execution-service")


def run(work: Coroutine[Any, Any, None], log_level: str) -> None:
    """Run until it ends, or until SIGINT or SIGTERM cancels it; errors that an operator can mend become one clear line.

    Raises:
        CommandError: what went wrong and what to do.
    """
    from service.bootstrap import OPERATOR_ERRORS  # noqa: PLC0415 - loaded already by whoever made the work
    from service.logs import configure_logs  # noqa: PLC0415 - the same
    from service.runtime.signals import run_until_terminated  # noqa: PLC0415 - the same

    configure_logs(log_level)
    try:
        run_until_terminated(work)
    except OPERATOR_ERRORS as error:
        raise CommandError(Exit.UNAVAILABLE, str(error)) from None
