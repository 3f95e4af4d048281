"""service.api.completing and service.api.preferences: what commands' answers hold, and how long they may take."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from httpx2 import AsyncClient

from service.api import completing
from service.api.principals import SOURCE
from service.contracts.commands import Command
from service.contracts.problems import Code, problem, reject
from service.contracts.replies import CommandReply, Outcome
from service.domain.identity import command_id
from service.queries.answers import TaskExecutionAnswer
from tests.api.scripted import ID, PENDING, RUNNING, ScriptedCommands, ScriptedQueries, accepted

EXECUTIONS = "/api/v1/task-executions"
START = f"{EXECUTIONS}/{ID}/start"
EXECUTE = {"taskId": "sales:daily_report", "taskVersion": "1.2.0", "inputs": {}}
BARE = {name: value for name, value in RUNNING.items() if name != "resolvedInputs"}
UPSTREAM = {"executionId": "0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e01", "node": "collect"}


@pytest.fixture(autouse=True)
def _reply(commands: ScriptedCommands) -> None:
    commands.answer = accepted(BARE)


async def test_the_answer_to_a_start_holds_what_the_execution_was_made_of(
    http: AsyncClient, queries: ScriptedQueries
) -> None:
    made = PENDING | {"dependsOn": [UPSTREAM], "attempt": 2, "retryOf": ID}
    queries.executions = [made | {"status": "STOPPED", "completedAt": "2026-03-02T04:00:03.500Z"}]

    answer = (await http.post(START, json={})).json()

    told = {name: made[name] for name in ("resolvedInputs", "dependsOn", "attempt", "retryOf")}
    assert answer == BARE | told, "what came later is not told"
    assert queries.asked == [{"execution_id": ID, "min_position": None}]


async def test_an_execution_that_the_read_side_does_not_know_yet_is_waited_for(
    http: AsyncClient, queries: ScriptedQueries
) -> None:
    queries.outages = [reject(Code.EXECUTION_NOT_FOUND, "not yet")]

    assert (await http.post(START, json={})).json()["resolvedInputs"] == PENDING["resolvedInputs"]
    assert queries.asked[1] == {"execution_id": ID, "min_position": "3:1207"}


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.PROJECTION_BEHIND])
async def test_a_command_is_answered_while_the_read_side_does_not_answer(
    http: AsyncClient, queries: ScriptedQueries, code: Code
) -> None:
    queries.error = reject(code, "not now")

    response = await http.post(START, json={})

    assert (response.status_code, response.json()) == (200, BARE)


async def test_patience_with_the_read_side_is_short(
    http: AsyncClient, queries: ScriptedQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: str, **__: Any) -> TaskExecutionAnswer:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(queries, "get", never)
    monkeypatch.setattr(completing, "PATIENCE_SECONDS", 0.05)

    assert (await http.post(START, json={})).json() == BARE


async def test_dropped_payloads_are_told_as_such(http: AsyncClient, queries: ScriptedQueries) -> None:
    queries.executions = [BARE | {"payloadsDropped": True}]

    assert (await http.post(START, json={})).json() == BARE | {"payloadsDropped": True}


async def test_who_wants_a_minimal_answer_asks_nobody(http: AsyncClient, queries: ScriptedQueries) -> None:
    response = await http.post(START, json={}, headers={"Prefer": "foo; bar, return=minimal"})

    assert response.json() == BARE
    assert response.headers["Preference-Applied"] == "return=minimal"
    assert not queries.asked


async def test_a_new_execution_is_answered_without_asking(
    http: AsyncClient, commands: ScriptedCommands, queries: ScriptedQueries
) -> None:
    commands.answer = accepted()
    assert (await http.post(EXECUTIONS, json=EXECUTE)).json() == PENDING
    assert not queries.asked


class _Slow(ScriptedCommands):
    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.done = 0

    async def submit(
        self, command: Command, *, id_: str, source: str, trace: Sequence[tuple[str, bytes]] = ()
    ) -> CommandReply:
        await self.go.wait()
        self.done += 1
        return await super().submit(command, id_=id_, source=source, trace=trace)


class TestWaiting:
    @pytest.fixture
    def commands(self) -> _Slow:
        return _Slow()

    async def test_a_command_that_takes_longer_is_on_its_way(self, http: AsyncClient, commands: _Slow) -> None:
        headers = {"Prefer": "wait=0", "Idempotency-Key": "order-17"}
        response = await http.post(EXECUTIONS, json=EXECUTE, headers=headers)

        id_ = command_id(SOURCE, "order-17")
        assert (response.status_code, response.headers["Location"]) == (202, f"{EXECUTIONS}/{id_}")
        assert response.headers["Preference-Applied"] == "wait=0"
        answer = response.json()
        assert (answer["executionId"], answer["idempotencyKey"]) == (id_, "order-17")
        commands.go.set()
        while not commands.done:
            await asyncio.sleep(0)

    async def test_the_status_link_of_a_lifecycle_command_is_its_execution(self, http: AsyncClient) -> None:
        response = await http.post(START, json={}, headers={"Prefer": "wait=0"})
        assert (response.status_code, response.headers["Location"]) == (202, f"{EXECUTIONS}/{ID}")
        assert response.headers["Idempotency-Key"] == response.json()["idempotencyKey"]

    async def test_one_that_is_answered_in_time_is_answered_as_ever(self, http: AsyncClient, commands: _Slow) -> None:
        commands.go.set()
        commands.answer = CommandReply(outcome=Outcome.REJECTED, problem=problem(Code.NOT_READY, "not yet"))
        response = await http.post(START, json={}, headers={"Prefer": "wait=5"})
        assert (response.status_code, response.headers["Preference-Applied"]) == (409, "wait=5")

    @pytest.mark.parametrize("preference", ["wait", "wait=", "wait=-1", "wait=1.5", "wait=²", "respond-async"])
    async def test_what_is_no_such_preference_is_passed_over(
        self, http: AsyncClient, commands: _Slow, preference: str
    ) -> None:
        commands.go.set()
        response = await http.post(START, json={}, headers=[(b"Prefer", preference.encode("latin-1"))])
        assert response.status_code == 200
        assert "Preference-Applied" not in response.headers
