"""A secret goes through the whole service in every way there is; then it is searched for in all that was written."""

import json
import uuid
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from httpx2 import AsyncClient

from service.client import KeyRing
from service.contracts.topics import (
    COMMANDS_TOPIC,
    EVENTS_TOPIC,
    REJECTIONS_TOPIC,
    REPLIES_TOPIC,
    STATE_TOPIC,
    TOPICS,
)
from service.kafka.records import Record
from service.read_model.clickhouse.connecting import connect
from tests.e2e.process import Up, up
from tests.handling.world import World, a_world, execution_id, id_owned_by

EXECUTIONS = "/api/v1/task-executions"
KEYS = {"keys": [{"kty": "oct", "kid": "a", "k": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}]}
RING = KeyRing(json.dumps(KEYS).encode())

CORE = f"canary{uuid.uuid4().hex}"
SECRET = f'{CORE}"\\\n✓/{CORE}'
PLAIN = f"harmless{uuid.uuid4().hex}"
"""Beside the secret; it must be found, or the search would find nothing."""

TASK = {"taskId": "secrets:task", "taskVersion": "1.0.0"}
DEFINITION: dict[str, Any] = {
    "taskId": "secrets:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql",
    "inputVariables": [
        {"name": "day", "type": "string"},
        {"name": "n", "type": "number", "required": False},
        {"name": "token", "type": "string", "sensitive": True, "validation": {"pattern": "^canary", "maxLength": 200}},
        {"name": "login", "type": "object", "required": False, "sensitive": True},
        {"name": "pin", "type": "string", "required": False, "sensitive": True, "validation": {"enum": ["1", "2"]}},
    ],
    "outputVariables": [{"name": "rows", "type": "number"}, {"name": "link", "type": "string", "sensitive": True}],
}  # fmt: skip
DRAFT = {**DEFINITION, "taskId": "secrets:draft", "status": "DRAFT"}
GIVEN = {"day": PLAIN, "token": SECRET, "login": {CORE: [SECRET]}}
EXECUTE = {**TASK, "inputs": GIVEN}
OUTPUTS = {"rows": 3, "link": SECRET}


def forms(text: str) -> Iterator[bytes]:
    """How the text could stand in bytes: as it is, in hex, and in base64 wherever it begins."""
    raw = text.encode()
    yield raw
    yield raw.hex().encode()
    yield "".join(f"\\u{ord(letter):04x}" for letter in text).encode()
    for before in range(3):
        for encoded in (b64encode, urlsafe_b64encode):
            whole = encoded(b"x" * before + raw)
            yield whole[4 if before else 0 : len(whole) - 4]


def found(text: str, *places: bytes | str | None) -> bool:
    wanted = [*forms(text)]
    known = [place.encode() if isinstance(place, str) else place for place in places if place]
    return any(form in place for place in known for form in wanted)


@pytest.mark.parametrize("wrapped", [b64encode, lambda raw: b64encode(b"a" + raw), lambda raw: b64encode(b"ab" + raw)])
def test_what_is_searched_for_would_be_found(wrapped: Callable[[bytes], bytes]) -> None:
    record = json.dumps({"inputs": GIVEN}).encode()
    assert found(CORE, wrapped(record))
    assert found(CORE, record, record.hex())
    assert found(CORE, urlsafe_b64encode(record))
    assert not found(CORE, json.dumps({"inputs": {"day": PLAIN}}))


def bytes_of(record: Record) -> Iterator[bytes]:
    yield record.key or b""
    yield record.value or b""
    for name, value in record.headers:
        yield name.encode() + b" " + (value or b"")


