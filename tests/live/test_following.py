"""service.live and its route: what happens is told once to each reader, whatever comes between."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from service.contracts.status import Status
from service.embedded.broker import EmbeddedBroker
from service.kafka.tailing import tailing
from service.live import following as live_following
from service.live import metrics
from service.live.following import LiveFollower
from tests.client.published import PARTITIONS, EventsTopic, an_events_topic
from tests.live.conftest import PATH, Message, a_follower, an_api, following, next_told
from tests.queries.lives import execution_id, life


@pytest.fixture
async def live(topic: EventsTopic) -> AsyncIterator[LiveFollower]:
    async with a_follower(topic) as live:
        yield live


@pytest.fixture
async def url(live: LiveFollower) -> AsyncIterator[str]:
    async with an_api(live) as url:
        yield url


async def test_who_follows_is_told_what_happens_from_now_on(url: str, topic: EventsTopic) -> None:
    await topic.publish(life("before"))
    await topic.publish(life("never"), abort=True)  # begins when what was committed before can be read
    async with following(url) as stream:
        first = await anext(stream)
        assert first["retry"] == "2000"
        await topic.publish(life("a", Status.SUCCESS, inputs={"day": 1}, outputs={"rows": 3}))
        told = [await next_told(stream) for _ in range(3)]
    created, _, succeeded = told
    assert created["event"] == "TaskExecutionCreated"
    partition, offset = created.told["position"].split(":")
    assert created["id"].split(",")[int(partition)] == f"{partition}:{int(offset) + 1}"
    assert succeeded.told.pop("data") == {
        "schemaVersion": 2, "executionId": execution_id("a"), "sequence": 3, "occurredAt": "2026-03-02T09:30:03.000Z",
        "status": "SUCCESS", "previousStatus": "RUNNING", "taskId": "etl:load", "taskVersion": "1.0.0",
        "createdBy": "ana", "createdAt": "2026-03-02T09:30:00.000Z", "tags": [],
        "startedAt": "2026-03-02T09:30:01.000Z", "completedAt": "2026-03-02T09:30:03.000Z",
    }  # fmt: skip
    assert {**succeeded.told, "data": 0} == {
        "type": "TaskExecutionSucceeded", "time": "2026-03-02T09:30:03.000Z", "executionId": execution_id("a"),
        "sequence": 3, "status": "SUCCESS", "position": succeeded.told["position"], "data": 0,
    }  # fmt: skip


async def test_who_wants_payloads_gets_them(url: str, topic: EventsTopic) -> None:
    async with following(url, payloads="true") as stream:
        await anext(stream)
        await topic.publish(life("a", Status.SUCCESS, inputs={"day": 1}, outputs={"text": "two\nlines"}))
        told = [(await next_told(stream)).told["data"] for _ in range(3)]
    assert (told[0]["resolvedInputs"], told[2]["outputs"]) == ({"day": 1}, {"text": "two\nlines"})


async def test_what_does_not_fit_is_not_told(url: str, topic: EventsTopic) -> None:
    filters: dict[str, Any] = {
        "taskId": "etl:load",
        "tag": ["a", "b"],
        "status": ["FAILURE", "STOPPED"],
        "createdBy": "ana",
    }
    async with following(url, None, **filters, taskVersion="1.0.0", createdFrom="2026-03-02T09:30:00Z") as stream:
        await anext(stream)
        for name, fields in (
            ("task", {"task_id": "etl:other"}), ("version", {"task_version": "1.0.1"}), ("tag", {"tags": ("a",)}),
            ("by", {"created_by": "bo"}), ("fits", {}),
        ):  # fmt: skip
            await topic.publish(life(name, Status.FAILURE, **({"tags": ("b", "a", "c")} | fields)))
        assert (await next_told(stream)).told["executionId"] == execution_id("fits")
    async with following(
        url, executionId=[execution_id("x"), execution_id("y")], type="TaskExecutionStarted"
    ) as stream:
        await anext(stream)
        await topic.publish([*life("z"), *life("y")])
        told = (await next_told(stream)).told
        assert (told["executionId"], told["sequence"]) == (execution_id("y"), 2)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"text": "disk"}, "#/query/text"),
        ({"type": "TaskExecutionExploded"}, "#/query/type/0"),
        ({"lastEventId": "0:1"}, "#/lastEventId"),
        ({"lastEventId": "1:0,0:0"}, "#/lastEventId"),
        ({"lastEventId": "0:0,1:x"}, "#/lastEventId"),
        ({"lastEventId": "0:9999,1:0"}, "#/lastEventId"),
    ],
)
async def test_what_cannot_be_told_is_refused(url: str, query: dict[str, str], pointer: str) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        response = await client.get(PATH, params=query)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_a_place_behind_the_mark_of_a_transaction_is_known_without_asking_kafka(
    live: LiveFollower, url: str, topic: EventsTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read side counts marks, too: what is shown ends there, and is followed from there on."""
    async with following(url) as stream:
        await anext(stream)
        await topic.publish(life("a"))
        last = await next_told(stream)
        async with tailing(topic.kafka, PARTITIONS) as tail:
            place = ",".join(f"{number}:{offset}" for number, offset in sorted(tail.ends.items()))
        assert place != last["id"]
        async with asyncio.timeout(60):
            while [live._tail and await live._tail.position(number) for number in tail.ends] != [*tail.ends.values()]:
                await asyncio.sleep(0.01)
        monkeypatch.setattr(live_following, "tailing", None)
        async with following(url, lastEventId=place) as another:
            assert (await anext(another))["id"] == place
            await topic.publish(life("b"))
            assert (await next_told(another)).told["executionId"] == execution_id("b")


