"""What records on the definitions topic mean: which definition, and whether it can be used; no broker is needed."""

import json
from typing import Any

import pytest

from service.contracts.topics import DEFINITIONS_TOPIC, MAX_RECORD_BYTES
from service.definitions.records import read_definition
from service.domain.definitions import MAX_REASON
from service.kafka.records import CutValue, Record

GOOD = {"taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
BAD = {**GOOD, "inputVariables": [{"name": "x", "type": "string", "validation": {"pattern": "(?=a)"}}]}
EVENT = {"specversion": "1.0", "id": "1", "source": "/catalogue", "type": "TaskDefinitionPublished"}
STRUCTURED = (("content-type", b"application/cloudevents+json"),)


def record(value: Any, key: bytes | None = b"a:b@1.0.0", headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record(DEFINITIONS_TOPIC, 0, 7, 0, key, raw, headers)


def read(value: Any, key: bytes | None = b"a:b@1.0.0", headers: tuple[tuple[str, bytes], ...] = ()) -> Any:
    made = record(value, key, headers)
    return read_definition(made, made.value or b"")


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (BAD, b"x:y@2.0.0", "#/inputVariables/0/validation/pattern: x: its pattern is not usable: invalid perl"),
        ({"taskId": "a:b", "version": "1.0.0"}, None, "#/status: required, but missing; #/type: required"),
        ({**GOOD, "type": "oops"}, b"\xff", "#/type: must be 'ray_operator'"),
        ({**GOOD, "taskId": "oops"}, b"a:b@1.0.0", "#/taskId: "),
        (b'{"taskId":"a:b","taskId":"a:b"}', b"a:b@1.0.0", "it is not strict JSON"),
        (b"", b"a:b@1.0.0", "it is not strict JSON"),
        (b" " * (MAX_RECORD_BYTES + 1), b"a:b@1.0.0", f"{MAX_RECORD_BYTES + 1} bytes, at most {MAX_RECORD_BYTES}"),
        ({**GOOD, "inputVariables": [{}] * 1001}, None, "#/inputVariables: must have at most 1000 items"),
        (b'{"a":' * 195 + b"1" + b"}" * 195, b"a:b@1.0.0", "nested deeper than 190"),
        (None, b"a:b@1.0.0", "it is not strict JSON"),
    ],
)
def test_what_cannot_be_used_has_the_identity_of_its_body_or_else_its_key(
    value: Any, key: bytes | None, reason: str
) -> None:
    found = read(value, key)
    assert (found.definition.name, found.definition.is_published) == ("a:b 1.0.0", False)
    assert reason in found.flaw
    assert found.definition.flaw == found.flaw


@pytest.mark.parametrize("key", [None, b"", b"a:b", b"a:b@", b"@1.0.0", b"a:b@1", b"\xff@1.0.0", b"a" * 1_000_000])
def test_without_an_identity_there_is_only_a_reason(key: bytes | None) -> None:
    found = read(b"{oops", key)
    assert found.definition is None
    assert "neither its body nor its key says which definition it is" in found.flaw


def test_reasons_are_short() -> None:
    bad = [{"name": "x" * 255, "type": "oops", "required": "oops"}] * 1000
    assert len(read({**GOOD, "inputVariables": bad}).definition.flaw) == MAX_REASON


@pytest.mark.parametrize(
    ("event", "flaw"),
    [
        ({**EVENT, "data": GOOD}, None),
        ({**EVENT, "type": None, "data": GOOD}, "#/type: the attribute is required"),
        ({**EVENT, "specversion": "0.3", "data": GOOD}, "#/specversion: must be 1.0"),
        ({**EVENT, "source": 7, "data": GOOD}, "#/source: must be a string"),
        ({**EVENT, "data_base64": "e30=", "data": GOOD}, "#/data_base64: binary data is not supported"),
        (EVENT, "#: must be an object"),
        (GOOD, "#/specversion: the attribute is required"),
        ([], "#: a structured CloudEvent is an object"),
    ],
)
def test_a_structured_event_carries_the_definition_as_its_data(event: Any, flaw: str | None) -> None:
    found = read(event, headers=STRUCTURED)
    assert found.definition.name == "a:b 1.0.0"
    assert (found.flaw is None) if flaw is None else (flaw in found.flaw)


@pytest.mark.parametrize("headers", [(), (("content-type", b"application/json"),), (("content-type", b"text/plain"),)])
def test_without_its_content_type_an_event_is_not_a_structured_one(headers: Any) -> None:
    assert read(GOOD, headers=headers).flaw is None
    assert "#/taskId: required, but missing" in read({**EVENT, "data": GOOD}, headers=headers).flaw


SENSITIVE = {**GOOD, "outputVariables": [{"name": "x", "type": "string", "sensitive": True}]}
LARGE = CutValue(b"{", 9_000_000, None, "It is too large.")


@pytest.mark.parametrize(
    ("value", "sensitive"),
    [
        (GOOD, False),
        ({**GOOD, "inputVariables": [{"name": "sensitive", "type": "string"}]}, False),
        (SENSITIVE, True),
        ({**SENSITIVE, "status": "DRAFT"}, True),
        ({**SENSITIVE, "type": "oops"}, True),
        ({"inputVariables": [{"sensitive": True}]}, True),
        (b'{"sensitive":true', True),
        (LARGE, True),
        ({**GOOD, "type": "oops"}, False),
        (b"{oops", False),
    ],
)
def test_one_that_has_a_sensitive_variable_or_could_have_one_says_so(value: Any, sensitive: bool) -> None:  # noqa: FBT001 - a parameter
    assert read(value, None).sensitive is sensitive
