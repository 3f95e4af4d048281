"""The AsyncAPI 3.0 document, made from the registries: `python -m service.contracts.asyncapi > asyncapi.yaml`."""

import sys
from collections.abc import Iterable
from inspect import cleandoc
from typing import Any, Final, TextIO

import msgspec
from msgspec.json import schema_components
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from ruamel.yaml import YAML

from service.contracts.commands import COMMAND_TYPES
from service.contracts.definitions import DEFINITION_TYPE, TaskDefinition, definition_key
from service.contracts.envelope import CORRELATION_ID, JSON, REPLY_TO
from service.contracts.events import EVENT_TYPES, Event
from service.contracts.examples import EXAMPLES
from service.contracts.headers import (
    COMMAND_HEADERS,
    DEFINITION_HEADERS,
    EVENT_HEADERS,
    REJECTION_HEADERS,
    REPLY_HEADERS,
)
from service.contracts.model import UUID_PATTERN
from service.contracts.rejections import REJECTION_TYPE, CommandRejected
from service.contracts.replies import REPLY_TYPE, CommandReply
from service.contracts.timestamps import schema_hook
from service.contracts.topics import (
    COMMANDS_TOPIC,
    DEFINITIONS_TOPIC,
    EVENTS_TOPIC,
    HANDLER_GROUP,
    REJECTIONS_TOPIC,
    REPLIES_TOPIC,
    TOPICS,
    Topic,
)

Object = dict[str, Any]

CONTRACT_VERSION: Final = "2.2.0"
"""The version of the wire contract: a new major version where something that was valid no longer is."""

_BINDING_VERSION: Final = "0.5.0"
_CHANNELS: Final = {
    COMMANDS_TOPIC: "commands",
    EVENTS_TOPIC: "events",
    REPLIES_TOPIC: "replies",
    REJECTIONS_TOPIC: "rejections",
    DEFINITIONS_TOPIC: "definitions",
}
"""The topics that others use, with their names in the document. The state topic is private, so it is not there."""

_MESSAGES: Final[dict[str, dict[str, type[BaseModel | Event]]]] = {
    COMMANDS_TOPIC: {**COMMAND_TYPES},
    EVENTS_TOPIC: {**EVENT_TYPES},
    REPLIES_TOPIC: {REPLY_TYPE: CommandReply},
    REJECTIONS_TOPIC: {REJECTION_TYPE: CommandRejected},
    DEFINITIONS_TOPIC: {DEFINITION_TYPE: TaskDefinition},
}
_HEADERS: Final[dict[str, tuple[str, Object]]] = {
    COMMANDS_TOPIC: ("CommandHeaders", COMMAND_HEADERS),
    EVENTS_TOPIC: ("EventHeaders", EVENT_HEADERS),
    REPLIES_TOPIC: ("ReplyHeaders", REPLY_HEADERS),
    REJECTIONS_TOPIC: ("RejectionHeaders", REJECTION_HEADERS),
    DEFINITIONS_TOPIC: ("DefinitionHeaders", DEFINITION_HEADERS),
}
_KEYS: Final[dict[str, Object]] = {
    COMMANDS_TOPIC: {
        "description": "Anything, but one key for all commands of an execution: under different ones they may overtake "
        "each other. The executionId saves a hop to its owner.",
    },
    EVENTS_TOPIC: {"description": "The executionId.", "pattern": UUID_PATTERN},
    REPLIES_TOPIC: {"description": f"The command's {CORRELATION_ID}."},
    REJECTIONS_TOPIC: {"description": "The key of the refused record."},
    DEFINITIONS_TOPIC: {
        "description": "`taskId@version`.", "examples": [definition_key("sales:daily_report", "1.2.0")],
    },
}  # fmt: skip
_INFO: Final = """
    The system of record for every run of every task: it takes commands, publishes domain events, and answers.

    Every record is a CloudEvent 1.0. The service writes binary mode (attributes in `ce_*` headers, JSON in the value)
    and reads binary and structured mode (`content-type: application/cloudevents+json`).

    **Identity is idempotency.** `ce_source` and `ce_id` together name one command of an execution; of an ExecuteTask,
    the executionId is the UUIDv5 of both. The same command sent again changes nothing and gets the same answer; with
    another type or payload, for the same execution, it is rejected.

    **Order.** The commands that a client sends under one key are handled in order. Use one key for all commands of an
    execution, whatever it is, or wait for the reply to one before the next.

    Every command ends as exactly one event, one rejection, or a duplicate of one that was accepted before; only a
    heartbeat that tells of nothing new is no event. A reply is sent where the command carries a `reply_to` header.

    **Sensitive values.** A value of a variable that its definition marks as `sensitive` is in clear in commands only.
    Whatever the service writes has an object in its place: `{"sealed": "<compact JWE>"}` (RFC 7516, `dir`, `A256GCM`),
    which opens with the key of the installation, or `{"sealed": null}`. `TaskExecutionCreated` names these variables.

    **Names.** Where installations share a Kafka, each has a prefix that stands before the names of its topics and of
    its group, in `reply_to` as well.
"""


