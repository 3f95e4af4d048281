"""The Kafka headers of every kind of record, as JSON Schemas: values are UTF-8 text unless they say otherwise."""

from typing import Any, Final

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.envelope import CONTENT_TYPE, CORRELATION_ID, JSON, REPLY_TO, SOURCE, STRUCTURED
from service.contracts.topics import REPLY_TOPIC

Object = dict[str, Any]

_NAME: Final[Object] = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE}

_TRACE: Final[Object] = {
    "traceparent": {"type": "string", "description": "W3C trace context, passed on to all that a command causes."},
    "tracestate": {"type": "string", "description": "W3C trace context, passed on likewise."},
}
_CORRELATION: Final[Object] = {
    CORRELATION_ID: {"type": "string", "description": "Any bytes; the reply repeats them, as its key as well."}
}
_CLOUDEVENT: Final[Object] = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_type": {**_NAME, "description": "The name of the message."},
}
_WRITTEN: Final[Object] = {
    **_CLOUDEVENT,
    "ce_id": {**_NAME, "description": "With ce_source, the identity of the record."},
    "ce_source": {"type": "string", "const": SOURCE},
    "ce_subject": {**_NAME, "description": "The executionId, where there is one."},
    "ce_time": {"type": "string", "format": "date-time", "description": "RFC 3339, UTC, in milliseconds."},
    CONTENT_TYPE: {"type": "string", "const": JSON},
    **_TRACE,
}


def _written(**more: Object) -> Object:
    required = ["ce_specversion", "ce_type", "ce_id", "ce_source", "ce_subject", "ce_time", CONTENT_TYPE]
    return {"type": "object", "required": required, "properties": {**_WRITTEN, **more}}


COMMAND_HEADERS: Final[Object] = {
    "type": "object",
    "required": ["ce_specversion", "ce_type"],
    "dependencies": {"ce_id": ["ce_source"]},
    "properties": {
        **_CLOUDEVENT,
        "ce_id": {
            **_NAME,
            "description": "With ce_source, the identity of the command: sent again, nothing is done twice. Without, "
            "the record is identified by its place: topic, partition and offset.",
        },
        "ce_source": {**_NAME, "format": "uri-reference", "description": "Who sends; the creator if none is named."},
        "ce_subject": {**_NAME, "description": "The executionId; where it is given, the body must say the same."},
        "ce_time": {"type": "string", "format": "date-time", "description": "Not read: times are the service's."},
        CONTENT_TYPE: {"type": "string", "description": f"`{JSON}`, or `{STRUCTURED}` where the value is the event."},
        **_TRACE,
        REPLY_TO: {
            "type": "string",
            "pattern": f"^{REPLY_TOPIC.pattern}$",
            "description": "The topic that the reply shall be sent to; it must exist. Without, no reply is sent.",
        },
        **_CORRELATION,
    },
}
EVENT_HEADERS: Final = _written(
    ce_causationid={**_NAME, "description": "The ce_id of the command that caused the event."},
    ce_causationsource={**_NAME, "description": "The ce_source of the command that caused the event."},
)
REPLY_HEADERS: Final = _written(**_CORRELATION)
REJECTION_HEADERS: Final = _written()
DEFINITION_HEADERS: Final[Object] = {
    "type": "object",
    "description": "None is needed: key and value say everything. Without a content type, the value is the definition.",
    "properties": {
        **_CLOUDEVENT,
        CONTENT_TYPE: {"type": "string", "description": f"`{JSON}`, or `{STRUCTURED}` where the value is the event."},
        **_TRACE,
    },
}
