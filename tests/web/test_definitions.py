"""service/web/definitions.py and start_form.py: what can be executed, and the form that does it."""

from typing import Any
from urllib.parse import urlencode

import pytest
from httpx2 import Response

from service.contracts.commands import ExecuteTask
from service.contracts.problems import Code, FieldError, problem, reject
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from tests.api.scripted import DEFINITION, ID, ScriptedCommands, ScriptedDefinitions
from tests.web.served import HOSTILE, Page, serving

PLACE = "/definitions/sales:daily_report/1.2.0"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def shown(path: str, definitions: ScriptedDefinitions | None = None, status: int = 200) -> Page:
    async with serving(definitions=definitions) as http:
        response = await http.get(path)
    assert response.status_code == status, response.text
    page = Page(response.text)
    page.check_safety()
    return page


async def sent(
    fields: dict[str, str], commands: ScriptedCommands, definitions: ScriptedDefinitions | None = None
) -> Response:
    async with serving(commands=commands, definitions=definitions) as http:
        return await http.post(PLACE, content=urlencode(fields), headers=FORM)


def with_inputs(*variables: dict[str, Any]) -> ScriptedDefinitions:
    return ScriptedDefinitions(DEFINITION | {"inputVariables": variables})


def refused(*errors: FieldError, code: Code = Code.INVALID_INPUTS) -> ScriptedCommands:
    return ScriptedCommands(CommandReply(outcome=Outcome.REJECTED, problem=problem(code, "See errors.", errors)))


async def test_the_list_shows_versions_and_filters_them() -> None:
    other = DEFINITION | {"taskId": "etl:load", "status": "DRAFT"}
    definitions = ScriptedDefinitions(DEFINITION, other, {"taskId": "etl:wrong", "version": "1.0.0"})
    every = await shown("/definitions?taskId=&namespace=&status=", definitions)
    some = await shown("/definitions?taskId=&namespace=etl&status=UNUSABLE", definitions)

    assert {PLACE, "/definitions/etl:load/1.2.0", "/definitions/etl:wrong/1.0.0"} <= set(every.links)
    assert [link for link in some.links if link.count("/") == 3] == ["/definitions/etl:wrong/1.0.0"]
    assert "required, but missing" in some.text


async def test_without_definitions_it_says_how_to_publish_one() -> None:
    page = await shown("/definitions?namespace=none")

    assert "taskexec definitions publish" in page.text


async def test_versions_say_what_changed_since_the_one_before() -> None:
    newer = DEFINITION | {"version": "1.10.0", "outputVariables": []}
    page = await shown("/definitions/sales:daily_report", ScriptedDefinitions(DEFINITION, newer))

    assert page.text.index("1.10.0") < page.text.index("1.2.0")
    assert "#/outputVariables/rows" in page.text


async def test_a_version_that_there_is_none_of_is_not_found() -> None:
    page = await shown("/definitions/sales:daily_report/9.9.9", status=404)

    assert "There are: 1.2.0." in page.text


async def test_the_form_has_a_field_for_each_input_with_its_default() -> None:
    kinds: dict[str, dict[str, Any]] = {
        "text": {"type": "string"},
        "lines": {"type": "string", "required": False, "defaultValue": "a\nb"},
        "number": {"type": "number", "required": False, "defaultValue": 10.5},
        "flag": {"type": "boolean", "required": False, "defaultValue": True},
        "one": {"type": "number", "validation": {"enum": [1, 2.5]}},
        "many": {"type": "array", "required": False, "defaultValue": [1, None]},
        "secret": {"type": "string", "sensitive": True},
    }
    page = await shown(PLACE, with_inputs(*({"name": name} | one for name, one in kinds.items())))

    inputs = {one.get("name"): one for kind in ("input", "textarea", "select") for one in page.of(kind)}
    assert {f"input.{name}" for name in kinds} <= inputs.keys()
    assert inputs["input.number"]["value"] == "10.5"
    assert inputs["input.secret"]["type"] == "password"
    assert inputs["input.secret"]["autocomplete"] == "off"
    assert "required" in inputs["input.text"]
    assert "required" not in inputs["input.number"]
    for words in ("a b", "[1, null]", "one of 1, 2.5", "2.5", "It is never shown again."):
        assert words in page.text


async def test_each_form_has_a_key_of_its_own() -> None:
    first, second = [(await shown(PLACE)).of("input")[0] for _ in range(2)]

    assert (first["name"], second["name"]) == ("key", "key")
    assert first["value"] != second["value"]


