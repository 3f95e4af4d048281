import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from service.api.app import create_app
from service.api.server import http_server
from service.live.following import LiveFollower
from service.runtime.tasks import running_task
from tests.api.scripted import ScriptedCommands, ScriptedQueries
from tests.client.published import PARTITIONS, EventsTopic, an_events_topic

PATH = "/api/v1/task-executions/events"


@pytest.fixture
async def topic(kafka: str) -> AsyncIterator[EventsTopic]:
    async with an_events_topic(kafka) as topic:
        yield topic


@asynccontextmanager
async def a_follower(topic: EventsTopic, **options: Any) -> AsyncIterator[LiveFollower]:
    follower = LiveFollower(topic.kafka, PARTITIONS, **options)
    async with running_task(follower.run(), "live"):
        yield follower


@asynccontextmanager
async def an_api(live: LiveFollower) -> AsyncIterator[str]:
    """An API process, but for the process: its address. It ends as `taskexec api` does."""
    app = create_app(ScriptedCommands(), ScriptedQueries(), {}, live=live)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = http_server(app, "127.0.0.1", 0)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            live.close()
            server.should_exit = True
            await serving


class Message(dict[str, str]):
    """The fields of a server-sent event; one without `data` only says where the reader is."""

    @property
    def told(self) -> Any:
        return json.loads(self["data"])


@asynccontextmanager
async def following(url: str, last: str | None = None, **query: Any) -> AsyncIterator[AsyncIterator[Message]]:
    """The messages of a stream; the first one is without data."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with (
        httpx2.AsyncClient(base_url=url, timeout=None) as client,
        client.stream("GET", PATH, params=query, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield messages(response)


async def messages(response: httpx2.Response) -> AsyncIterator[Message]:
    message = Message()
    async for line in response.aiter_lines():
        if not line:
            yield message
            message = Message()
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            message[name] = value


async def next_told(stream: AsyncIterator[Message]) -> Message:
    async with asyncio.timeout(60):
        while "data" not in (message := await anext(stream)):
            pass
    return message
