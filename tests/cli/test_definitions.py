"""The definitions commands on a real topic: what is published stays, and what is there can be seen and compared."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner, Result
from uuid_utils.compat import uuid7

from service.cli.main import app
from service.contracts.topics import DEFINITIONS_TOPIC


class Commands:
    """Runs `taskexec definitions` for tasks of a namespace of its own."""

    def __init__(self, servers: str, folder: Path) -> None:
        self._servers, self._folder = servers, folder
        self.namespace = f"cli-{uuid7()}"

    def body(self, **more: Any) -> dict[str, Any]:
        return {"taskId": f"{self.namespace}:report", "version": "1.0.0", "status": "PUBLISHED", "type": "sql", **more}

    def file(self, *bodies: dict[str, Any], name: str = "definitions.json") -> str:
        (self._folder / name).write_text(json.dumps(bodies))
        return str(self._folder / name)

    async def run(self, *arguments: str) -> Result:
        kafka = [] if arguments[0] in {"validate", "schema"} else ["--bootstrap-servers", self._servers]
        return await asyncio.to_thread(CliRunner().invoke, app, ["definitions", *arguments, *kafka])

    async def publish(self, *bodies: dict[str, Any]) -> Result:
        return await self.run("publish", self.file(*bodies))

    async def write(self, body: dict[str, Any] | None, key: str) -> None:
        """Write a record as an owner may who does not keep the rules."""
        async with AIOKafkaProducer(bootstrap_servers=self._servers) as producer:
            value = None if body is None else json.dumps(body).encode()
            await producer.send_and_wait(DEFINITIONS_TOPIC, value, key.encode())


@pytest.fixture
def commands(kafka: str, tmp_path: Path) -> Commands:
    return Commands(kafka, tmp_path)


X = {"name": "x", "type": "number", "required": False, "defaultValue": 1}


async def test_what_is_published_can_be_published_again_and_never_changes(commands: Commands) -> None:
    body = commands.body(inputVariables=[X])
    name = f"{body['taskId']} 1.0.0"
    first = await commands.publish(body)
    assert (first.exit_code, first.stdout, first.stderr) == (0, "", f"published {name} (PUBLISHED)\n")
    again = await commands.publish({**body, "inputVariables": [{**X, "defaultValue": 1.0}]})
    assert (again.exit_code, again.stderr) == (0, f"there already: {name} (PUBLISHED)\n")
    changed = await commands.publish(
        commands.body(version="2.0.0"), {**body, "type": "flink_sql", "inputVariables": [{**X, "defaultValue": 2}]}
    )
    assert (changed.exit_code, changed.stdout) == (1, "")
    assert changed.stderr.splitlines() == [
        "Error: A published version never changes, and nothing was published. Publish a new version instead.",
        f"  {name}, as it is published and as it is given:",
        '    ~ #/type: "sql" -> "flink_sql"',
        "    ~ #/inputVariables/x/defaultValue: 1 -> 2",
    ]
    draft = await commands.publish({**body, "status": "DRAFT"})
    assert draft.exit_code == 1
    assert '    ~ #/status: "PUBLISHED" -> "DRAFT"' in draft.stderr
    listed = await commands.run("list", "--namespace", commands.namespace, "--json")
    assert [one["version"] for one in json.loads(listed.stdout)] == ["1.0.0"]


async def test_a_draft_may_change_until_it_is_published(commands: Commands) -> None:
    draft = commands.body(version="draft", status="DRAFT")
    for body in (draft, {**draft, "type": "flink_sql"}, {**draft, "status": "PUBLISHED"}):
        assert (await commands.publish(body)).stderr.startswith("published ")
    assert (await commands.publish(draft)).exit_code == 1


async def test_a_withdrawn_version_can_be_published_again_as_it_was_only(commands: Commands) -> None:
    body = commands.body()
    key = f"{body['taskId']}@1.0.0"
    await commands.publish(body)
    await commands.write(None, key)
    assert (await commands.run("show", key)).exit_code == 4
    assert (await commands.publish({**body, "type": "flink_sql"})).exit_code == 1
    assert (await commands.publish(body)).stderr.startswith("published ")
    assert (await commands.run("show", key)).exit_code == 0


async def test_what_was_changed_all_the_same_is_ignored_told_and_mended(commands: Commands) -> None:
    body = commands.body()
    key = f"{body['taskId']}@1.0.0"
    await commands.publish(body)
    await commands.write({**body, "type": "flink_sql"}, key)
    listed = await commands.run("list", "--task", body["taskId"])
    assert " sql " in listed.stdout
    assert "its record has changed since it was published; that is ignored" in listed.stderr
    assert (await commands.publish(body)).stderr.startswith("published ")
    assert "changed" not in (await commands.run("list", "--task", body["taskId"])).stderr


async def test_the_list_is_by_task_with_the_newest_version_first(commands: Commands) -> None:
    versions = ("1.9.0", "1.10.0-rc.1", "1.10.0", "draft", "2.0.0+a")
    other = f"{commands.namespace}:other"
    await commands.publish(
        *(commands.body(version=one, status="DRAFT" if one == "draft" else "PUBLISHED") for one in versions),
        commands.body(taskId=other),
    )
    await commands.write({"taskId": other, "version": "3.0.0"}, "odd")
    listed = await commands.run("list", "--namespace", commands.namespace)
    rows = [line.split()[:3] for line in listed.stdout.splitlines()]
    assert listed.exit_code == 0
    assert rows[0] == ["TASK", "VERSION", "STATUS"]
    assert [row[1:] for row in rows[1:]] == [
        ["3.0.0", "UNUSABLE"], ["1.0.0", "PUBLISHED"], ["2.0.0+a", "PUBLISHED"], ["1.10.0", "PUBLISHED"],
        ["1.10.0-rc.1", "PUBLISHED"], ["1.9.0", "PUBLISHED"], ["draft", "DRAFT"],
    ]  # fmt: skip
    assert "#/status: required, but missing" in listed.stdout
    drafts = await commands.run("list", "--namespace", commands.namespace, "--status", "draft", "--json")
    assert [one["version"] for one in json.loads(drafts.stdout)] == ["draft"]
    unusable = await commands.run("list", "--task", other, "--status", "UNUSABLE", "--json")
    assert json.loads(unusable.stdout)[0].keys() == {"taskId", "version", "flaw"}


async def test_a_version_is_shown_as_it_is_executed(commands: Commands) -> None:
    limited = {"name": "day", "type": "string", "validation": {"maxLength": 10}}
    body = commands.body(inputVariables=[limited, X], outputVariables=[{"name": "o", "type": "file"}],
                         runTimeout="PT1H", retry={"maxAttempts": 3})  # fmt: skip
    task = body["taskId"]
    await commands.publish(body, commands.body(version="2.0.0-rc.1", status="DRAFT"))
    shown = await commands.run("show", task)
    assert shown.exit_code == 0
    for text in ("1.0.0", "PT1H", '"maxAttempts": 3', '{"maxLength": 10}', "OUTPUT"):
        assert text in shown.stdout
    assert json.loads((await commands.run("show", f"{task}@2.0.0-rc.1", "--json")).stdout)["status"] == "DRAFT"
    missing = await commands.run("show", f"{task}@9.0.0")
    assert (missing.exit_code, missing.stdout) == (4, "")
    assert missing.stderr.splitlines() == [
        f"Error: {task}@9.0.0 is not on the topic.", "  There are: 2.0.0-rc.1, 1.0.0."
    ]  # fmt: skip
    assert "There is no version of it." in (await commands.run("show", f"{task}x")).stderr
    assert (await commands.run("show", "report")).exit_code == 2


async def test_a_difference_is_shown_as_by_diff(commands: Commands) -> None:
    body = commands.body(inputVariables=[X])
    task = body["taskId"]
    draft = commands.body(version="draft", status="DRAFT", inputVariables=[{**X, "defaultValue": 1.0}])
    added = {"name": "y", "type": "string"}
    await commands.publish(body, commands.body(version="2.0.0", inputVariables=[X, added]), draft)
    differing = await commands.run("diff", task, "1.0.0", "2.0.0")
    assert differing.exit_code == 1
    assert differing.stdout.splitlines() == [
        f"--- {task}@1.0.0 (PUBLISHED)",
        f"+++ {task}@2.0.0 (PUBLISHED)",
        '+ #/inputVariables/y: {"name": "y", "type": "string", "required": true, "sensitive": false}',
    ]
    back = await commands.run("diff", f"{task}@2.0.0", f"{task}@1.0.0", "--json")
    assert back.exit_code == 1
    assert [(one["pointer"], one["new"]) for one in json.loads(back.stdout)] == [("#/inputVariables/y", None)]
    same = await commands.run("diff", task, "1.0.0", "draft")
    assert (same.exit_code, same.stdout, same.stderr) == (0, "", "")
    file = commands.file({**body, "type": "flink_sql"})
    against = await commands.run("diff", f"{task}@1.0.0", file)
    assert '~ #/type: "sql" -> "flink_sql"' in against.stdout
    assert (await commands.run("diff", file, file)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("{task}@1.0.0", "{task}@9.0.0"), 4, "@9.0.0 is not on the topic"),
        (("{task}", "none.yaml"), 2, "none.yaml: cannot be read"),
        (("{task}", "{two}"), 2, "must hold one definition; it has 2"),
        (("report", "1.0.0", "2.0.0"), 2, "'report' must be TASK or TASK@VERSION"),
        (("{task}@1.0.0", "{task}@8.0.0"), 1, "8.0.0 cannot be used: #/status"),
    ],
)
async def test_what_cannot_be_compared_is_told(
    commands: Commands, arguments: tuple[str, ...], code: int, message: str
) -> None:
    body = commands.body()
    await commands.publish(body)
    await commands.write({"taskId": body["taskId"], "version": "8.0.0"}, "odd")
    two = commands.file(body, commands.body(version="2.0.0"))
    told = await commands.run("diff", *(text.format(task=body["taskId"], two=two) for text in arguments))
    assert (told.exit_code, told.stdout) == (code, "")
    assert message in told.stderr
