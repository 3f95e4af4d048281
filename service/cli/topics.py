"""`taskexec topics`: the topics of the installation, over Kafka."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from service.cli.asking import Broker, asking
from service.cli.exits import CommandError, Exit
from service.cli.kafka import ask_kafka
from service.cli.options import examples
from service.cli.output import Output, Table
from service.cli.serve import PANEL

if TYPE_CHECKING:
    from service.kafka.overview import TopicState


@asking
def topics(*, broker: Broker, out: Output) -> None:
    """Show the topics in Kafka: what each is for, how much is in it, and how far the handlers are behind.

    MESSAGES are offsets, the ends of transactions included. Exit code 1 if a topic is missing, or not as it must be.
    """
    from service.kafka.overview import topic_states  # noqa: PLC0415 - what only shows help does not pay for Kafka

    states = ask_kafka(broker, topic_states, "did not tell its topics")
    out.write(
        [_document(one) for one in states],
        lambda: Table(("TOPIC", "PARTITIONS", "MESSAGES", "POLICY", "KEPT", "BEHIND", "FOR"), map(_row, states)),
    )
    if flaws := [flaw for one in states for flaw in flaws_of(one)]:
        raise CommandError(Exit.REFUSED, "The topics are not as the service needs them:", *flaws)


def flaws_of(state: "TopicState") -> tuple[str, ...]:
    """What is wrong with it, and what to do."""
    if not state.partitions:
        return (f"{state.topic.name} is not there: each role makes what is missing when it starts.",)
    return state.differences


def _document(state: "TopicState") -> dict[str, Any]:
    there = {
        "partitions": state.partitions,
        "messages": state.messages,
        "cleanupPolicy": state.policy,
        "retentionMs": state.retention_ms,
        "behind": state.behind,
    }
    found = {name: value for name, value in there.items() if value is not None} if state.partitions else {}
    flaws = list(flaws_of(state))
    return {"topic": state.topic.name, **found, "description": state.topic.description, "flaws": flaws}


def _row(state: "TopicState") -> tuple[object, ...]:
    if not state.partitions:
        return (state.topic.name, 0, *(None,) * 4, state.topic.description)
    kept = "for ever" if state.retention_ms is None else _days(timedelta(milliseconds=state.retention_ms))
    kept = "the newest" if state.policy == "compact" else kept
    return (
        state.topic.name,
        state.partitions,
        state.messages,
        state.policy,
        kept,
        state.behind,
        state.topic.description,
    )


def _days(kept: timedelta) -> str:
    return f"{kept.days} d" if kept.days else f"{kept.total_seconds() / 3600:g} h"


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = "taskexec topics", "taskexec topics -o json | jq '.[] | select(.behind > 0)'"
    app.command(rich_help_panel=PANEL, epilog=examples(*lines))(topics)
