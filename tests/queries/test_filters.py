"""Every filter that is declared filters: over HTTP, on a real engine, and on the command line."""

import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any, cast

import httpx2
import pytest
from typer.main import get_command

from service.api.app import create_app
from service.cli.main import app
from service.cli.request_options import option_of
from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.problems import RejectedError
from service.contracts.status import Status
from service.domain.view import view
from service.ports.filters import Filters
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.api.scripted import ScriptedCommands
from tests.queries.conftest import Publish
from tests.queries.lives import SECOND, T0, asked, execution_id, life

MINUTE = timedelta(minutes=1)
MESSAGES = ("Disk FULL on host-7", "timeout after 30 s", "ümläut", None)


def lives(seed: int, count: int) -> list[list[Event]]:
    rng = random.Random(seed)  # noqa: S311 - a seeded model
    return [
        life(
            (seed, number),
            rng.choice([*Status]),
            at=T0 + rng.randrange(48) * MINUTE,
            task_id=rng.choice(("etl:load", "ml:train")),
            task_version=rng.choice(("1.0.0", "1.1.0", "draft")),
            created_by=rng.choice(("ana", "bo", "cy")),
            tags=rng.choice(((), ("nightly", "x"), ("x",), ("nightly",))),
            started=rng.random() < 0.5,
            took=rng.choice((SECOND, MINUTE, 30 * MINUTE)),
            why=rng.choice(MESSAGES),
        )
        for number in range(count)
    ]


