"""The list of executions and the page of one, over HTTP."""

from datetime import UTC, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from service.contracts.commands import ExecuteTask, StopTaskExecution
from service.contracts.problems import Code, FieldError, problem, reject
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.queries.projection import is_stalled
from service.web import wording
from service.web.wording import moment, rfc3339
from tests.api.scripted import FAILURE, FRESH, ID, PENDING, RUNNING, ScriptedCommands, ScriptedQueries
from tests.web.served import HOSTILE, Page, serving

ONE = f"/executions/{ID}"


async def get(path: str, queries: ScriptedQueries | None = None, status: int = 200) -> Page:
    async with serving(queries) as http:
        answer = await http.get(path)
    assert answer.status_code == status, answer.text[:2_000]
    shown = Page(answer.text)
    shown.check_safety()
    return shown


async def test_the_list_tells_totals_counts_and_rows() -> None:
    queries = ScriptedQueries()
    shown = await get("/executions?taskId=sales:daily_report&tag=nightly&text=&status=FAILURE", queries)

    assert "7 fit" in shown.text
    assert "FAILURE 4" in shown.text
    assert f"/executions/{ID}" in shown.links
    assert "/executions?taskId=sales%3Adaily_report&status=FAILURE" in shown.links  # without the tag
    assert "/executions?taskId=sales%3Adaily_report&tag=nightly" in shown.links  # without the status
    (asked,) = queries.asked
    assert (asked["task_id"], asked["tag"], asked["counts"]) == ("sales:daily_report", ("nightly",), True)
    assert [part["data-live"] for part in shown.of("div") if "data-live" in part] == [
        "taskId=sales%3Adaily_report&tag=nightly&lastEventId=0%3A5%2C1%3A8"
    ]


async def test_columns_are_chosen() -> None:
    assert "Tags" in (await get("/executions")).text
    shown = await get("/executions?columns=status&columns=owner")
    assert "Tags" not in shown.text
    assert "Owner" in shown.text


async def test_what_is_wrong_with_a_filter_is_said() -> None:
    assert "#/query/status/0" in (await get("/executions?status=BAD", status=422)).text


async def test_a_list_without_an_answer_says_why() -> None:
    queries = ScriptedQueries(error=reject(Code.UNAVAILABLE, "ClickHouse does not answer."))
    assert "ClickHouse does not answer." in (await get("/executions", queries, 503)).text


async def test_the_page_of_a_failure_tells_all() -> None:
    shown = await get(ONE, ScriptedQueries(executions=[FAILURE]))

    for word in ("FAILURE", "disk full", "on node 7", "day", "2026-03-01", "2.5 s", "Stopped", "by ben", "superseded"):
        assert word in shown.text, word
    assert any("fingerprint=disk+full" in link for link in shown.links)
    assert any(link.startswith("/rejections/") for link in shown.links)
    assert f"{ONE}/again" in shown.links
    assert not [form for form in shown.of("form") if form["action"] == f"{ONE}/stop"]
    assert len([rect for rect in shown.of("rect") if "node" in (rect.get("class") or "").split()]) == 4


async def test_an_open_one_follows_what_happens_and_can_be_stopped() -> None:
    shown = await get(ONE, ScriptedQueries(executions=[RUNNING]))

    assert [part["data-live"] for part in shown.of("div") if "data-live" in part] == [
        f"executionId={ID}&lastEventId=0%3A5%2C1%3A8"
    ]
    assert [form for form in shown.of("form") if form["action"] == f"{ONE}/stop"]


@pytest.mark.parametrize(("position", "place"), [("1:9", "0:5,1:10"), ("1:3", "0:5,1:8")])
async def test_what_was_waited_for_is_not_told_again(position: str, place: str) -> None:
    for path in (ONE, "/executions"):
        shown = await get(f"{path}?minPosition={position}")
        (followed,) = [part["data-live"] or "" for part in shown.of("div") if "data-live" in part]
        assert dict(parse_qsl(followed))["lastEventId"] == place


@pytest.mark.parametrize("place", ["/executions?tag=a", ONE])
async def test_where_nobody_knows_how_far_the_read_side_is_events_are_followed_from_now_on(place: str) -> None:
    (followed,) = [
        part["data-live"] for part in (await get(place, ScriptedQueries(offsets=None))).of("div") if "data-live" in part
    ]
    assert followed in {"tag=a", f"executionId={ID}"}


async def test_hostile_values_are_shown_and_do_nothing() -> None:
    nested: Any = HOSTILE
    for _ in range(30):
        nested = {HOSTILE[:100]: [nested, None, True, 1.5]}
    hostile = {
        "errorMessage": HOSTILE, "outputs": nested, "resolvedInputs": {"many": list(range(1_000)), "text": HOSTILE},
        "owner": HOSTILE, "message": HOSTILE,
        "metadata": FAILURE["metadata"] | {"createdBy": HOSTILE, "tags": [HOSTILE[:200]]},
    }  # fmt: skip
    shown = await get(ONE, ScriptedQueries(executions=[FAILURE | hostile]))

    assert "<script>alert(1)</script>" in shown.text
    assert "800 more" in shown.text


