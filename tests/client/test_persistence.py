"""Answers get lost on the way; whatever is lost, each command is carried out once."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.conn import create_conn
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]  # it is not annotated so
from uuid_utils.compat import uuid7

from service.client import CommandUnansweredError, NotFoundError, ServiceUnavailableError, TaskExecutions, retrying
from service.client.replies import PendingReplies
from service.contracts import topics
from service.kafka import reply_topics
from tests.client.relay import a_cutter, a_relay
from tests.client.service import INPUTS, TASK, VERSION, Service, a_service
from tests.faults.proxy import a_proxy
from tests.handling.world import World, a_world, body

PRODUCE = 0
"""The API key of the request."""

CUT = b""
GONE = b"HTTP/1.1 503 Gone Fishing\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FOREIGN = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NEWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\nConnection: close\r\n\r\n{"id":1}'


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with a_service(tmp_path_factory.mktemp("persistence")) as service:
        yield service


@pytest.fixture(scope="module")
async def world(service: Service) -> AsyncIterator[World]:
    async with a_world(service.kafka) as world:
        yield world


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch) -> list[bytes | None]:
    """What comes instead of one answer after the other; at the end, all arrive. Over Kafka, they only get lost."""
    losses: list[bytes | None] = []
    deliver = PendingReplies._deliver

    def sometimes(self: PendingReplies, record: Any) -> None:
        expected = any(value in self._expected for name, value in record.headers if name == "correlation_id")
        if not expected or not losses or losses.pop() is None:
            deliver(self, record)

    monkeypatch.setattr(PendingReplies, "_deliver", sometimes)
    monkeypatch.setattr(retrying, "PATIENCE_SECONDS", 0.5)
    return losses


@pytest.fixture(params=["kafka", "http"])
async def client(
    service: Service, lossy: list[bytes | None], request: pytest.FixtureRequest
) -> AsyncIterator[TaskExecutions]:
    if request.param == "kafka":
        async with service.client("kafka", timeout=60) as client:
            yield client
    else:
        async with (
            a_relay(service.url, lambda: lossy.pop() if lossy else None) as relay,
            TaskExecutions.over_http(relay.own_url, timeout=60) as client,
        ):
            yield client


@pytest.mark.parametrize("seed", range(3))
async def test_each_command_is_carried_out_once(
    world: World, client: TaskExecutions, lossy: list[bytes | None], seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a seeded model
    lossy += rng.choices([None, CUT, GONE], k=30)

    async def life() -> str:
        made = await client.execute(TASK, VERSION, INPUTS)
        await client.start(made.id)
        return (await client.succeed(made.id, {"rows": 3})).id

    ids = await asyncio.gather(*(life() for _ in range(8)))
    assert not lossy  # all were lost that should be
    assert len(set(ids)) == 8
    for id_ in ids:
        events = [body(record)["status"] for record in await world.events(id_)]
        assert events == ["PENDING", "RUNNING", "SUCCESS"]


async def test_all_that_was_made_is_what_was_asked_for(
    world: World, client: TaskExecutions, lossy: list[bytes | None]
) -> None:
    """No second execution under another id, either."""
    lossy += [CUT] * 4
    tag = str(uuid7())
    made = await client.execute(TASK, VERSION, INPUTS, tags=[tag])
    created = [
        body(record)["executionId"] for record in await world.read(topics.EVENTS_TOPIC) if tag in str(record.value)
    ]
    assert created == [made.id]


async def test_a_produce_request_that_comes_late_is_the_same_command(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_proxy(service.kafka) as proxy:

        def through(host: str, port: int, **options: Any) -> Any:
            behind = options["client_id"].startswith("aiokafka-producer")
            return create_conn(host, proxy.own_port if behind else port, **options)

        monkeypatch.setattr("aiokafka.client.create_conn", through)
        monkeypatch.setattr(retrying, "PATIENCE_SECONDS", 0.5)
        async with service.client("kafka", timeout=60) as client:
            await client.execute(TASK, VERSION, INPUTS)
            monkeypatch.undo()
            monkeypatch.setattr("aiokafka.client.create_conn", through)
            proxy.hold(PRODUCE)
            made = await client.execute(TASK, VERSION, INPUTS)
            assert proxy.held.is_set()
            await proxy.release()
            await world.settled()
        assert len(await world.events(made.id)) == 1


async def test_a_command_that_stays_unanswered_can_be_gone_on_with(
    service: Service, client: TaskExecutions, lossy: list[bytes | None]
) -> None:
    for seconds in (1.2, 6, 30):  # on a slow machine, a reply may come too late to be lost
        lossy[:] = [CUT] * 1_000
        with pytest.raises(CommandUnansweredError) as unanswered:
            await client.execute(TASK, VERSION, INPUTS, timeout=seconds)
        if len(lossy) < 999:
            break
    assert len(lossy) < 999  # it was tried again
    lossy.clear()
    key = unanswered.value.id
    made = await client.execute(TASK, VERSION, INPUTS, idempotency_key=key)
    assert made.duplicate


async def test_who_watches_misses_nothing_however_often_the_connection_breaks(service: Service) -> None:
    rng = random.Random(7)  # noqa: S311 - a seeded model
    async with a_cutter(service.url) as cutter, TaskExecutions.over_http(cutter.own_url) as client:
        async with service.client("http") as other:
            made = await other.execute(TASK, VERSION, INPUTS)
            await other.start(made.id, owner="w")
            await other.get(made.id)  # the read side has it
            watching = asyncio.create_task(_sequences(client, made.id))
            for beat in range(12):
                await other.heartbeat(made.id, "w", progress=beat / 12)
                await asyncio.sleep(rng.random() / 2)
                if rng.random() < 0.7:
                    cutter.cut()
            await other.succeed(made.id, {"rows": 3}, owner="w")
        assert await watching == list(range(1, 16))


async def _sequences(client: TaskExecutions, execution_id: str) -> list[int]:
    return [event.data["sequence"] async for event in client.watch(execution_id)]


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [(FOREIGN, NotFoundError, "not a task execution service"), (NEWER, ServiceUnavailableError, "too old")],
)
async def test_an_answer_that_is_none_is_not_asked_for_again(
    service: Service, answer: bytes, error: type[Exception], told: str
) -> None:
    answers = [answer]
    async with a_relay(service.url, answers.pop) as relay, TaskExecutions.over_http(relay.own_url) as client:
        with pytest.raises(error, match=told):
            await client.get(str(uuid7()))


async def test_a_program_has_a_reply_topic_of_its_own(service: Service, world: World) -> None:
    source = f"https://example.org/{uuid7()}"
    name = f"task-execution.replies.{source.replace('://', '-').replace('/', '-')}"
    async with TaskExecutions.over_kafka(service.kafka, source) as client:
        await client.execute(TASK, VERSION, INPUTS)
    async with TaskExecutions.over_kafka(service.kafka, source) as client:  # the topic is there
        made = await client.execute(TASK, VERSION, INPUTS)
    replies = await world.read_all(name)
    assert [body(record)["taskExecution"]["id"] for record in replies][1:] == [made.id]
    configs = await asyncio.to_thread(_configs, world, name)
    assert (configs["retention.ms"], configs["cleanup.policy"]) == ("3600000", "delete")


def _configs(world: World, topic: str) -> dict[str, str]:
    resource = ConfigResource("topic", topic)
    (found,) = world.admin.describe_configs([resource]).values()
    return {name: entry.value for name, entry in found.result(10).items()}


async def test_who_may_not_make_topics_shares_the_services(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forbidden(*_: object) -> None:
        raise TopicAuthorizationFailedError("no")

    monkeypatch.setattr(reply_topics, "create", forbidden)
    before = len(await world.read(topics.REPLIES_TOPIC))
    async with TaskExecutions.over_kafka(service.kafka, f"/{uuid7()}") as client:
        await client.execute(TASK, VERSION, INPUTS)
    assert len(await world.read(topics.REPLIES_TOPIC)) == before + 1
