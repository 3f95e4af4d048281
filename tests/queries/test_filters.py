"""Every filter that is declared filters: over HTTP, on a real engine, and on the command line."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import httpx2
import pytest
from typer.main import get_command

from service.api.app import create_app
from service.cli.main import app
from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.domain.view import view
from service.ports.filters import Filters
from service.queries.executions import TaskExecutionQueries
from tests.api.scripted import ScriptedCommands
from tests.queries.conftest import Publish
from tests.queries.lives import T0, life

CASES: dict[str, tuple[str, Callable[[TaskExecution], bool]]] = {
    "task_id": ("ml:train", lambda one: one.task_id == "ml:train"),
    "status": ("FAILURE", lambda one: one.status is Status.FAILURE),
    "created_by": ("bo", lambda one: one.metadata.created_by == "bo"),
    "tag": ("nightly", lambda one: "nightly" in one.metadata.tags),
}
"""Of each filter, a value that some executions fit, and what fits it."""

LIVES = [
    life(
        number,
        list(Status)[number % 6],
        at=T0 + timedelta(minutes=number),
        task_id=("etl:load", "ml:train")[number % 2],
        created_by=("ana", "bo", "cy")[number % 3],
        tags=((), ("nightly", "x"), ("x",), ("nightly",))[number % 4],
    )
    for number in range(48)
]


def test_there_is_a_case_for_every_filter() -> None:
    assert CASES.keys() == Filters.model_fields.keys()


@pytest.fixture
async def http(queries: TaskExecutionQueries) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(create_app(ScriptedCommands(), queries, {}), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_every_filter_filters(http: httpx2.AsyncClient, publish: Publish) -> None:
    await publish(event for events in LIVES for event in events)
    everything = [view(events) for events in LIVES]
    for name, field in Filters.model_fields.items():
        value, fits = CASES[name]
        wanted = {one.id for one in everything if fits(one)}
        assert 0 < len(wanted) < len(everything), name
        page = (await http.get("/api/v1/task-executions", params={str(field.alias): value, "pageSize": 100})).json()
        assert {item["id"] for item in page["items"]} == wanted, name
        assert page["total"] == len(wanted), name


@pytest.mark.parametrize("name", Filters.model_fields)
def test_the_command_line_has_every_filter(name: str) -> None:
    commands = cast("dict[str, Any]", vars(get_command(app))["commands"])
    (option,) = (one for one in commands["list"].params if one.name == name)
    assert option.opts == [f"--{name.replace('_', '-')}"]
    assert option.help == Filters.model_fields[name].description
