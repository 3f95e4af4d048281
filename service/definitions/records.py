"""From a record on the definitions topic to a definition, or to the reason why there is none."""

from contextlib import suppress

from msgspec import Struct
from pydantic import JsonValue, ValidationError

from service.contracts import envelope
from service.contracts.attributes import structured_attributes
from service.contracts.codec import MalformedJsonError, decode
from service.contracts.definitions import DefinitionIdentity, TaskDefinition
from service.contracts.envelope import CONTENT_TYPE, MAX_COMMAND_DEPTH
from service.contracts.problems import FieldError, field_errors
from service.contracts.topics import MAX_RECORD_BYTES
from service.domain.definitions import Definition, InvalidDefinitionError, UnusableDefinition
from service.kafka.records import CutValue, Record


class Reading(Struct, frozen=True):
    """A definition that can be used or not; None where not even its identity can be read. `flaw` says what is wrong.

    `sensitive`: it has a sensitive variable; where it cannot be used, it could be meant to.
    """

    definition: Definition | None
    flaw: str | None
    sensitive: bool


def read_definition(record: Record, value: bytes) -> Reading:
    """Read a definition: the value itself, or the `data` of a structured CloudEvent.

    One that cannot be used has the identity that its body names, or else its key (`taskId@version`).
    """
    data: JsonValue = None
    try:
        data, errors = _body(record, value)
        definition = _definition(data, errors)
        return Reading(definition, None, definition.sensitive is not None)
    except MalformedJsonError as error:
        flaw = f"{error.pointer}: it is not strict JSON: {error.detail}"
    except InvalidDefinitionError as error:
        flaw = str(error)
    sensitive = isinstance(value, CutValue) or b"sensitive" in value
    identity = _identity(data, record.key)
    if identity is None:
        return Reading(None, f"neither its body nor its key says which definition it is; {flaw}", sensitive)
    unusable = UnusableDefinition(identity.task_id, identity.version, flaw)
    return Reading(unusable, unusable.flaw, sensitive)


def is_structured(record: Record) -> bool:
    """Whether the definition is the `data` of a structured CloudEvent."""
    headers = {name.lower(): content for name, content in record.headers}
    return envelope.is_structured(headers.get(CONTENT_TYPE) or b"")


def _body(record: Record, value: bytes) -> tuple[JsonValue, list[FieldError]]:
    if isinstance(value, CutValue):
        raise MalformedJsonError(value.flaw)
    if len(value) > MAX_RECORD_BYTES:
        raise MalformedJsonError(f"{len(value)} bytes, at most {MAX_RECORD_BYTES} are allowed")
    body, errors = decode(value, MAX_COMMAND_DEPTH), list[FieldError]()
    if is_structured(record):
        _, body = structured_attributes(body, errors)
    return body, errors


def _definition(data: JsonValue, errors: list[FieldError]) -> Definition:
    if errors:
        raise InvalidDefinitionError(errors)
    try:
        source = TaskDefinition.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidDefinitionError(field_errors(error, ())) from None
    return Definition(source)


def _identity(data: JsonValue, key: bytes | None) -> DefinitionIdentity | None:
    task_id, _, version = (key or b"").decode(errors="replace").partition("@")
    for named in (data, {"taskId": task_id, "version": version}):
        with suppress(ValidationError):
            return DefinitionIdentity.model_validate(named, by_alias=True, by_name=False)
    return None
