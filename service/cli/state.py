"""`taskexec state`: what the handlers remember, made anew where it was lost or must move."""

from typing import Annotated

import typer

from service.cli.environment import read_settings
from service.cli.exits import CommandError, Exit
from service.cli.options import examples
from service.cli.output import write_note

app = typer.Typer(help="What the handlers remember.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """What the handlers remember."""


@app.command(epilog=examples("taskexec state rebuild", "TASKEXEC_PARTITIONS=12 taskexec state rebuild --yes"))
def rebuild(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the state topic is deleted.")] = False,
    accept_events: Annotated[
        bool, typer.Option("--accept-events", help="The events topic was restored: take it as the whole record.")
    ] = False,
) -> None:
    """Make the state topic anew from the events topic, which has all of it (KAFKA_BOOTSTRAP_SERVERS).

    For a state that was deleted or cut short, for commands that were made anew, and for more partitions: set
    TASKEXEC_PARTITIONS to their new number. All handlers must be stopped. What is killed half-way begins anew.
    """
    import asyncio  # noqa: PLC0415 - what only shows help does not pay for Kafka

    from aiokafka.errors import KafkaError  # noqa: PLC0415 - as above

    from service.bootstrap import OPERATOR_ERRORS  # noqa: PLC0415 - as above
    from service.cli.progress import steps  # noqa: PLC0415 - as above
    from service.contracts.topics import STATE_TOPIC  # noqa: PLC0415 - as above
    from service.handling.rebuild import rebuild_state  # noqa: PLC0415 - as above
    from service.handling.whole_topics import RebuildError  # noqa: PLC0415 - as above
    from service.kafka.internals.fetching import bound_fetching  # noqa: PLC0415 - as above

    settings = read_settings()
    if not yes:
        state = settings.kafka.topic(STATE_TOPIC)
        typer.confirm(f"Delete {state} at {settings.kafka.servers} and make it anew?", abort=True, err=True)
    bound_fetching()
    try:
        with steps() as tell:
            where, count = settings.kafka, settings.partitions
            executions = asyncio.run(
                rebuild_state(where, count, settings.replication_factor, tell, accept_events=accept_events)
            )
    except (RebuildError, KafkaError, *OPERATOR_ERRORS) as error:
        raise CommandError(Exit.REFUSED, str(error)) from None
    write_note(f"The state has {executions} executions again, in {count} partitions, and was verified.")
