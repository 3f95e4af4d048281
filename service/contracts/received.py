"""A CloudEvent as a consumer gets it: its attributes and its data, from binary or structured mode. Pure.

Commands are read by `envelope`, which says all that is wrong with them at once.
"""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Final, cast

from msgspec import Struct
from pydantic import JsonValue

from service.contracts.codec import decode, encode
from service.contracts.envelope import CONTENT_TYPE, STRUCTURED, TRACE_HEADERS, is_foreign, is_structured, is_trace
from service.contracts.events import AnyEvent, read_event
from service.contracts.timestamps import Timestamp

HeaderPairs = Iterable[tuple[str, bytes | str | None]]
AnyHeaders = HeaderPairs | Mapping[str, bytes | str | None]
"""Headers as Kafka's clients give them: pairs or a mapping, of bytes or text."""

_REQUIRED: Final = ("specversion", "id", "source", "type")


class CloudEvent(Struct, frozen=True):
    """Any CloudEvent 1.0. `attributes` has every one under its own name, extensions included, without a `ce_`.

    `data` is as its producer wrote it, None if there is none. `trace` holds the W3C trace headers.
    """

    attributes: dict[str, str]
    data: bytes | None
    trace: tuple[tuple[str, bytes], ...] = ()


class ReceivedEvent(Struct, frozen=True):
    """An event of an execution, and the CloudEvents attributes that it came with.

    `id` is `<executionId>/<sequence>`: what comes again has the same. `subject` is the executionId. `causation_id` and
    `causation_source` name the command that caused it. `trace` can be given to `CommandClient.submit` as it is.
    """

    event: AnyEvent
    id: str
    source: str
    type: str
    subject: str | None
    time: Timestamp | None
    causation_id: str | None
    causation_source: str | None
    trace: tuple[tuple[str, bytes], ...] = ()

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context of the causing command, if it had one."""
        return next((content.decode() for name, content in self.trace if name == "traceparent"), None)


def read_cloud_event(headers: AnyHeaders | None, value: bytes | None) -> CloudEvent:
    """The CloudEvent of a Kafka record, by the Kafka protocol binding 1.0.2.

    In structured mode the JSON format alone is read. Data in `data_base64` is decoded; JSON data comes as compact JSON.

    Raises:
        ValueError: it is no CloudEvent 1.0, or one in a format that is not JSON.
    """
    given = _by_name(headers)
    content_type = given.get(CONTENT_TYPE, b"")
    if is_structured(content_type):
        attributes, data = _structured(value)
    else:
        attributes = {name[3:]: content.decode() for name, content in given.items() if name.startswith("ce_")}
        if content_type:
            attributes["datacontenttype"] = content_type.decode()
        data = value
    if is_foreign(content_type) and "specversion" not in attributes:
        raise ValueError(f"a CloudEvent in a format that is not read: {content_type!r}; {STRUCTURED} is")
    if missing := [name for name in _REQUIRED if not attributes.get(name)]:
        raise ValueError(f"no CloudEvent: it has no {', '.join(missing)}")
    if attributes["specversion"] != "1.0":
        raise ValueError(f"a CloudEvent of version {attributes['specversion']}; 1.0 is read")
    trace = tuple((name, content) for name in TRACE_HEADERS if is_trace(content := given.get(name)))
    return CloudEvent(attributes, data, trace)


def received_event(headers: AnyHeaders | None, value: bytes | None) -> ReceivedEvent:
    """The event of a record of the events topic, whichever client consumed it. A later type is an `UnknownEvent`.

    Raises:
        ValueError: it is no event, or of a later schemaVersion, so that to read it could be to misunderstand it.
    """
    cloud_event = read_cloud_event(headers, value)
    attributes = cloud_event.attributes
    time = attributes.get("time")
    return ReceivedEvent(
        read_event(attributes["type"], cloud_event.data or b""),
        attributes["id"],
        attributes["source"],
        attributes["type"],
        attributes.get("subject"),
        None if time is None else Timestamp.parse(time),
        attributes.get("causationid"),
        attributes.get("causationsource"),
        cloud_event.trace,
    )


def type_of(headers: AnyHeaders | None, value: bytes | None) -> str:
    """The CloudEvents type alone: what a consumer of a few types needs of the others.

    Raises:
        ValueError: as of `read_cloud_event`.
    """
    given = _by_name(headers)
    if (content := given.get("ce_type")) and not is_structured(given.get(CONTENT_TYPE, b"")):
        return content.decode()
    return read_cloud_event(given, value).attributes["type"]


def _by_name(headers: AnyHeaders | None) -> dict[str, bytes]:
    pairs = cast("HeaderPairs", headers.items() if isinstance(headers, Mapping) else headers or ())
    return {
        name.lower(): content.encode() if isinstance(content, str) else content for name, content in pairs if content
    }


def _structured(value: bytes | None) -> tuple[dict[str, str], bytes | None]:
    body: JsonValue = decode(value or b"")
    if not isinstance(body, dict):
        raise ValueError("a structured CloudEvent is a JSON object")  # noqa: TRY004 - what came is wrong, not a caller
    attributes = {
        name: _text(item) for name, item in body.items() if name not in {"data", "data_base64"} and item is not None
    }
    match body.get("data_base64"), body.get("data"):
        case str() as encoded, _:
            return attributes, b64decode(encoded, validate=True)
        case _, None:
            return attributes, None
        case _, str() as text if "json" not in attributes.get("datacontenttype", "json").lower():
            return attributes, text.encode()
        case _, data:
            return attributes, encode(data)


def _text(value: JsonValue) -> str:
    """An attribute in the canonical text of its CloudEvents type."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int)):
        return str(value)
    raise ValueError(f"a CloudEvents attribute is a string, an integer or a boolean, not {encode(value).decode()}")