async def test_an_unknown_one_is_a_page() -> None:
    queries = ScriptedQueries(error=reject(Code.EXECUTION_NOT_FOUND, "There is none."))
    assert "There is none." in (await get(ONE, queries, 404)).text
    assert "executionId" in (await get("/executions/nonsense", status=422)).text


async def test_stop_is_a_command_that_can_be_sent_twice() -> None:
    commands = ScriptedCommands()
    async with serving(None, commands) as http:
        for _ in range(2):
            answer = await http.post(f"{ONE}/stop", data={"key": "k-1", "reason": "superseded"})
            assert (answer.status_code, answer.headers["location"]) == (303, f"{ONE}?minPosition=3%3A1207")

    assert {(one.command, one.id) for one in commands.submitted} == {
        (StopTaskExecution(execution_id=ID, reason="superseded"), "k-1")
    }


async def test_a_refused_stop_is_told_on_the_page() -> None:
    why = problem(Code.INVALID_TRANSITION, "It has ended.", current_status=Status.SUCCESS)
    async with serving(None, ScriptedCommands(CommandReply(outcome=Outcome.REJECTED, problem=why))) as http:
        answer = await http.post(f"{ONE}/stop", data={"key": "k-1"})

    assert answer.status_code == 409
    assert "It has ended." in answer.text


async def test_run_again_with_the_same_inputs_is_another_attempt() -> None:
    commands = ScriptedCommands()
    async with serving(ScriptedQueries(executions=[FAILURE]), commands) as http:
        form = await http.get(f"{ONE}/again")
        answer = await http.post(f"{ONE}/again", data={"key": "k-2"})

    assert "&#34;day&#34;: &#34;2026-03-01&#34;" in form.text
    assert answer.status_code == 303
    (sent,) = commands.submitted
    assert isinstance(sent.command, ExecuteTask)
    assert (sent.id, sent.command.retry_of, sent.command.attempt) == ("k-2", ID, 2)
    assert sent.command.inputs == FAILURE["resolvedInputs"]


@pytest.mark.parametrize(
    ("inputs", "sent"),
    [
        ('{"day": "2026-03-02", "region": null}', {"day": "2026-03-02", "region": None}),
        ('{"day": "2026-03-01"}', {"day": "2026-03-01"}),
    ],
)
async def test_run_again_with_other_inputs_is_an_execution_of_its_own(inputs: str, sent: dict[str, Any]) -> None:
    commands = ScriptedCommands()
    async with serving(ScriptedQueries(executions=[FAILURE]), commands) as http:
        answer = await http.post(f"{ONE}/again", data={"key": "k-3", "inputs": inputs})

    assert answer.status_code == 303
    command = commands.submitted[0].command
    assert isinstance(command, ExecuteTask)
    assert (command.inputs, command.retry_of) == (sent, None)


@pytest.mark.parametrize("inputs", ["{bad", "[1]", '{"a":1,"a":2}'])
async def test_inputs_that_are_none_are_told_and_kept(inputs: str) -> None:
    commands = ScriptedCommands()
    async with serving(ScriptedQueries(executions=[PENDING]), commands) as http:
        answer = await http.post(f"{ONE}/again", data={"key": "k-4", "inputs": inputs})

    assert answer.status_code in {400, 422}
    assert "#/inputs" in answer.text
    assert commands.submitted == []
    assert inputs in Page(answer.text).text


async def test_what_the_service_refuses_stands_beside_the_form() -> None:
    why = problem(Code.INVALID_INPUTS, "See errors.", (FieldError(pointer="#/inputs/day", detail="must match"),))
    async with serving(None, ScriptedCommands(CommandReply(outcome=Outcome.REJECTED, problem=why))) as http:
        answer = await http.post(f"{ONE}/again", data={"key": "k-5"})
    assert answer.status_code == 422
    assert "#/inputs/day" in answer.text

    async with serving(None, ScriptedCommands(CommandUnansweredError("No reply came", id_="k-6"))) as http:
        answer = await http.post(f"{ONE}/again", data={"key": "k-6"})
    assert answer.status_code == 503
    assert 'value="k-6"' in answer.text  # sent again, it is the same command


@pytest.mark.parametrize("place", ["/executions", ONE, "/tasks", "/tasks/a:b"])
async def test_a_stalled_projection_is_told_by_what_the_answer_says(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    now = Timestamp.now(UTC).replace(microsecond=0)
    monkeypatch.setattr(wording, "is_stalled", lambda as_of, _: is_stalled(as_of, now))
    for age, is_told in ((15, False), (15.001, True)):
        as_of = now - timedelta(seconds=age)
        monkeypatch.setitem(FRESH, "asOf", rfc3339(as_of))
        queries = ScriptedQueries()
        shown = await get(place, queries)

        assert ("The projection is stalled" in shown.text) is is_told
        assert not is_told or f"What came after {moment(as_of)} UTC is not shown yet." in shown.text
        assert {} not in queries.asked  # Kafka is not asked


async def test_a_projection_that_never_ran_is_not_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FRESH, "asOf")
    shown = await get("/executions")

    assert "stalled" not in shown.text
    assert "The projector has never run" in shown.text