def refused() -> dict[str, tuple[bytes, list[tuple[str, bytes]]]]:
    """Records that are refused, whatever was before."""

    def binary(type_: str, **more: str) -> list[tuple[str, bytes]]:
        attributes = {"ce_specversion": "1.0", "ce_type": type_, "ce_source": "/tests", "ce_id": id_owned_by(0)}
        return [(name, text.encode()) for name, text in {**attributes, **more}.items()]

    def execute(**inputs: Any) -> bytes:
        return json.dumps({**TASK, "inputs": {**GIVEN, **inputs}}).encode()

    def event(data: Any, **more: Any) -> bytes:
        attributes = {"specversion": "1.0", "type": "ExecuteTask", "source": "/tests", "id": id_owned_by(0)}
        return json.dumps({**attributes, "data": data, **more}).encode()

    headers, structured = binary("ExecuteTask"), [("content-type", b"application/cloudevents+json")]
    missing, body = execution_id(id_owned_by(0)), execute()
    return {
        "another wrong type": (execute(day=7), headers),
        "its own wrong type": (execute(token=[SECRET]), headers),
        "not its pattern": (execute(token=f"_{SECRET}"), headers),
        "not in its enum": (execute(pin=SECRET), headers),
        "too long": (execute(token=SECRET * 9), headers),
        "an object for a text": (execute(token={CORE: CORE}), headers),
        "a mistyped name": (execute(tokem=SECRET), headers),
        "a mistyped field": (json.dumps({**TASK, "input": GIVEN, "inputs": {"day": PLAIN}}).encode(), headers),
        "a field too many": (json.dumps({**EXECUTE, "token": SECRET}).encode(), headers),
        "another field of a wrong type": (json.dumps({**EXECUTE, "createdBy": [SECRET]}).encode(), headers),
        "no object of inputs": (json.dumps({**TASK, "inputs": [SECRET]}).encode(), headers),
        "no object": (json.dumps([SECRET]).encode(), headers),
        "cut": (body[:-9], headers),
        "a key twice": (b'{"inputs":{"login":{"%b":1,"%b":2}}}' % (CORE.encode(), CORE.encode()), headers),
        "NUL below a key": (b'{"inputs":{"login":{"%b":{"%b":"\\u0000"}}}}' % (CORE.encode(), CORE.encode()), headers),
        "a long integer below a key": (b'{"outputs":{"a":{"%b":%b}}}' % (CORE.encode(), b"9" * 30), headers),
        "no UTF-8": (body + b"\xff", headers),
        "no type": (body, headers[2:]),
        "an unknown type": (body, binary(f"Execute{PLAIN}")),
        "a type in another case": (body, binary("executetask")),
        "an unknown task": (json.dumps({**EXECUTE, "taskId": "no:task"}).encode(), headers),
        "a task that is a draft": (json.dumps({**EXECUTE, "taskId": "secrets:draft"}).encode(), headers),
        "a task that is not usable": (json.dumps({**EXECUTE, "taskId": "secrets:default"}).encode(), headers),
        "too large": (execute(token=SECRET + "x" * 1_100_000), headers),
        "a reply topic that is none": (body, [*headers, ("reply_to", b"elsewhere")]),
        "a reply topic that is not there": (body, [*headers, ("reply_to", b"task-execution.replies.none")]),
        "an event with a wrong type": (event({**TASK, "inputs": {**GIVEN, "day": 7}}), structured),
        "an event with more attributes": (event({**TASK, "inputs": {**GIVEN, "day": 7}}, token=SECRET), structured),
        "an event with a field too many": (event({**EXECUTE, "token": SECRET}), structured),
        "an event without a type": (event(EXECUTE, type=None), structured),
        "no such execution": (
            json.dumps({"executionId": missing, "outputs": OUTPUTS}).encode(), binary("SucceedTaskExecution")
        ),
        "another subject": (
            json.dumps({"executionId": missing, "outputs": OUTPUTS}).encode(),
            binary("SucceedTaskExecution", ce_subject=str(uuid.uuid4())),
        ),
        "a start with outputs": (
            json.dumps({"executionId": missing, "outputs": OUTPUTS}).encode(), binary("StartTaskExecution")
        ),
    }  # fmt: skip