def document() -> Object:
    """The document, as plain JSON values."""
    topics = [topic for topic in TOPICS if topic.name in _CHANNELS]
    models = [model for messages in _MESSAGES.values() for model in messages.values() if issubclass(model, BaseModel)]
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    _, event_schemas = schema_components(
        EVENT_TYPES.values(), schema_hook=schema_hook, ref_template="#/components/schemas/{name}"
    )
    plain = msgspec.json.decode(msgspec.json.encode(event_schemas))  # a default that is a tuple is an array
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Task execution service",
            "version": CONTRACT_VERSION,
            "description": cleandoc(_INFO),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "channels": {_CHANNELS[topic.name]: _channel(topic) for topic in topics},
        "operations": _operations(),
        "components": {
            "schemas": dict(sorted({**plain, **schemas["$defs"], **dict(_HEADERS.values())}.items())),
            "messages": {
                name: _message(topic, name, model)
                for topic, messages in _MESSAGES.items()
                for name, model in messages.items()
            },
            "correlationIds": {
                "correlationId": {
                    "description": "Any bytes of the client; the reply repeats them.",
                    "location": f"$message.header#/{CORRELATION_ID}",
                }
            },
        },
    }


def _channel(topic: Topic) -> Object:
    config: Object = {name: int(value) for name, value in topic.config.items() if name != "cleanup.policy"}
    config["cleanup.policy"] = topic.config["cleanup.policy"].split(",")
    kafka = {"topic": topic.name, "topicConfiguration": config, "bindingVersion": _BINDING_VERSION}
    channel: Object = {
        "address": topic.name,
        "description": topic.description,
        "messages": {name: _ref("components", "messages", name) for name in _MESSAGES[topic.name]},
        "bindings": {"kafka": kafka},
    }
    if topic.name == REPLIES_TOPIC:  # AsyncAPI: null where a reply object names the address
        names = f"The client names it: `{REPLIES_TOPIC}`, or `{REPLIES_TOPIC}.<name>` that exists already."
        channel |= {"address": None, "description": f"{topic.description} {names}"}
    return channel


def _operations() -> Object:
    group = {"groupId": {"type": "string", "const": HANDLER_GROUP}, "bindingVersion": _BINDING_VERSION}
    reply = {
        "address": {"location": f"$message.header#/{REPLY_TO}", "description": "No header, no reply."},
        "channel": _ref("channels", "replies"),
        "messages": [_ref("channels", "replies", "messages", REPLY_TYPE)],
    }
    received = {
        name[0].lower() + name[1:]: {
            **_operation("receive", COMMANDS_TOPIC, [name], _doc(model)),
            "reply": reply,
            "bindings": {"kafka": group},
        }
        for name, model in COMMAND_TYPES.items()
    }
    return {
        **received,
        "publishEvents": _operation(
            "send", EVENTS_TOPIC, EVENT_TYPES, "What happened, in the transaction that consumes the command."
        ),
        "publishRejections": _operation("send", REJECTIONS_TOPIC, [REJECTION_TYPE], _doc(CommandRejected)),
        "readDefinitions": _operation(
            "receive", DEFINITIONS_TOPIC, [DEFINITION_TYPE], "Every instance reads the whole topic, without a group."
        ),
    }


def _operation(action: str, topic: str, messages: Iterable[str], summary: str) -> Object:
    channel = _CHANNELS[topic]
    return {
        "action": action,
        "channel": _ref("channels", channel),
        "summary": summary,
        "messages": [_ref("channels", channel, "messages", name) for name in messages],
    }


def _message(topic: str, name: str, model: type[BaseModel | Event]) -> Object:
    message: Object = {
        "name": name,
        "title": name,
        "summary": _doc(model),
        "contentType": JSON,
        "headers": {
            "type": "object",
            "allOf": [_ref("components", "schemas", _HEADERS[topic][0])],
            "properties": {"ce_type": {"type": "string", "const": name}},
        },
        "payload": _ref("components", "schemas", model.__name__),
        "bindings": {"kafka": {"key": {"type": "string", **_KEYS[topic]}, "bindingVersion": _BINDING_VERSION}},
        "examples": [{"headers": example.headers, "payload": example.payload} for example in EXAMPLES[name]],
    }
    if topic in {COMMANDS_TOPIC, REPLIES_TOPIC}:
        message["correlationId"] = _ref("components", "correlationIds", "correlationId")
    return message


def _doc(model: type[BaseModel | Event]) -> str:
    return " ".join(cleandoc(model.__doc__ or "").split())


def _ref(*steps: str) -> Object:
    return {"$ref": "/".join(("#", *steps))}


def write(target: TextIO) -> None:
    """Write the document as YAML, the same bytes every time."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output, yaml.width = False, False, 120
    yaml.representer.ignore_aliases = _always
    yaml.representer.yaml_representers = {**yaml.representer.yaml_representers, str: _text}
    yaml.dump(document(), target)


def _always(_: object) -> bool:
    return True


def _text(representer: Any, text: str) -> Any:  # noqa: ANN401 - ruamel has no public types for it
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


if __name__ == "__main__":
    write(sys.stdout)
