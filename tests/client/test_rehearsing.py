"""A dry run over HTTP says what the service says, and does nothing."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from uuid_utils.compat import uuid7

from service.api.principals import SOURCE
from service.contracts.topics import COMMANDS_TOPIC, DEFINITIONS_TOPIC, EVENTS_TOPIC
from service.domain.identity import command_id
from tests.client.service import DEFINITION, INPUTS, TASK, VERSION, Service, a_service
from tests.handling.world import a_world

LARGE = {
    "taskId": "client:large", "version": "1.0.0", "status": "PUBLISHED", "type": "sql",
    "inputVariables": [
        {"name": "small", "type": "string"},
        {"name": "large", "type": "string", "required": False, "defaultValue": "d" * 700_000},
    ],
}  # fmt: skip
SELF = command_id(SOURCE, "self")


def command(**fields: Any) -> dict[str, Any]:
    return {"taskId": TASK, "taskVersion": VERSION, "inputs": INPUTS} | fields


COMMANDS: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (
    (command(), {}),
    (command(tags=["nightly"], createdBy="ana", notBefore="2999-01-01T00:00:00Z"), {}),
    (command(dependsOn=[{"executionId": str(uuid7()), "node": "collect"}], retry={"maxAttempts": 2}), {}),
    (command(inputs=INPUTS | {"token": "hunter2", "top": 5}), {}),
    (command(inputs={}), {}),
    (command(inputs={"day": "today", "top": "ten", "mistyped": "hunter2"}), {}),
    (command(inputs=INPUTS | {"token": ["hunter2"]}), {}),
    (command(taskVersion="9.9.9"), {}),
    (command(taskVersion="^1.2.0"), {}),
    (command(taskId="nowhere:nothing"), {}),
    (command(taskId="nowhere", until="now"), {}),
    (command(taskVersion="2.0.0"), {}),
    (command(taskVersion="3.0.0"), {}),
    (command(dependsOn=[{"executionId": SELF, "node": "me"}]), {"Idempotency-Key": "self"}),
    (command(taskId="client:large", taskVersion="1.0.0", inputs={"small": "s" * 900_000}), {}),
)


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with a_service(tmp_path_factory.mktemp("rehearsing")) as service:
        async with a_world(service.kafka) as world:
            await world.define(DEFINITION | {"version": "2.0.0", "status": "DRAFT"}, LARGE)
            unusable = b'{"taskId": "client:report", "version": "3.0.0", "status": "PUBLISHED"}'
            await world.write(unusable, topic=DEFINITIONS_TOPIC, key=b"client:report@3.0.0")
        yield service


@pytest.mark.parametrize(("body", "headers"), COMMANDS)
async def test_it_says_what_the_service_says(service: Service, body: dict[str, Any], headers: dict[str, str]) -> None:
    url = f"{service.url}/api/v1/task-executions"
    async with a_world(service.kafka) as world, httpx2.AsyncClient(timeout=30) as http:
        before = [len(await world.read(topic)) for topic in (COMMANDS_TOPIC, EVENTS_TOPIC)]
        told = await http.post(url, params={"dryRun": "true"}, json=body, headers=headers)
        assert [len(await world.read(topic)) for topic in (COMMANDS_TOPIC, EVENTS_TOPIC)] == before
        done = await http.post(url, json=body, headers=headers)
    assert "hunter2" not in told.text
    if done.status_code == 201:
        assert told.status_code == 200
        assert without_its_own(told.json()) == without_its_own(done.json())
    else:
        assert (told.status_code, told.json()) == (done.status_code, done.json())


def without_its_own(made: dict[str, Any]) -> dict[str, Any]:
    """What two executions that are made alike have in common."""
    return made | {"id": None, "metadata": made["metadata"] | {"createdAt": None}}