async def over_kafka(world: World) -> None:
    """A life with secrets, and what is refused in it."""

    async def told(id_: str, command: dict[str, Any], type_: str) -> dict[str, Any]:
        await world.command(command, type_, id_=id_, key=b"k", reply=True)
        await world.settled()
        reply: dict[str, Any] = (await world.replies(id_))[-1]
        return reply

    id_, run = (execution_id(name := str(uuid.uuid4()))), "ExecuteTask"
    reply = await told(name, EXECUTE, run)
    inputs = reply["taskExecution"]["resolvedInputs"]
    assert (inputs["day"], inputs["n"], inputs["pin"]) == (PLAIN, None, None)
    assert RING.open(inputs["token"]) == SECRET
    assert RING.open(inputs["login"]) == GIVEN["login"]

    withheld = {**inputs, "token": {"sealed": None}, "login": {"sealed": None}}
    for again in (EXECUTE, {**TASK, "inputs": {**GIVEN, "token": f"canary-{SECRET}"}}):
        reply = await told(name, again, run)
        assert (reply["outcome"], reply["taskExecution"]["resolvedInputs"]) == ("duplicate", withheld)
    reply = await told(name, {**TASK, "inputs": {**GIVEN, "day": "another"}}, run)
    assert reply["problem"]["code"] == "idempotency_conflict"

    done = {"executionId": id_, "outputs": OUTPUTS}
    assert (await told("early", done, "SucceedTaskExecution"))["problem"]["code"] == "invalid_transition"
    assert (await told("start", {"executionId": id_}, "StartTaskExecution"))["outcome"] == "accepted"
    for wrong in ({"rows": "3"}, {"link": [SECRET]}, {"lnk": SECRET}):
        reply = await told("wrong", {**done, "outputs": {**OUTPUTS, **wrong}}, "SucceedTaskExecution")
        assert reply["problem"]["code"] == "invalid_outputs"
    reply = await told("succeed", done, "SucceedTaskExecution")
    assert RING.open(reply["taskExecution"]["outputs"]["link"]) == SECRET
    for name in ("succeed", "once more"):
        reply = await told(name, done, "SucceedTaskExecution")
        assert reply["taskExecution"]["outputs"] == {"rows": 3, "link": {"sealed": None}}
    late = {"executionId": id_, "errorMessage": "late"}
    assert (await told("late", late, "FailTaskExecution"))["problem"]["code"] == "invalid_transition"

    codes = {}
    for what, (value, headers) in refused().items():
        partition, offset = await world.write(value, [*headers], partition=0)
        codes[what] = partition, offset
    large = Producer({"bootstrap.servers": world.servers, "compression.type": "zstd", "message.max.bytes": 16 << 20})
    large.produce(COMMANDS_TOPIC, json.dumps({**TASK, "token": SECRET * 99_999}).encode(), partition=0)
    large.flush(10)
    await world.settled()
    for what, place in codes.items():
        assert len(await world.rejections(place)) == 1, what


async def over_http(service: Up) -> list[bytes]:
    """The same, and every answer."""
    answers: list[bytes] = []
    async with AsyncClient(base_url=service.url, timeout=30) as http:

        async def ask(method: str, path: str, status: int, **more: Any) -> Any:
            answer = await http.request(method, path, **more)
            answers.extend([answer.content, repr(answer.headers).encode()])
            assert answer.status_code == status, answer.content
            return answer

        def post(path: str, body: Any, status: int, **headers: str) -> Any:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            json_type = {"Content-Type": "application/json"}
            return ask("POST", EXECUTIONS + path, status, content=content, headers={**json_type, **headers})

        created = await post("", EXECUTE, 201, **{"Idempotency-Key": "k"})
        id_ = created.json()["id"]
        await post("", EXECUTE, 200, **{"Idempotency-Key": "k"})
        await post("", {**TASK, "inputs": {**GIVEN, "day": "other"}}, 409, **{"Idempotency-Key": "k"})
        for wrong in ({"day": 7}, {"token": [SECRET]}, {"tokem": SECRET}, {"token": f"_{SECRET}"}, {"pin": SECRET}):
            await post("", {**TASK, "inputs": {**GIVEN, **wrong}}, 422)
        await post("", {**EXECUTE, "token": SECRET}, 422)
        await post("", {**EXECUTE, "createdBy": {"token": SECRET}}, 422)
        await post("", {**TASK, "inputs": [SECRET]}, 422)
        await post("", [SECRET], 422)
        await post("", json.dumps(EXECUTE).encode()[:-9], 400)
        await post("", b'{"inputs":{"login":{"%b":1,"%b":2}}}' % (CORE.encode(), CORE.encode()), 400)
        await post("", b'{"inputs":{"login":{"%b":{"%b":"\\u0000"}}}}' % (CORE.encode(), CORE.encode()), 400)
        await post("", {**EXECUTE, "taskId": "no:task"}, 422)
        await post("", json.dumps({**TASK, "inputs": {"token": SECRET + "x" * 1_100_000}}).encode(), 413)
        await post(f"/{id_}/succeed", {"outputs": OUTPUTS}, 409)
        await post(f"/{id_}/start", {}, 200)
        await post(f"/{id_}/succeed", {"outputs": {**OUTPUTS, "rows": "three"}}, 422)
        done = await post(f"/{id_}/succeed", {"outputs": OUTPUTS}, 200)
        await post(f"/{uuid.uuid4()}/succeed", {"outputs": OUTPUTS}, 404)

        position = {"minPosition": done.headers["Task-Execution-Position"]}
        record = (await ask("GET", f"{EXECUTIONS}/{id_}", 200, params=position)).json()
        assert RING.open(record["resolvedInputs"]["token"]) == RING.open(record["outputs"]["link"]) == SECRET
        history = (await ask("GET", f"{EXECUTIONS}/{id_}/history", 200)).json()
        assert history["items"][0]["data"]["sensitive"] == {"inputs": ["token", "login", "pin"], "outputs": ["link"]}
        await ask("GET", EXECUTIONS, 200, params={"pageSize": "100"})
        page = (await ask("GET", "/api/v1/task-command-rejections", 200, params={"pageSize": "100"})).json()
        assert page["total"] > 40
        for item in page["items"]:
            place = f"{item['position']['partition']}:{item['position']['offset']}"
            await ask("GET", f"/api/v1/task-command-rejections/{place}", 200)
    return answers


