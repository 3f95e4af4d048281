"""service.api.actions and acting: which executions an action is for, and what becomes of each."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from httpx2 import AsyncClient

from service.api import acting
from service.api.principals import SOURCE
from service.contracts.commands import Command, ExecuteTask, SkipTaskExecution, StopTaskExecution
from service.contracts.problems import Code, problem, reject
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.contracts.status import Status
from tests.api.scripted import FAILURE, ID, PENDING, ScriptedCommands, ScriptedQueries, accepted

ACTIONS = "/api/v1/task-executions/actions"
RERUN = f"/api/v1/task-executions/{ID}/rerun"
KEY = {"Idempotency-Key": "cleanup-7"}
IDS = [f"0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e{number:02}" for number in range(20)]


async def ask(http: AsyncClient, headers: dict[str, str] = KEY, **body: Any) -> tuple[int, Any]:
    response = await http.post(ACTIONS, json=body, headers=headers)
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("action", "status", "wanted"),
    [
        ("stop", [], (Status.PENDING, Status.RUNNING)),
        ("skip", [], (Status.PENDING,)),
        ("rerun", ["FAILURE", "RUNNING"], (Status.FAILURE,)),
        ("rerun", [], (Status.SUCCESS, Status.FAILURE, Status.STOPPED, Status.SKIPPED)),
    ],
)
async def test_those_that_fit_and_allow_the_action_are_told(
    http: AsyncClient, queries: ScriptedQueries, action: str, status: list[str], wanted: tuple[Status, ...]
) -> None:
    given = {"taskId": "sales:daily_report", "tag": ["nightly"], "createdFrom": "24h", "status": status}
    code, answer = await ask(http, {}, action=action, filter=given, dryRun=True, limit=2, cursor=f"17:{ID}")
    assert (code, answer) == (
        200,
        {"matched": 7, "executionIds": [ID, ID], "nextCursor": "bmV4dA", "asOf": "2026-03-02T04:01:00.000Z"},
    )
    (asked,) = queries.asked
    assert (asked["status"], asked["tag"], asked["page_size"], asked["cursor"]) == (wanted, ("nightly",), 2, f"17:{ID}")


async def test_where_no_wanted_status_allows_the_action_there_is_nobody(
    http: AsyncClient, queries: ScriptedQueries
) -> None:
    answer = await ask(http, action="skip", filter={"status": ["SUCCESS"]}, dryRun=True)
    assert answer == (200, {"matched": 0, "executionIds": []})
    assert not queries.asked


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"filter": {"taskId": "a:b"}}, "#/dryRun"),
        ({"filter": {}, "dryRun": True}, "#/filter"),
        ({"filter": {"status": [], "text": None}, "dryRun": True}, "#/filter"),
        ({"filter": {"taskID": "a:b"}, "dryRun": True}, "#/filter/taskID"),
        ({"filter": {"status": ["GONE"]}, "dryRun": True}, "#/filter/status/0"),
        ({"filter": {"taskId": "a:b"}, "dryRun": True, "executionIds": [ID]}, "#/executionIds"),
        ({}, "#/executionIds"),
        ({"dryRun": True}, "#/executionIds"),
        ({"executionIds": [ID], "limit": 1}, "#/limit"),
        ({"executionIds": [ID], "dryRun": True}, "#/dryRun"),
        ({"executionIds": [ID, ID]}, "#/executionIds"),
        ({"executionIds": []}, "#/executionIds"),
        ({"executionIds": [ID] * 1001}, "#/executionIds"),
        ({"filter": {"taskId": "a:b"}, "dryRun": True, "limit": 1001}, "#/limit"),
    ],
)
async def test_what_is_neither_a_question_nor_an_order_is_refused(
    http: AsyncClient, commands: ScriptedCommands, body: dict[str, Any], pointer: str
) -> None:
    status, answer = await ask(http, action="stop", **body)
    assert (status, answer["errors"][0]["pointer"]) == (422, pointer)
    assert not commands.submitted


async def test_an_order_needs_a_key(http: AsyncClient, commands: ScriptedCommands) -> None:
    status, answer = await ask(http, {}, action="stop", executionIds=[ID])
    assert (status, answer["errors"][0]["pointer"]) == (422, "#/header/Idempotency-Key")
    assert not commands.submitted


async def test_each_execution_gets_a_command_with_an_id_of_its_own(
    http: AsyncClient, commands: ScriptedCommands
) -> None:
    commands.answer = accepted(PENDING | {"status": "STOPPED", "completedAt": "2026-03-02T04:00:03.500Z"})
    _, answer = await ask(http, action="stop", executionIds=IDS[:2], reason="too late", requestedBy="anna")
    assert answer["items"] == [{"executionId": id_, "outcome": "accepted", "status": "STOPPED"} for id_ in IDS[:2]]
    assert [answer[name] for name in ("accepted", "duplicates", "rejected", "unanswered")] == [2, 0, 0, 0]
    assert [(sent.id, sent.source, sent.command) for sent in commands.submitted] == [
        (f"cleanup-7/{id_}", SOURCE, StopTaskExecution(execution_id=id_, reason="too late", requested_by="anna"))
        for id_ in IDS[:2]
    ]


@pytest.mark.parametrize(
    ("given", "node"),
    [
        ({"reason": "not today"}, "not today"),
        ({"requestedBy": "anna"}, "skipped by anna"),
        ({}, "skipped by an operator"),
    ],
)
async def test_a_skip_says_who_is_the_condition(
    http: AsyncClient, commands: ScriptedCommands, given: dict[str, Any], node: str
) -> None:
    await ask(http, action="skip", executionIds=[ID], **given)
    (sent,) = commands.submitted
    assert isinstance(sent.command, SkipTaskExecution)
    assert sent.command.skip_reason == f"condition_false: {node}"


async def test_a_reason_that_cannot_be_a_node_is_refused_before_anything_is_done(
    http: AsyncClient, commands: ScriptedCommands
) -> None:
    status, answer = await ask(http, action="skip", executionIds=IDS[:2], reason="two\nlines")
    assert (status, answer["errors"][0]["pointer"]) == (422, "#/reason")
    assert not commands.submitted


async def test_a_rerun_tells_the_new_execution(
    http: AsyncClient, commands: ScriptedCommands, queries: ScriptedQueries
) -> None:
    queries.executions = [FAILURE]
    commands.answer = accepted(PENDING | {"id": IDS[3]}, Outcome.DUPLICATE)
    _, answer = await ask(http, action="rerun", executionIds=[ID], requestedBy="anna")
    item = {"executionId": ID, "outcome": "duplicate", "status": "PENDING", "newExecutionId": IDS[3]}
    assert (answer["items"], answer["duplicates"]) == ([item], 1)
    (sent,) = commands.submitted
    assert (sent.id, sent.command) == (
        f"cleanup-7/{ID}",
        ExecuteTask(
            task_id="sales:daily_report", task_version="1.2.0", inputs=FAILURE["resolvedInputs"], tags=("nightly",),
            retry_of=ID, attempt=2, created_by="anna",
        ),
    )  # fmt: skip


REFUSED = problem(Code.INVALID_TRANSITION, "It is SUCCESS.", current_status=Status.SUCCESS)


@pytest.mark.parametrize(
    ("reply", "outcome", "status"),
    [
        (CommandReply(outcome=Outcome.REJECTED, problem=REFUSED), "rejected", "SUCCESS"),
        (CommandUnansweredError("Nobody answers", id_="x"), "unanswered", None),
        (reject(Code.UNAVAILABLE, "not sent"), "unanswered", None),
        (reject(Code.PAYLOAD_TOO_LARGE, "too large"), "rejected", None),
    ],
)
async def test_what_went_wrong_with_one_is_told_of_that_one(
    http: AsyncClient, commands: ScriptedCommands, reply: CommandReply | Exception, outcome: str, status: str | None
) -> None:
    commands.answer = reply
    code, answer = await ask(http, action="stop", executionIds=[ID])
    (item,) = answer["items"]
    assert (code, item["outcome"], item.get("status"), answer[outcome]) == (200, outcome, status, 1)
    assert item["problem"]["detail"]


class _Counting(ScriptedCommands):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.now, self.most, self.seconds = 0, 0, seconds

    async def submit(
        self, command: Command, *, id_: str, source: str, trace: Sequence[tuple[str, bytes]] = ()
    ) -> CommandReply:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        return await super().submit(command, id_=id_, source=source, trace=trace)


class TestMany:
    @pytest.fixture
    def commands(self) -> _Counting:
        return _Counting(0.01)

    async def test_so_many_are_in_flight(
        self, http: AsyncClient, commands: _Counting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(acting, "_IN_FLIGHT", 7)
        _, answer = await ask(http, action="stop", executionIds=IDS)
        assert (commands.most, answer["accepted"]) == (7, 20)

    async def test_what_has_not_its_turn_in_time_is_unanswered(
        self, http: AsyncClient, commands: _Counting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(acting, "_IN_FLIGHT", 5)
        monkeypatch.setattr(acting, "_SECONDS", 0.3)
        commands.seconds = 0.2
        _, answer = await ask(http, action="stop", executionIds=IDS)
        assert (answer["accepted"], answer["unanswered"]) == (5, 15)


async def test_one_is_run_again_with_edited_inputs_in_another_version(
    http: AsyncClient, commands: ScriptedCommands, queries: ScriptedQueries
) -> None:
    queries.executions = [FAILURE]
    commands.answer = accepted(PENDING | {"id": IDS[3]})
    body = {"inputs": {"day": "2026-03-02"}, "taskVersion": "1.3.0", "createdBy": "anna"}
    response = await http.post(RERUN, json=body, headers=KEY)
    assert (response.status_code, response.headers["Location"]) == (201, f"/api/v1/task-executions/{IDS[3]}")
    (sent,) = commands.submitted
    assert (sent.id, sent.command) == (
        "cleanup-7",
        ExecuteTask(
            task_id="sales:daily_report", task_version="1.3.0", tags=("nightly",), created_by="anna",
            inputs=FAILURE["resolvedInputs"] | {"day": "2026-03-02"},
        ),
    )  # fmt: skip


async def test_run_again_unchanged_it_is_another_attempt(
    http: AsyncClient, commands: ScriptedCommands, queries: ScriptedQueries
) -> None:
    queries.executions = [FAILURE | {"retryOf": IDS[1], "attempt": 2}]
    await http.post(RERUN, json={})
    (sent,) = commands.submitted
    assert isinstance(sent.command, ExecuteTask)
    assert (sent.command.retry_of, sent.command.attempt) == (IDS[1], 3)


@pytest.mark.parametrize(
    ("old", "status", "code"),
    [
        (PENDING, 409, "invalid_transition"),
        ({name: value for name, value in FAILURE.items() if name != "resolvedInputs"}, 422, "invalid_inputs"),
        (FAILURE | {"resolvedInputs": {"token": {"sealed": None}}}, 422, "invalid_inputs"),
    ],
)
async def test_what_cannot_be_run_again_is_refused(  # noqa: PLR0913, PLR0917 - fixtures and cases
    http: AsyncClient, commands: ScriptedCommands, queries: ScriptedQueries, old: dict[str, Any], status: int, code: str
) -> None:
    queries.executions = [old]
    response = await http.post(RERUN, json={})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not commands.submitted
