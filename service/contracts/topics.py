"""Every Kafka topic of the service: its name, what it holds, and how the broker must keep it."""

import re
from dataclasses import dataclass, field
from typing import Final

MAX_COMMAND_BYTES: Final = 1_048_576
"""The largest command body that is handled; a larger one (compression can hide it from the broker) is rejected."""

MAX_RECORD_BYTES: Final = 4 * MAX_COMMAND_BYTES
"""The largest record we write: a command's inputs with defaults filled in and escapes written out."""

COMMANDS_TOPIC: Final = "task-execution.commands"
EVENTS_TOPIC: Final = "task-execution.events"
STATE_TOPIC: Final = "task-execution.state"
REJECTIONS_TOPIC: Final = "task-execution.rejections"
REPLIES_TOPIC: Final = "task-execution.replies"
DEFINITIONS_TOPIC: Final = "task-definitions"
PUBLISHED_TOPIC: Final = "task-execution.published-definitions"
INSTALLATION_TOPIC: Final = "task-execution.installation"

REPLY_TOPIC: Final = re.compile(r"task-execution\.replies(\.[A-Za-z0-9._-]{1,200})?")
"""The only topics a command may name in `reply_to`; anything else could forge events or wreck the state topic."""

HANDLER_GROUP: Final = "task-execution.handlers"
"""The consumer group of the command handlers."""

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must exist.

    `owned` topics share the service's partition count: partition n of commands, events, state and rejections has one
    owner. `config` holds broker topic settings by their Kafka names; `initial` those that a new topic is given and an
    old one need not have.
    """

    name: str
    description: str
    owned: bool
    config: dict[str, str] = field(default_factory=dict[str, str])
    initial: dict[str, str] = field(default_factory=dict[str, str])


_KEPT_DAYS: Final = {COMMANDS_TOPIC: 7, REJECTIONS_TOPIC: 30, REPLIES_TOPIC: 1}


def _kept(name: str, description: str, *, owned: bool, limit: int = MAX_RECORD_BYTES) -> Topic:
    retention = str(_KEPT_DAYS[name] * DAY_MS) if name in _KEPT_DAYS else "-1"
    config = {"cleanup.policy": "delete", "retention.ms": retention, "retention.bytes": "-1"}
    return Topic(name, description, owned, config | _limits(limit))


def _compacted(name: str, description: str, *, owned: bool, **initial: str) -> Topic:
    config = {"cleanup.policy": "compact"} | _limits(MAX_RECORD_BYTES)
    return Topic(name, description, owned, config, {key.replace("_", "."): value for key, value in initial.items()})


def _limits(record_bytes: int) -> dict[str, str]:
    # By default a broker refuses what is an hour ahead of its clock: a handler whose clock is wrong would stand still.
    return {"max.message.bytes": str(record_bytes), "message.timestamp.after.max.ms": str(2**63 - 1)}


TOPICS: Final = (
    _kept(COMMANDS_TOPIC, "Commands from any client, under any key.", owned=True, limit=MAX_COMMAND_BYTES + 65_536),
    _kept(EVENTS_TOPIC, "Domain events, keyed by executionId. The record: kept for ever.", owned=True),
    _kept(REJECTIONS_TOPIC, "Commands that were refused: an RFC 9457 problem with the original record.", owned=True),
    _kept(REPLIES_TOPIC, "Answers to commands that carry reply_to and correlation_id.", owned=False),
    _compacted(
        STATE_TOPIC,
        "The handlers' changelog: the newest snapshot per executionId. Private.",
        owned=True,
        compression_type="zstd",  # by the broker, to half its size: it has the time
    ),
    _compacted(INSTALLATION_TOPIC, "Which cluster and topics the installation has, by id. Private.", owned=False),
    _kept(PUBLISHED_TOPIC, "Each published definition as the handlers met it first. Private.", owned=False),
    _compacted(DEFINITIONS_TOPIC, "Task definitions by taskId@version, from the definition service.", owned=False),
)


def reply_topic(name: str) -> Topic:
    """The topic for the replies to one program, whatever runs of it: nobody needs an old one.

    Raises:
        ValueError: no reply topic can have this name.
    """
    topic = Topic(
        f"{REPLIES_TOPIC}.{name}",
        "Answers to the commands of one program.",
        owned=False,
        config={"cleanup.policy": "delete", "retention.ms": str(HOUR_MS)} | _limits(MAX_RECORD_BYTES),
    )
    if not REPLY_TOPIC.fullmatch(topic.name):
        raise ValueError(
            f"'{name}' can't name a reply topic: give 1 to 200 letters, digits, dots, hyphens or underscores"
        )
    return topic