async def test_a_secret_is_nowhere_but_in_the_commands(tmp_path: Path) -> None:
    keys, data = tmp_path / "keys.json", tmp_path / "data"
    keys.write_text(json.dumps(KEYS), encoding="utf-8")
    with up(data, TASKEXEC_SENSITIVE_KEY_FILE=str(keys), TASKEXEC_LOG_LEVEL="DEBUG") as service:
        async with a_world(service.kafka) as world:
            await world.define(DEFINITION, DRAFT)
            flawed = {**DEFINITION, "taskId": "secrets:default"}
            flawed["inputVariables"] = [{**DEFINITION["inputVariables"][3], "defaultValue": {"a": "in clear"}}]
            await world.define(flawed)
            await over_kafka(world)
            answers = await over_http(service)
            topics = {topic.name: list(chain(*map(bytes_of, await world.read(topic.name)))) for topic in TOPICS}
            lines = [service.run(*line).stdout for line in (["list", "--json"], ["rejections", "list", "--json"])]
        await_end(service)
    written = {
        **topics,
        "answers": [*answers, *(line.encode() for line in lines)],
        "log": ["".join(service.said).encode()],
        "tables": [row.encode() async for row in rows(data / "clickhouse")],
        "files": [*files(data, leave_out=COMMANDS_TOPIC)],
    }
    assert found(CORE, *written.pop(COMMANDS_TOPIC))
    assert {what for what, places in written.items() if found(CORE, *places)} == set()
    shows = {what for what, places in written.items() if found(PLAIN, *places)}
    assert shows >= {EVENTS_TOPIC, REJECTIONS_TOPIC, REPLIES_TOPIC, "answers", "tables"}
    assert written[STATE_TOPIC]
    assert written["files"]


def await_end(service: Up) -> None:
    service.process.terminate()
    service.process.wait(60)


async def rows(directory: Path) -> Any:
    """Every row of every table."""
    driver = connect(f"chdb://{directory}")
    try:
        for table in await driver.query("SELECT name FROM system.tables WHERE database = currentDatabase()"):
            for row in await driver.query(f"SELECT * FROM {table['name']}"):  # noqa: S608 - the tables are ours
                yield repr(row)
    finally:
        await driver.close()


def files(directory: Path, leave_out: str) -> Iterable[bytes]:
    """The bytes of all files but this topic's. What is in compressed ones is searched elsewhere."""
    for file in directory.rglob("*"):
        if file.is_file() and leave_out not in str(file):
            yield file.read_bytes()
