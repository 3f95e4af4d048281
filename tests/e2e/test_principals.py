"""Two clients behind a proxy that use the same Idempotency-Key."""

from httpx2 import ASGITransport, AsyncClient

from service.api.app import create_app
from service.api.principals import SOURCE
from service.client.commands import CommandClient
from tests.api.scripted import ScriptedQueries
from tests.handling.world import a_world

HEADER = "X-Forwarded-User"
EXECUTIONS = "/api/v1/task-executions"
EXECUTE = {"taskId": "principals:task", "taskVersion": "1.0.0", "inputs": {}}


async def test_the_same_key_is_a_command_of_each_principal(kafka: str) -> None:
    async with (
        a_world(kafka) as world,
        world.handler(),
        CommandClient(kafka, SOURCE) as commands,
        AsyncClient(
            transport=ASGITransport(create_app(commands, ScriptedQueries(), {}, principal_header=HEADER)),
            base_url="http://localhost",
        ) as http,
    ):
        await world.define({"taskId": "principals:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})

        async def execute(principal: str) -> tuple[int, str, str]:
            headers = {HEADER: principal, "Idempotency-Key": "monday"}
            response = await http.post(EXECUTIONS, json=EXECUTE, headers=headers)
            answer = response.json()
            return response.status_code, answer["id"], answer["metadata"]["createdBy"]

        anna, ben, again = [await execute(principal) for principal in ("anna", "ben", "anna")]
        assert (anna[0], ben[0], again[0]) == (201, 201, 200)
        assert anna[1] != ben[1]
        assert again[1] == anna[1]
        assert (anna[2], ben[2]) == (f"{SOURCE}/principals/anna", f"{SOURCE}/principals/ben")