def fingerprint(message: str) -> str:
    """What the read model says in SQL, said again."""
    message = message[:1000]
    for pattern, mask in (
        ("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "<id>"),
        ("0[xX][0-9a-fA-F]+|[0-9a-fA-F]{8,}", "<id>"),
        (r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"`,;()\[\]{}]+", "<path>"),
        (r"(^|[^\w/])(/[\w.@~+%=<>-]+){2,}/?", r"\1<path>"),
        (r"\d+([.,:]\d+)*", "<n>"),
        (r"[ \t\n\f\r]+", " "),
    ):
        message = re.sub(pattern, mask, message, flags=re.ASCII)
    return message.strip(" ")[:200]


def _ran(one: TaskExecution) -> timedelta | None:
    return one.completed_at - one.started_at if one.completed_at and one.started_at else None


AT = T0 + 20 * MINUTE
SOME_ID = execution_id((1, 7))
CASES: dict[str, tuple[Any, Callable[[TaskExecution], bool]]] = {
    "task_id": ("ml:train", lambda one: one.task_id == "ml:train"),
    "task_version": ("1.1.0", lambda one: one.task_version == "1.1.0"),
    "status": (["FAILURE", "RUNNING"], lambda one: one.status in {"FAILURE", "RUNNING"}),
    "created_by": ("bo", lambda one: one.metadata.created_by == "bo"),
    "tag": (["nightly", "x"], lambda one: {"nightly", "x"} <= {*one.metadata.tags}),
    "created_from": (str(AT), lambda one: one.metadata.created_at >= AT),
    "created_to": (str(AT), lambda one: one.metadata.created_at < AT),
    "id_prefix": (SOME_ID[:7], lambda one: one.id.startswith(SOME_ID[:7])),
    "started_from": (str(AT), lambda one: one.started_at is not None and one.started_at >= AT),
    "started_to": (str(AT), lambda one: one.started_at is not None and one.started_at < AT),
    "completed_from": (str(AT), lambda one: one.completed_at is not None and one.completed_at >= AT),
    "completed_to": (str(AT), lambda one: one.completed_at is not None and one.completed_at < AT),
    "min_duration": ("1m", lambda one: (_ran(one) or -MINUTE) >= MINUTE),
    "fingerprint": (
        "Disk FULL on host-<n>",
        lambda one: fingerprint(one.error_message or "") == "Disk FULL on host-<n>",
    ),
    "text": ("disk full", lambda one: "disk full" in f"{one.id} {one.error_message} {one.skip_reason}".lower()),
}
"""Of each filter, a value that some executions fit, and what fits it."""


def test_there_is_a_case_for_every_filter() -> None:
    assert CASES.keys() == Filters.model_fields.keys()


@pytest.fixture
async def http(queries: TaskExecutionQueries) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(create_app(ScriptedCommands(), queries, {}), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_every_filter_filters(http: httpx2.AsyncClient, publish: Publish) -> None:
    known = lives(1, 96)
    await publish(event for events in known for event in events)
    everything = [view(events) for events in known]
    for name, field in Filters.model_fields.items():
        value, fits = CASES[name]
        wanted = {one.id for one in everything if fits(one)}
        assert 0 < len(wanted) < len(everything), name
        page = (await http.get("/api/v1/task-executions", params={str(field.alias): value, "pageSize": 100})).json()
        assert {item["id"] for item in page["items"]} == wanted, name
        assert page["total"] == len(wanted), name


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # hundreds of queries, which are the same over HTTP
@pytest.mark.parametrize("seed", range(2))
async def test_filters_combine(
    queries: TaskExecutionQueries, store: ClickHouseStore, publish: Publish, without_merges: None, seed: int
) -> None:
    """Any of them, on events that came in any order, twice, in any inserts: total, pages and their order."""
    rng = random.Random(seed)  # noqa: S311 - a seeded model
    known = lives(seed, 150)
    await publish_anyhow(publish, known, rng)
    everything = [view(events) for events in known]
    found_any = 0
    for _ in range(40):
        names = rng.sample(sorted(CASES), rng.randrange(1, 4))
        wanted = {one.id: one for one in everything if all(CASES[name][1](one) for name in names)}
        given = {name: CASES[name][0] for name in names}
        assert (await store.total(asked(**given)))[0] == len(wanted), given
        page = await queries.list(asked(**given, page_size=rng.choice((7, 1000))))
        items = [*page.items]
        while page.next_cursor:
            assert page.total == len(wanted), given
            page = await queries.list(asked(**given, page_size=7, cursor=page.next_cursor))
            items += page.items
        assert page.total == len(wanted), given
        assert {item.id: item for item in items} == wanted, given
        assert len(items) == len(wanted), given
        created = [item.metadata.created_at for item in items]
        assert created == sorted(created, reverse=True), given
        found_any += bool(wanted)
    assert found_any > 12


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the same over HTTP
async def test_rows_that_are_indexed_and_the_same_that_are_not_count_once(
    queries: TaskExecutionQueries, driver: Driver, publish: Publish
) -> None:
    """A part has its indexes from its first merge on; what is written again is in others."""
    rng = random.Random(5)  # noqa: S311 - a seeded model
    known = lives(5, 150)
    events = [event for one in known for event in one]
    rng.shuffle(events)
    await publish(events[:200])
    await driver.command("OPTIMIZE TABLE task_execution_transitions FINAL")
    await driver.command("SYSTEM STOP MERGES task_execution_transitions")
    await publish(events[100:])
    await publish(events[50:300])
    everything = [view(events) for events in known]
    for narrowed in ("tag", "created_by", "task_id", "created_from", "created_to", "tag created_by status"):
        names = narrowed.split()
        wanted = {one.id for one in everything if all(CASES[name][1](one) for name in names)}
        page = await queries.list(asked(**{name: CASES[name][0] for name in names}, page_size=150, counts=True))
        assert (page.total, {item.id for item in page.items}) == (len(wanted), wanted), names
        assert page.counts is not None


async def publish_anyhow(publish: Publish, known: Sequence[Sequence[Event]], rng: random.Random) -> None:
    events = [event for one in known for event in one]
    rng.shuffle(events)
    while events:
        batch, events = events[:60], events[60:]
        await publish(batch)
        await publish(rng.sample(batch, len(batch) // 3))


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the same over HTTP
async def test_an_execution_is_found_by_a_part_of_its_id(queries: TaskExecutionQueries, publish: Publish) -> None:
    known = lives(3, 40)
    await publish(event for events in known for event in events)
    for events in known:
        (item,) = (await queries.list(asked(text=events[0].execution_id[4:20].upper()))).items
        assert item == view(events)


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the same over HTTP
async def test_an_execution_is_found_by_how_its_id_begins(queries: TaskExecutionQueries, publish: Publish) -> None:
    known = lives(3, 40)
    await publish(event for events in known for event in events)
    for number, events in enumerate(known):
        begins = events[0].execution_id[: 4 + number % 15]
        page = await queries.list(asked(id_prefix=begins, counts=True))
        assert (page.total, page.items) == (1, (view(events),))
        assert page.counts is not None
        assert sum(page.counts.model_dump().values()) == 1
        assert (await queries.stats(id_prefix=begins)).total == 1
    with pytest.raises(RejectedError, match="not valid"):
        asked(id_prefix="abc")


async def test_relative_times_count_back_from_now(queries: TaskExecutionQueries, publish: Publish) -> None:
    from tests.queries.test_list import NOW  # noqa: PLC0415 - the time that the tests began at

    await publish([*life("old", at=NOW - timedelta(hours=30)), *life("new", at=NOW - timedelta(hours=2))])
    assert (await queries.list(asked(created_from="24h"))).total == 1
    assert (await queries.list(asked(created_from="2d"))).total == 2
    assert (await queries.list(asked(created_from="2d", created_to="24h"))).total == 1


@pytest.mark.parametrize("name", Filters.model_fields)
def test_the_command_line_has_every_filter(name: str) -> None:
    commands = cast("dict[str, Any]", vars(get_command(app))["commands"])
    (option,) = (one for one in commands["list"].params if one.name == name)
    assert option.opts == [option_of(name)]
    assert option.help.startswith(Filters.model_fields[name].description)


async def test_parts_without_an_index_are_searched_too(
    queries: TaskExecutionQueries, publish: Publish, driver: Driver
) -> None:
    """Each insert is one until it is merged."""
    for number in range(3):
        await publish(life(number, tags=("x", "y"), created_by="bo"))
    for wanted, total in (
        ({"tag": ["x"]}, 3), ({"tag": ["bo"]}, 0), ({"created_by": "bo", "tag": ["y"]}, 3), ({"created_by": "x"}, 0),
        ({"task_id": "etl:load", "status": ["SUCCESS"]}, 3),
    ):  # fmt: skip
        for _ in range(2):
            assert (await queries.list(asked(**wanted))).total == total, wanted
            await driver.command("OPTIMIZE TABLE task_execution_transitions FINAL")
        assert (await queries.stats(task_id="etl:load")).total == 3


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "2300-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
async def test_times_beyond_all_records_are_times(queries: TaskExecutionQueries, publish: Publish, moment: str) -> None:
    await publish(life("a"))
    before = moment < "2026"
    assert (await queries.list(asked(created_from=moment, started_from=moment))).total == before
    assert (await queries.list(asked(created_to=moment, completed_to=moment))).total == (not before)


async def test_what_contradicts_itself_fits_nothing(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(event for status in Status for event in life(status, status))
    for given in ({"status": ["RUNNING"], "min_duration": "1ms"}, {"status": ["PENDING"], "started_from": "100w"}):
        page = await queries.list(asked(**given))
        assert (page.items, page.total) == ((), 0)