async def test_the_head_of_the_stream_ends(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        response = await client.head(PATH)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")


async def test_who_hears_nothing_hears_that_all_is_well(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_following, "_ALIVE_SECONDS", 0.1)
    monkeypatch.setattr(live_following, "_NEWS_SECONDS", 0.1)
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client, client.stream("GET", PATH) as response:
        lines = response.aiter_lines()
        async with asyncio.timeout(60):
            assert [line async for line in _until(lines, ": alive")][-1] == ": alive"


async def _until(lines: AsyncIterator[str], last: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line == last:
            return


async def test_readers_that_went_away_are_forgotten(url: str, live: LiveFollower) -> None:
    for _ in range(3):
        async with following(url) as stream:
            await anext(stream)
            assert live.readers == 1
        async with asyncio.timeout(60):
            while live.readers:
                await asyncio.sleep(0.01)


async def test_streams_end_when_the_process_does(topic: EventsTopic) -> None:
    async with asyncio.timeout(60), a_follower(topic) as live:
        async with an_api(live) as url:
            stream = following(url)
            messages = await stream.__aenter__()
            await anext(messages)
        assert [message async for message in messages] == []
        await stream.__aexit__(None, None, None)


class Watcher:
    """Follows through several processes, one after the other, and loses its connection again and again."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a test's
        self.last: str | None = None
        self.positions: list[str] = []

    async def watch(self, urls: list[str], until: int) -> None:
        while len(self.positions) < until:
            with suppress(httpx2.TransportError, StopAsyncIteration):
                async with following(self._random.choice(urls), self.last) as stream:
                    for _ in range(self._random.randrange(1, 200)):
                        message = await asyncio.wait_for(anext(stream), 20)
                        self._note(message)
                        if len(self.positions) >= until:
                            return
            await asyncio.sleep(self._random.random() / 20)

    def _note(self, message: Message) -> None:
        self.last = message.get("id", self.last)
        if "data" in message:
            self.positions.append(message.told["position"])


async def test_who_comes_back_misses_nothing_and_hears_nothing_twice(topic: EventsTopic) -> None:
    executions, watchers = 400, [Watcher(seed) for seed in range(6)]

    async def publish() -> None:
        for number in range(executions // 4):
            await topic.publish([event for name in range(4) for event in life((number, name))], abort=number % 5 == 0)
            if number % 5 == 0:
                await topic.publish([event for name in range(4) for event in life((number, name))])
            await asyncio.sleep(0.01)

    async with asyncio.timeout(300), a_follower(topic, max_entries=50) as first, an_api(first) as one:
        async with a_follower(topic, max_entries=50) as second, an_api(second) as two:
            urls = [one, two]
            for watcher in watchers:
                async with following(one) as stream:
                    watcher.last = (await anext(stream))["id"]
            watching = [asyncio.create_task(watcher.watch(urls, 3 * executions)) for watcher in watchers]
            publishing = asyncio.create_task(publish())
            await asyncio.sleep(0.5)
        async with (
            a_follower(topic, max_entries=50) as third,
            an_api(third) as two,
        ):  # it was killed, and is there again
            urls[1] = two
            await publishing
            await asyncio.gather(*watching)
    for watcher in watchers:
        assert len(set(watcher.positions)) == len(watcher.positions) == 3 * executions
    assert len({frozenset(watcher.positions) for watcher in watchers}) == 1


async def test_a_reader_that_never_reads_harms_nobody(topic: EventsTopic) -> None:
    slow_before = metrics.TOO_SLOW._value.get()
    async with a_follower(topic, max_entries=100) as live, an_api(live) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.connect((host, int(port)))
            silent.sendall(
                f"GET {PATH}?payloads=true HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            async with following(url) as stream:
                await anext(stream)
                while live.readers < 2:
                    await asyncio.sleep(0.01)
                large = {"text": "x" * 100_000}
                for number in range(150):
                    await topic.publish(life(number, inputs=large))
                    for sequence in (1, 2, 3):
                        assert (await next_told(stream)).told["sequence"] == sequence
                # Now it reads, and finds that it is to come back.
                silent.settimeout(0)
                loop = asyncio.get_running_loop()
                received = bytearray()
                async with asyncio.timeout(60):
                    while piece := await loop.sock_recv(silent, 1 << 20):
                        received += piece
            ids = [line for line in received.split(b"\n") if line.startswith(b"id: ")]
            assert 1 < len(ids) < 450
        assert metrics.TOO_SLOW._value.get() == slow_before + 1


async def test_kafka_goes_and_comes_back_and_the_stream_goes_on(tmp_path: Path) -> None:
    async with asyncio.timeout(300), AsyncExitStack() as stack:
        async with EmbeddedBroker(tmp_path, port=0) as broker:
            servers, port = broker.bootstrap_servers, int(broker.bootstrap_servers.rpartition(":")[2])
            async with an_events_topic(servers) as topic:
                live = await stack.enter_async_context(a_follower(topic))
                url = await stack.enter_async_context(an_api(live))
                stream = await stack.enter_async_context(following(url))
                await anext(stream)
                await topic.publish(life("a"))
                assert [await told_of(stream) for _ in range(3)] == 3 * [execution_id("a")]
        async with (
            EmbeddedBroker(tmp_path, port=port),
            AIOKafkaProducer(bootstrap_servers=servers, transactional_id="anew") as topic.producer,
        ):
            await topic.publish(life("b"))
            assert [await told_of(stream) for _ in range(3)] == 3 * [execution_id("b")]


async def told_of(stream: AsyncIterator[Message]) -> str:
    return str((await next_told(stream)).told["executionId"])
