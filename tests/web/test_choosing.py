"""service/web/choosing.py: what the list's form does without scripts."""

from typing import Any

import httpx2
import pytest

from service.contracts.commands import StopTaskExecution
from service.contracts.problems import Code, problem
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from tests.api.scripted import ScriptedCommands
from tests.web.served import HOSTILE, Page, serving

IDS = [f"0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e{number:02}" for number in range(2)]
CHOICE = {"action": "stop", "executionId": IDS}
PATH = "/executions?tag=nightly&cursor=1767225600000:0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11"


async def sent(form: dict[str, Any], commands: ScriptedCommands, status: int = 200) -> Page:
    async with serving(None, commands) as http:
        answer: httpx2.Response = await http.post(PATH, data=form)
    assert answer.status_code == status, answer.text
    shown = Page(answer.text)
    shown.check_safety()
    return shown


def fields(shown: Page) -> list[tuple[str | None, str | None]]:
    return [(field["name"], field.get("value")) for field in shown.of("input")]


async def test_first_it_is_asked_whether_it_is_meant() -> None:
    commands = ScriptedCommands()
    shown = await sent(CHOICE, commands)

    assert "Stop: 2 selected" in shown.text
    assert [value for name, value in fields(shown) if name == "executionId"] == IDS
    assert dict(fields(shown))["key"]
    assert PATH.replace(":", "%3A") in shown.links
    assert commands.submitted == []


async def test_then_each_is_told_to_stop_once_however_often_it_is_sent() -> None:
    commands = ScriptedCommands()
    for _ in range(2):
        shown = await sent(CHOICE | {"key": "k-1", "reason": "superseded"}, commands)

    assert "2 accepted" in shown.text
    assert {(one.command, one.id) for one in commands.submitted} == {
        (StopTaskExecution(execution_id=id_, reason="superseded"), f"k-1/{id_}") for id_ in IDS
    }


async def test_a_key_that_no_command_may_have_is_refused() -> None:
    commands = ScriptedCommands()
    shown = await sent(CHOICE | {"key": "k 1"}, commands, status=422)
    assert "#/key" in shown.text
    assert commands.submitted == []


async def test_what_refuses_says_why_and_what_gave_no_answer_can_be_sent_again() -> None:
    refused = problem(Code.INVALID_TRANSITION, HOSTILE[:200])
    shown = await sent(
        CHOICE | {"key": "k-1"}, ScriptedCommands(CommandReply(outcome=Outcome.REJECTED, problem=refused))
    )
    assert "<script>alert(1)</script>" in shown.text
    assert not shown.of("form")

    shown = await sent(
        CHOICE | {"key": "k-1", "reason": "superseded"}, ScriptedCommands(CommandUnansweredError("No reply", id_="k"))
    )
    assert "Send again: 2" in shown.text
    assert fields(shown) == [
        ("key", "k-1"), ("action", "stop"), *(("executionId", id_) for id_ in IDS), ("reason", "superseded"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"action": "stop"}, "No execution is selected"),
        ({"executionId": IDS}, "#/action"),
        (CHOICE | {"action": "burn"}, "#/action"),
        (CHOICE | {"executionId": ["nonsense"]}, "#/executionIds/0"),
        (CHOICE | {"executionId": [IDS[0], IDS[0]]}, "#/executionIds"),
        (CHOICE | {"executionId": IDS * 501}, "#/executionIds"),
        (CHOICE | {"reason": ["a", "b"]}, "#/reason"),
        (CHOICE | {"cursor": "1767225600000:0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11"}, "#/cursor"),
    ],
)
async def test_a_form_that_is_none_of_ours_does_nothing(form: dict[str, Any], words: str) -> None:
    commands = ScriptedCommands()
    assert words in (await sent(form | {"key": "k-1"}, commands, 422)).text
    assert commands.submitted == []
