"""The whole service on a Kafka that lets in only whom it knows."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.abc import AbstractTokenProvider
from httpx2 import AsyncClient

from service.bootstrap import running_service
from service.client import CommandClient
from service.client.definitions import publish_definitions
from service.contracts.commands import ExecuteTask
from service.contracts.definitions import TaskDefinition
from service.contracts.replies import CommandUnansweredError, Outcome
from service.contracts.topics import EVENTS_TOPIC
from service.handling.handler import HandlerOptions, running_handler
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import KafkaRefusedError
from service.kafka.provisioning import ensure_topics
from service.kafka.security import Sasl, Security, Tls
from service.runtime.running import Role
from service.settings import Settings
from tests.e2e.process import clean_environment, taskexec
from tests.handling.world import QUICK
from tests.secured_broker import KEY_PASSWORD, PASSWORD, PREFIX, USER, WRONG, SecuredBroker, environments, token

WAYS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "certificate")
TASK = {"taskId": "a:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
EXECUTE = {"taskId": "a:task", "taskVersion": "1.0.0", "inputs": {}}


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SecuredBroker]:
    async with SecuredBroker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


@pytest.fixture
def definition(tmp_path: Path) -> str:
    file = tmp_path / "definition.json"
    file.write_text(json.dumps(TASK))
    return str(file)


@pytest.mark.parametrize("way", WAYS)
async def test_from_command_to_answer(
    broker: SecuredBroker, way: str, definition: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way has a prefix of its own: in each of these installations, what is counted is its own."""
    environment = environments(broker)[way] | {
        "TASKEXEC_PREFIX": f"{PREFIX}{way.lower()}.",
        "TASKEXEC_PARTITIONS": "1",
        "CLICKHOUSE_DSN": f"chdb://{tmp_path}/clickhouse",
        "TASKEXEC_HTTP_PORT": "0",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    async with running_service(settings, tuple(Role)) as running, CommandClient(settings.kafka, "/tests") as client:
        published = taskexec("definitions", "publish", definition, environment=clean_environment() | environment)
        assert published.returncode == 0, published.stderr
        reply = await client.submit(ExecuteTask(task_id="a:task", task_version="1.0.0", inputs={}))
        assert reply.outcome == Outcome.ACCEPTED
        async with AsyncClient(base_url=running.url or "", timeout=60) as http:
            executions = "/api/v1/task-executions"
            refused = await http.post(executions, json=EXECUTE | {"taskId": "no:task"})
            executed = await http.post(executions, json=EXECUTE)
            position = executed.headers["task-execution-position"]
            listed = await http.get(executions, params={"minPosition": position})
    assert (refused.status_code, executed.status_code) == (422, 201)
    assert listed.json()["total"] == 2


@pytest.mark.parametrize(
    ("way", "changed", "said"),
    [
        ("PLAIN", {"KAFKA_SASL_PASSWORD_FILE": "wrong-password"}, "Invalid username or password. Check KAFKA_SASL_"),
        ("SCRAM-SHA-512", {"KAFKA_SASL_PASSWORD_FILE": "wrong-password"}, "invalid credentials"),
        ("OAUTHBEARER", {"KAFKA_SASL_OAUTHBEARER_TOKEN_FILE": "expired-token"}, "the token was refused"),
        ("OAUTHBEARER", {"KAFKA_SASL_OAUTHBEARER_TOKEN_FILE": "no-token"}, "no-token can't be read: No such file"),
        ("certificate", {"KAFKA_SSL_CA_FILE": "other-ca.pem"}, "its certificate is not trusted"),
        ("certificate", dict.fromkeys(("CERT_FILE", "KEY_FILE", "KEY_PASSWORD_FILE")), "TLS fails: "),
    ],
)
def test_who_is_not_let_in_ends_at_once_with_one_line(
    broker: SecuredBroker, definition: str, way: str, changed: dict[str, str | None], said: str
) -> None:
    environment = clean_environment() | environments(broker)[way] | {"TASKEXEC_LOG_LEVEL": "DEBUG"}
    for name, file in changed.items():
        if file is None:
            del environment[f"KAFKA_SSL_{name}"]
        else:
            environment[name] = broker.files[file]
    command = ["definitions", "publish", definition] if way == "certificate" else ["handler", "--processes", "1"]
    ran = taskexec(*command, environment=environment)
    assert ran.returncode == 3
    (line,) = [line for line in ran.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith("Error: Kafka at 127.0.0.1:")
    assert said in line
    token_ = Path(broker.files["expired-token"]).read_text(encoding="utf-8")
    assert [secret for secret in (PASSWORD, WRONG, KEY_PASSWORD, token_) if secret in ran.stderr] == []


def test_who_may_not_have_topics_is_told(broker: SecuredBroker) -> None:
    environment = environments(broker)["PLAIN"] | {"TASKEXEC_PREFIX": "eu-2."}
    ran = taskexec("handler", "--processes", "2", environment=clean_environment() | environment)
    assert ran.returncode == 3
    (line,) = [line for line in ran.stderr.splitlines() if not line.startswith("{")]
    assert "does not let us have our topics: " in line
    assert "TopicAuthorizationFailedError: eu-2.task-execution" in line


@pytest.mark.parametrize(
    ("way", "changed"),
    [
        ("PLAIN", {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}),
        ("PLAIN", {"KAFKA_SECURITY_PROTOCOL": "SSL"}),
        ("certificate", {"KAFKA_BOOTSTRAP_SERVERS": "open"}),
    ],
)
async def test_another_protocol_is_tried_for_a_while_for_it_may_be_a_broker_that_ends(
    broker: SecuredBroker, way: str, changed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = environments(broker)[way] | changed
    if changed == {"KAFKA_BOOTSTRAP_SERVERS": "open"}:
        environment["KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
    used = {"PLAINTEXT": (), "SSL": ("KAFKA_SSL_",)}[environment["KAFKA_SECURITY_PROTOCOL"]]
    for name, value in environment.items():
        if name.startswith((*used, "KAFKA_BOOT", "KAFKA_SECURITY")):
            monkeypatch.setenv(name, value)
    began = asyncio.get_running_loop().time()
    with pytest.raises(KafkaRefusedError, match="it closes the connection") as refused:
        await ensure_topics(Settings().kafka, 1, patience=0.5)
    assert not refused.value.for_good
    assert asyncio.get_running_loop().time() - began > 0.2


async def test_the_state_is_made_anew_under_the_same_rights(broker: SecuredBroker) -> None:
    environment = environments(broker)["SCRAM-SHA-256"] | {
        "TASKEXEC_PREFIX": f"{PREFIX}rebuilt.", "TASKEXEC_PARTITIONS": "2",
    }  # fmt: skip
    tls, sasl = Tls(Path(broker.files["ca.pem"])), Sasl("PLAIN", USER, Path(broker.files["password"]))
    kafka = Kafka(broker.sasl, f"{PREFIX}rebuilt.", Security(tls, sasl))
    await ensure_topics(kafka, 1)
    await publish_definitions(kafka, [TaskDefinition.model_validate(TASK)])
    command = ExecuteTask(task_id="a:task", task_version="1.0.0", inputs={})
    outcomes = []
    for partitions in (1, 2):
        async with (
            running_handler(HandlerOptions(kafka, partitions, timeouts=QUICK)),
            CommandClient(kafka, "/t") as client,
        ):
            outcomes.append((await client.submit(command, id_="1")).outcome)
        if partitions == 1:
            rebuild = ("state", "rebuild", "--yes")
            ran = await asyncio.to_thread(taskexec, *rebuild, environment=clean_environment() | environment)
            assert (ran.returncode, ran.stderr.splitlines()[-1][:28]) == (0, "The state has 1 executions a"), ran.stderr
    assert outcomes == [Outcome.ACCEPTED, Outcome.DUPLICATE]


ENOUGH = 10


class ShortTokens(AbstractTokenProvider):
    """Tokens that live for seconds: Kafka closes every connection when the one that it was made with ends."""

    made = 0

    async def token(self) -> str:
        ShortTokens.made += 1
        return token(seconds=3)


async def test_tokens_that_end_lose_and_double_nothing(broker: SecuredBroker) -> None:
    """aiokafka does not authenticate again on an open connection: each is cut, transactions as well."""
    tls, sasl = Tls(Path(broker.files["ca.pem"])), Sasl("OAUTHBEARER", tokens=ShortTokens())
    kafka = Kafka(broker.sasl, f"{PREFIX}short.", Security(tls, sasl))
    command = ExecuteTask(task_id="a:task", task_version="1.0.0", inputs={})
    await ensure_topics(kafka, 2)
    await publish_definitions(kafka, [TaskDefinition.model_validate(TASK)])
    options = HandlerOptions(kafka, 2, timeouts=QUICK)
    sent = 0
    async with running_handler(options) as handler, CommandClient(kafka, "/tests", timeout=5) as client:
        end = asyncio.get_running_loop().time() + 12
        while asyncio.get_running_loop().time() < end or sent <= ENOUGH:
            await eventually_answered(client, command, str(sent))
            sent += 1
        assert not handler.task.done()
    assert ShortTokens.made > 3 * 4
    consumer = AIOKafkaConsumer(
        kafka.topic(EVENTS_TOPIC), bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest",
        isolation_level="read_committed", group_id=None,
    )  # fmt: skip
    async with consumer:
        events = [record async for record in until_the_end(consumer)]
    assert len(events) == len({record.key for record in events}) == sent


async def eventually_answered(client: CommandClient, command: ExecuteTask, id_: str) -> None:
    while True:
        with suppress(CommandUnansweredError):
            assert (await client.submit(command, id_=id_)).outcome in {Outcome.ACCEPTED, Outcome.DUPLICATE}
            return


async def until_the_end(consumer: AIOKafkaConsumer) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
    ends = await consumer.end_offsets(consumer.assignment())
    while any([await consumer.position(tp) < end for tp, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                yield record
