"""Work over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from service.api.app import create_app
from service.api.principals import SOURCE
from service.contracts.replies import CommandUnansweredError
from tests.api.scripted import ID, RUNNING, ScriptedClaims, ScriptedCommands, ScriptedQueries

CLAIMS = "/api/v1/task-execution-claims"
BODY: dict[str, Any] = {
    "owner": "worker-7", "lease": "PT30S", "tasks": [{"taskId": "sales:daily_report", "version": ">=1.2"}], "wait": 20,
}  # fmt: skip


async def test_work_is_the_whole_execution_and_where_its_start_is(http: AsyncClient, claims: ScriptedClaims) -> None:
    answer = await http.post(CLAIMS, json=BODY)
    assert (answer.status_code, answer.json()) == (200, RUNNING)
    assert answer.headers["Task-Execution-Position"] == "3:1208"
    ((wanted, source),) = claims.wanted
    assert (wanted.owner, wanted.lease, wanted.wait, source) == ("worker-7", timedelta(seconds=30), 20, SOURCE)
    assert [(task.task_id, task.version) for task in wanted.tasks] == [("sales:daily_report", ">=1.2")]


async def test_no_work_is_no_content(http: AsyncClient, claims: ScriptedClaims) -> None:
    claims.answer = None
    answer = await http.post(CLAIMS, json=BODY)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"lease": "PT0S"}, "#/lease"),
        ({"lease": 30}, "#/lease"),
        ({"wait": 61}, "#/wait"),
        ({"wait": "5"}, "#/wait"),
        ({"owner": ""}, "#/owner"),
        ({"tasks": [{"taskId": "report"}]}, "#/tasks/0/taskId"),
        ({"tasks": [{"taskId": "sales:report", "version": "latest"}]}, "#/tasks/0/version"),
        ({"tasks": [{"taskId": "sales:report"}] * 1_001}, "#/tasks"),
        ({"more": 1}, "#/more"),
    ],
)
async def test_what_is_wrong_is_said(http: AsyncClient, change: dict[str, Any], pointer: str) -> None:
    answer = await http.post(CLAIMS, json=BODY | change)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_start_that_is_not_answered_is_said(http: AsyncClient, claims: ScriptedClaims) -> None:
    claims.answer = CommandUnansweredError("No reply came within 30 s", id_="x", source="/y")
    assert (await http.post(CLAIMS, json=BODY)).json()["code"] == "unavailable"


async def test_nothing_is_claimed_for_who_has_hung_up(app: FastAPI, claims: ScriptedClaims) -> None:
    claims.seconds = 60
    gone = asyncio.Event()
    scope = {
        "type": "http", "method": "POST", "path": CLAIMS, "raw_path": CLAIMS.encode(), "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")], "http_version": "1.1",
        "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    messages = [{"type": "http.request", "body": b'{"owner":"w","lease":"PT1S","tasks":[]}', "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        pass

    serving = asyncio.create_task(app(scope, receive, send))
    while not claims.wanted:
        await asyncio.sleep(0.01)
    gone.set()
    await asyncio.wait_for(serving, 5)
    assert claims.cancelled == 1


async def test_ends_are_awaited(http: AsyncClient, claims: ScriptedClaims) -> None:
    answer = await http.post("/api/v1/task-execution-ends", json={"executionIds": [ID.upper()], "wait": 3})
    assert (answer.status_code, answer.json()) == (200, {"items": [{"id": ID, "status": "STOPPED"}]})
    assert [(awaited.execution_ids, awaited.wait) for awaited in claims.awaited] == [((ID,), 3)]
    for ids in (["x"], [ID] * 1_001):
        assert (await http.post("/api/v1/task-execution-ends", json={"executionIds": ids})).status_code == 422


async def test_who_calls_is_who_claims() -> None:
    claims = ScriptedClaims()
    app = create_app(ScriptedCommands(), ScriptedQueries(), {}, claims=claims, principal_header="X-User")
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as http:
        assert (await http.post(CLAIMS, json=BODY)).status_code == 403
        assert (await http.post(CLAIMS, json=BODY, headers={"X-User": "anna"})).status_code == 200
    assert [source for _, source in claims.wanted] == [f"{SOURCE}/principals/anna"]
