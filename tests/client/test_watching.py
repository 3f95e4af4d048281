"""Following an execution over HTTP: each event once, whatever breaks; and nothing is asked again and again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from service.client import InvalidRequestError, NotFoundError, ServiceUnavailableError, TaskExecutions, over_http
from service.kafka.murmur2 import partition_of
from tests.api.scripted import ID, METADATA, ScriptedCommands, ScriptedQueries
from tests.cli.conftest import serving
from tests.cli.standing_in import BROKEN, UNBORN, StandIn, message, place

REFUSED, AWAY = [{"refusal": 400}], [{"refusal": 503}]
PARTITION = partition_of(ID.encode(), 4)


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn().serving() as running:
        yield running


@pytest.fixture
async def client(service: StandIn) -> AsyncIterator[TaskExecutions]:
    async with TaskExecutions.over_http(service.url) as client:
        yield client


def told(sequence: int, offset: int, type_: str, status: str) -> dict[str, Any]:
    """As the stream has it."""
    one = message(offset, type_, status, ID, {"sequence": sequence})
    return one | {"position": f"{PARTITION}:{offset}"}


def kept(sequence: int, offset: int, type_: str, status: str) -> dict[str, Any]:
    """As a history has it."""
    place = {"partition": PARTITION, "offset": offset}
    type_ = f"TaskExecution{type_}"
    data = {"sequence": sequence, "taskId": "a:b"}
    return {"type": type_, "time": METADATA["createdAt"], "status": status, "position": place, "data": data}


CREATED, STARTED = (1, 3, "Created", "PENDING"), (2, 6, "Started", "RUNNING")
PROGRESSED, FAILED = (3, 8, "Progressed", "RUNNING"), (4, 9, "Failed", "FAILURE")


async def watched(client: TaskExecutions) -> list[tuple[int, str]]:
    async with asyncio.timeout(20):
        return [(event.data["sequence"], str(event.position)) async for event in client.watch(ID)]


ALL = [(one[0], f"{PARTITION}:{one[1]}") for one in (CREATED, STARTED, PROGRESSED, FAILED)]


async def test_the_history_is_asked_for_once_and_then_the_stream_tells(
    service: StandIn, client: TaskExecutions
) -> None:
    service.history = [kept(*CREATED), kept(*STARTED)]
    service.streams = [[told(*STARTED), told(*PROGRESSED), told(*FAILED)]]
    assert await watched(client) == ALL
    assert service.histories == [f"{PARTITION}:4"]
    assert service.connections == [{"resume": None, "query": [("executionId", ID), ("payloads", "true")]}]


async def test_a_connection_that_breaks_is_made_again_from_where_it_was(
    service: StandIn, client: TaskExecutions
) -> None:
    service.history = [kept(*CREATED)]
    service.streams = [[UNBORN], [BROKEN], [told(*STARTED)], [told(*PROGRESSED), BROKEN], [told(*FAILED)]]
    assert await watched(client) == ALL
    assert [one["resume"] for one in service.connections] == [None, None, place(5), place(7), place(9)]
    assert service.histories == [f"{PARTITION}:4"]


async def test_a_place_that_kafka_has_lost_is_made_up_for_by_the_history(
    service: StandIn, client: TaskExecutions
) -> None:
    service.history = [kept(*CREATED), kept(*STARTED), kept(*PROGRESSED)]
    service.streams = [[told(*STARTED)], REFUSED, [told(*FAILED)]]
    assert await watched(client) == ALL
    assert [one["resume"] for one in service.connections] == [None, place(7), None]
    assert len(service.histories) == 2


async def test_a_question_that_is_refused_is_not_asked_again(service: StandIn, client: TaskExecutions) -> None:
    service.streams = [REFUSED]
    with pytest.raises(InvalidRequestError):
        await watched(client)
    assert len(service.connections) == 1


async def test_what_is_away_for_too_long_is_told(
    service: StandIn, client: TaskExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.history = [kept(*CREATED)]
    service.streams = [[BROKEN], AWAY, [BROKEN], AWAY]
    watching = asyncio.create_task(watched(client))
    while len(service.connections) < 6:
        await asyncio.sleep(0.01)
    assert not watching.done(), "it is not away for too long yet"
    monkeypatch.setattr(over_http, "_OUTAGE_SECONDS", 0.3)
    with pytest.raises(ServiceUnavailableError, match="unavailable"):
        await watching
    async with TaskExecutions.over_http("http://127.0.0.1:1") as nobody:
        with pytest.raises(ServiceUnavailableError, match="can't be reached"):
            await watched(nobody)


async def test_an_api_without_the_stream_says_that_it_is_too_old() -> None:
    with serving(ScriptedCommands(), ScriptedQueries()) as url:
        async with TaskExecutions.over_http(url) as client:
            with pytest.raises(NotFoundError, match="no task-executions/events: it is older than this client"):
                await watched(client)


async def test_any_number_is_followed_and_commands_still_go_through(service: StandIn, client: TaskExecutions) -> None:
    """More than httpx2 has connections, unless it is told."""
    service.history = [kept(*CREATED)]
    service.streams = [[]]
    watching = [asyncio.create_task(watched(client)) for _ in range(110)]
    while len(service.connections) < len(watching):
        await asyncio.sleep(0.05)
    assert (await client.get(ID)).id == ID
    for one in watching:
        one.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
