"""`taskexec definitions publish`: what the service that owns definitions does, for development and tests."""

import logging
from pathlib import Path
from typing import Annotated, Final

import typer

from service.cli.exits import CommandError, Exit
from service.cli.options import examples
from service.cli.output import write_note

DEFAULT_SERVERS: Final = "127.0.0.1:9092"

app = typer.Typer(help="Task definitions.", no_args_is_help=True)


@app.command(
    epilog=examples(
        "taskexec definitions publish daily_report.yaml",
        "taskexec definitions publish definitions/*.json --bootstrap-servers kafka:9092",
    )
)
def publish(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="JSON or YAML; one definition or several in each.")
    ],
    *,
    bootstrap_servers: Annotated[
        str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS", metavar="HOST:PORT", help="Where Kafka is.")
    ] = DEFAULT_SERVERS,
) -> None:
    """Publish definitions to Kafka. All files are checked first; if one is wrong, none is published."""
    import asyncio  # noqa: PLC0415 - what only shows help does not pay for Kafka

    from aiokafka.errors import KafkaError  # noqa: PLC0415 - as above

    from service.cli.definition_files import read_definitions  # noqa: PLC0415 - as above
    from service.client.definitions import publish_definitions  # noqa: PLC0415 - as above

    definitions = read_definitions(files)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it logs, we say better below
    try:
        asyncio.run(publish_definitions(bootstrap_servers, definitions))
    except KafkaError as error:
        raise CommandError(
            Exit.UNAVAILABLE,
            f"Kafka at {bootstrap_servers} did not take the definitions: {error!r}",
            "Start it with `taskexec up`, or name another one with --bootstrap-servers; then publish again.",
        ) from None
    for definition in definitions:
        write_note(f"published {definition.task_id} {definition.version} ({definition.status})")
