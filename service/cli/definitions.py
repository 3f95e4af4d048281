"""`taskexec definitions`: what the service that owns definitions does, for development and tests."""

import logging
from pathlib import Path
from typing import Annotated, Final

import typer

from service.cli.environment import read_kafka_settings
from service.cli.exits import CommandError, Exit
from service.cli.options import examples
from service.cli.output import write_note

DEFAULT_SERVERS: Final = "127.0.0.1:9092"

app = typer.Typer(help="Task definitions.", no_args_is_help=True)


Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="JSON or YAML; one definition or several in each.")]


@app.command(
    epilog=examples(
        "taskexec definitions validate daily_report.yaml",
        "taskexec definitions validate definitions/*.json",
    )
)
def validate(files: Files) -> None:
    """Check definitions as `publish` does, and publish nothing. Each is usable, or all that is wrong is told."""
    from service.cli.definition_files import check_definitions, refuse_flaws  # noqa: PLC0415 - as below

    checked = check_definitions(files)
    for item in checked:
        if item.definition:
            name = f"{item.definition.task_id} {item.definition.version} ({item.definition.status})"
            write_note(f"{item.place}: {name} is usable")
    refuse_flaws(checked, "There are mistakes in the files:")


@app.command(
    epilog=examples(
        "taskexec definitions publish daily_report.yaml",
        "taskexec definitions publish definitions/*.json --bootstrap-servers kafka:9092",
    )
)
def publish(
    files: Files,
    *,
    bootstrap_servers: Annotated[
        str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS", metavar="HOST:PORT,…", help="Where Kafka is.")
    ] = DEFAULT_SERVERS,
) -> None:
    """Publish definitions to Kafka. All files are checked first; if one is wrong, none is published."""
    import asyncio  # noqa: PLC0415 - what only shows help does not pay for Kafka

    from aiokafka.errors import KafkaError  # noqa: PLC0415 - as above

    from service.cli.definition_files import read_definitions  # noqa: PLC0415 - as above
    from service.client.definitions import publish_definitions  # noqa: PLC0415 - as above
    from service.kafka.internals.knocking import KafkaRefusedError  # noqa: PLC0415 - as above

    kafka = read_kafka_settings(kafka_bootstrap_servers=bootstrap_servers).kafka
    definitions = read_definitions(files)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it logs, we say better below
    try:
        asyncio.run(publish_definitions(kafka, definitions))
    except KafkaRefusedError as error:
        raise CommandError(Exit.UNAVAILABLE, str(error)) from None
    except KafkaError as error:
        raise CommandError(
            Exit.UNAVAILABLE,
            f"Kafka at {kafka.servers} did not take the definitions: {error!r}",
            "Start it with `taskexec up`, or name another one with --bootstrap-servers; then publish again.",
        ) from None
    for definition in definitions:
        write_note(f"published {definition.task_id} {definition.version} ({definition.status})")
