"""The AsyncAPI document is valid, is the one in the repository, and its examples are what they say."""

import io
import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
from filelock import FileLock
from platformdirs import user_cache_path
from pydantic import BaseModel
from ruamel.yaml import YAML

from service.contracts.asyncapi import document, write
from service.contracts.commands import COMMAND_TYPES
from service.contracts.definitions import TaskDefinition
from service.contracts.envelope import read_envelope
from service.contracts.events import EVENT_TYPES, Event, read_event
from service.contracts.examples import EXAMPLES, EXECUTION_ID, Example
from service.contracts.rejections import CommandRejected
from service.contracts.replies import CommandReply
from service.domain.identity import command_id

SPECS = "@asyncapi/specs@6.11.1"
ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = document()
MODELS: dict[str, type[BaseModel | Event]] = {
    **COMMAND_TYPES,
    **EVENT_TYPES,
    "TaskCommandReply": CommandReply,
    "TaskCommandRejected": CommandRejected,
    "TaskDefinitionPublished": TaskDefinition,
}
CASES = [pytest.param(name, example, id=name) for name, examples in EXAMPLES.items() for example in examples]


@dataclass(frozen=True)
class Record:
    """A record as a consumer gets it."""

    value: bytes
    headers: list[tuple[str, bytes]]
    topic: str = "task-execution.commands"
    partition: int = 0
    offset: int = 0


@pytest.fixture(scope="session")
def official_schema() -> dict[str, Any]:
    """The AsyncAPI initiative's own schema, from its npm package: downloaded once, then cached."""
    cache = user_cache_path("taskexec-tests", ensure_exists=True)
    archive = cache / "asyncapi-specs-6.11.1.tgz"
    with FileLock(cache / "asyncapi.lock"):
        if not archive.exists():
            with TemporaryDirectory(dir=cache) as half:
                subprocess.run(["npm", "pack", SPECS, "--silent", "--pack-destination", half], check=True, timeout=300)
                Path(half, archive.name).rename(archive)
    with tarfile.open(archive) as files:
        schema = files.extractfile("package/schemas/3.0.0-without-$id.json")
        assert schema
        content: dict[str, Any] = json.load(schema)
    return content


def schema_of(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "components": DOCUMENT["components"]}


def test_the_document_is_valid_asyncapi_3(official_schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(official_schema).validate(DOCUMENT)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(official_schema).validate({**DOCUMENT, "channels": []})


def test_every_reference_leads_somewhere() -> None:
    def follow(value: object) -> None:
        match value:
            case {"$ref": str() as reference}:
                target: Any = DOCUMENT
                for step in reference.removeprefix("#/").split("/"):
                    target = target[step]
            case dict():
                for item in value.values():
                    follow(item)
            case list():
                for item in value:
                    follow(item)
            case _:
                pass

    follow(DOCUMENT)


def test_the_file_in_the_repository_is_up_to_date() -> None:
    written = io.StringIO()
    write(written)
    assert (ROOT / "asyncapi.yaml").read_text("utf-8") == written.getvalue(), "run: make asyncapi"
    assert YAML(typ="safe").load(written.getvalue()) == DOCUMENT


def test_every_message_is_documented_with_an_example() -> None:
    messages = DOCUMENT["components"]["messages"]
    assert set(messages) == set(EXAMPLES) == set(MODELS)
    assert all(messages[name]["examples"] and messages[name]["summary"] for name in messages)


def read(name: str, body: str) -> object:
    model = MODELS[name]
    if issubclass(model, BaseModel):
        return model.model_validate_json(body, by_name=False)
    return read_event(name, body.encode())


@pytest.mark.parametrize(("name", "example"), CASES)
def test_examples_fit_their_schemas_and_our_models(name: str, example: Example) -> None:
    message = DOCUMENT["components"]["messages"][name]
    for schema, instance in ((message["payload"], example.payload), (message["headers"], example.headers)):
        jsonschema.Draft7Validator(
            schema_of(schema), format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER
        ).validate(instance)
    assert type(example.body) is MODELS[name]
    assert read(name, json.dumps(example.payload)) == example.body


@pytest.mark.parametrize("name", COMMAND_TYPES)
def test_a_command_example_is_read_as_it_is_documented(name: str) -> None:
    (example,) = EXAMPLES[name]
    headers = [(header, value.encode()) for header, value in example.headers.items()]
    envelope = read_envelope(Record(json.dumps(example.payload).encode(), headers))
    assert (envelope.type, envelope.data) == (name, example.payload)
    if name == "ExecuteTask":
        assert command_id(envelope.source, envelope.id) == EXECUTION_ID


@pytest.mark.parametrize("name", MODELS)
def test_a_payload_with_an_unknown_field_is_not_valid_unless_another_service_owns_it_or_it_is_an_event(
    name: str,
) -> None:
    payload = {**EXAMPLES[name][0].payload, "unknown": 1}
    schema = jsonschema.Draft7Validator(schema_of(DOCUMENT["components"]["messages"][name]["payload"]))
    assert schema.is_valid(payload) == (name == "TaskDefinitionPublished" or name in EVENT_TYPES)