async def test_it_starts_what_was_typed_once_and_leads_to_it() -> None:
    commands = ScriptedCommands()
    fields = {"key": "k-1", "input.day": "2026-03-01", "input.top": "7", "tags": "nightly\r\n eu ", "createdBy": "ana"}
    response = await sent(fields, commands)

    assert (response.status_code, response.headers["location"]) == (303, f"/executions/{ID}?minPosition=3%3A1207")
    (submitted,) = commands.submitted
    assert submitted.id == "k-1"
    assert submitted.command == ExecuteTask(
        task_id="sales:daily_report", task_version="1.2.0", inputs={"day": "2026-03-01", "top": 7},
        tags=("nightly", "eu"), created_by="ana",
    )  # fmt: skip


async def test_what_is_left_empty_is_not_given() -> None:
    commands = ScriptedCommands()
    await sent({"key": "k", "input.day": "x", "input.top": "", "createdBy": "", "tags": ""}, commands)

    (command,) = (one.command for one in commands.submitted)
    assert isinstance(command, ExecuteTask)
    assert (command.inputs, command.tags, command.created_by) == ({"day": "x"}, (), None)


async def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays() -> None:
    errors = FieldError(pointer="#/inputs/day", detail="must match"), FieldError(pointer="#/taskId", detail="odd")
    response = await sent({"key": "k-1", "input.day": "<b>today</b>", "input.top": "7", "tags": "a"}, refused(*errors))
    page = Page(response.text)

    assert response.status_code == 422
    day = next(one for one in page.of("input") if one.get("name") == "input.day")
    assert (day["value"], day["aria-invalid"]) == ("<b>today</b>", "true")
    assert next(one["value"] for one in page.of("input") if one.get("name") == "key") == "k-1"
    assert "#/taskId odd" in page.text
    assert page.text.count("must match") == 1


async def test_a_value_that_is_not_of_its_type_is_told_before_anything_is_sent() -> None:
    commands = ScriptedCommands()
    response = await sent({"input.day": "x", "input.top": "seven"}, commands)

    assert response.status_code == 422
    assert "must be a number" in Page(response.text).text
    assert commands.submitted == []


async def test_a_secret_is_sent_and_never_shown_again() -> None:
    definitions = with_inputs({"name": "password", "type": "string", "sensitive": True})
    commands = refused(FieldError(pointer="#/inputs/password", detail="too short"))
    response = await sent({"input.password": "hunter2"}, commands, definitions)

    assert "hunter2" not in response.text
    assert "too short" in response.text
    (submitted,) = (one.command for one in commands.submitted)
    assert isinstance(submitted, ExecuteTask)
    assert submitted.inputs == {"password": "hunter2"}


async def test_without_an_answer_the_form_can_be_sent_again() -> None:
    commands = ScriptedCommands(CommandUnansweredError("No reply came within 10 s", id_="k-1", source="/x"))
    response = await sent({"key": "k-1", "input.day": "x"}, commands)

    assert response.status_code == 503
    assert "nothing is done twice" in response.text
    assert 'value="k-1"' in response.text


async def test_after_a_conflict_the_form_has_another_key() -> None:
    response = await sent({"key": "k-1", "input.day": "x"}, refused(code=Code.IDEMPOTENCY_CONFLICT))

    assert response.status_code == 409
    assert 'value="k-1"' not in response.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"input.day=%ff", FORM["Content-Type"], 422),
        (b"input.day=\xc3\xbc", FORM["Content-Type"], 422),
        (b"tags=a&tags=b", FORM["Content-Type"], 422),
        (b"&".join(b"a%d=1" % number for number in range(2_001)), FORM["Content-Type"], 422),
        (b"input.day=" + b"x" * 2_000_000, FORM["Content-Type"], 413),
    ],
)
async def test_what_is_no_form_is_refused(body: bytes, kind: str, status: int) -> None:
    commands = ScriptedCommands()
    async with serving(commands=commands) as http:
        response = await http.post(PLACE, content=body, headers={"Content-Type": kind})

    assert response.status_code == status
    assert commands.submitted == []


async def test_pages_of_other_origins_start_nothing() -> None:
    commands = ScriptedCommands()
    async with serving(commands=commands) as http:
        response = await http.post(PLACE, content=b"", headers=FORM | {"Sec-Fetch-Site": "cross-site"})

    assert response.status_code == 403
    assert commands.submitted == []


async def test_whatever_a_definition_holds_is_text() -> None:
    text = {"name": HOSTILE[:60], "type": "string", "required": False, "defaultValue": HOSTILE, "description": HOSTILE}
    page = await shown(PLACE, with_inputs(text))

    assert "<script>alert(1)</script>" in page.text


async def test_a_draft_has_no_form() -> None:
    page = await shown(PLACE, ScriptedDefinitions(DEFINITION | {"status": "DRAFT"}))

    assert "Only published versions can be executed." in page.text
    assert not page.of("textarea")


async def test_while_kafka_is_away_the_page_says_so() -> None:
    definitions = ScriptedDefinitions()
    definitions.error = reject(Code.UNAVAILABLE, "Kafka has not told the task definitions within 5 s.")

    assert "Kafka has not told" in (await shown("/definitions", definitions, status=503)).text
