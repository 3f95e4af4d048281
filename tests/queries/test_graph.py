"""The graph around an execution, read as the projector has written it."""

from datetime import timedelta
from typing import Any

import pytest

from service.contracts.events import Dependency, Event
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.ports.retentions import Retentions
from service.queries import graph as module
from service.queries.answers import TaskExecutionGraph
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import PARTITIONS, Publish
from tests.queries.lives import SECOND, T0, execution_id, life


def waiting(name: str, *upstream: str, status: Status = Status.SUCCESS, **more: Any) -> list[Event]:
    """A life that begins with waiting for these, or for those of an output."""
    names = [one.partition("?") for one in upstream]
    waits = tuple(Dependency(execution_id(one), f"the {one}", output or None) for one, _, output in names)
    return life(name, status, depends_on=waits, **more)


def edges(graph: TaskExecutionGraph) -> set[str]:
    """As `a>b`, by the names of the lives."""
    names = {execution_id(name): name for name in [*"abcdefgx", *map(str, range(20))]}
    return {f"{names[one.upstream]}>{names[one.downstream]}" for one in graph.edges}


def nodes(graph: TaskExecutionGraph) -> str:
    names = {execution_id(name): name for name in [*"abcdefgx", *map(str, range(20))]}
    return "".join(sorted(names[one.id] for one in graph.nodes))


# a -> b -> d -> e, a -> c -> d, x -> d; f -> g is a graph of its own
FLOW = [
    *waiting("e", "d", status=Status.SKIPPED), *waiting("d", "b?go", "c", "x", status=Status.SKIPPED),
    *waiting("c", "a"), *waiting("b", "a", status=Status.FAILURE), *life("a"), *life("x", inputs={"dependsOn": [1]}),
    *life("f"), *waiting("g", "f"),
]  # fmt: skip


async def test_it_has_what_is_above_and_what_is_below(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(FLOW)
    graph = await queries.graph(execution_id("b"))
    assert nodes(graph) == "abde"
    assert edges(graph) == {"a>b", "b>d", "d>e"}
    assert graph.nodes[0].id == graph.execution_id == execution_id("b")
    told = {one.node: (one.task_id, one.status) for one in graph.nodes}
    assert told == {
        "the a": ("etl:load", Status.SUCCESS), "the b": ("etl:load", Status.FAILURE),
        "the d": ("etl:load", Status.SKIPPED), None: ("etl:load", Status.SKIPPED),
    }  # fmt: skip
    assert [one.condition for one in graph.edges if one.upstream == execution_id("b")] == ["go"]
    assert not graph.truncated
    assert edges(await queries.graph(execution_id("d"))) == {"a>b", "a>c", "b>d", "c>d", "x>d", "d>e"}
    assert edges(await queries.graph(execution_id("a"))) == {"a>b", "a>c", "b>d", "c>d", "d>e"}
    assert edges(await queries.graph(execution_id("g"))) == {"f>g"}


async def test_it_is_the_same_when_events_come_again_and_in_pieces(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    for event in FLOW:
        await publish([event])
    await publish(reversed(FLOW))
    graph = await queries.graph(execution_id("d"))
    assert edges(graph) == {"a>b", "a>c", "b>d", "c>d", "x>d", "d>e"}
    assert (len(graph.edges), len(graph.nodes)) == (6, 6)


async def test_what_is_waited_for_and_is_not_there_has_a_name_and_no_status(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    await publish(waiting("b", "a", status=Status.PENDING))
    graph = await queries.graph(execution_id("b"))
    assert [(one.node, one.status) for one in graph.nodes] == [(None, Status.PENDING), ("the a", None)]
    with pytest.raises(RejectedError) as refused:
        await queries.graph(execution_id("a"))
    assert refused.value.problem.code is Code.EXECUTION_NOT_FOUND


async def test_an_attempt_names_the_next(queries: TaskExecutionQueries, publish: Publish) -> None:
    *before, failed = life("a", Status.FAILURE)
    fields = {name: getattr(failed, name) for name in failed.__struct_fields__} | {"retried_by": execution_id("again")}
    await publish([*before, type(failed)(**fields), *waiting("b", "a", status=Status.PENDING)])
    graph = await queries.graph(execution_id("b"))
    assert [one.retried_by for one in graph.nodes] == [None, execution_id("again")]


@pytest.mark.parametrize("most", [13, 12, 1])
async def test_it_has_so_many_nodes_and_says_whether_there_are_more(
    queries: TaskExecutionQueries, publish: Publish, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "MAX_NODES", most)
    below = [event for number in range(10) for event in waiting(str(number), "b")]
    await publish([*life("a"), *waiting("b", "a"), *waiting("c", "0", "1", "2"), *below])
    graph = await queries.graph(execution_id("b"))
    assert (len(graph.nodes), graph.truncated) == (most, most < 13)
    ids = {one.id for one in graph.nodes}
    assert all(one.upstream in ids and one.downstream in ids for one in graph.edges)


async def test_what_has_ended_long_ago_is_in_no_graph_and_its_edges_are_dropped_with_it(
    driver: Driver, publish: Publish
) -> None:
    later = T0 + timedelta(days=20)
    await publish(
        [*life("a", at=later), *waiting("b", "a"), *waiting("c", "a", at=later), *waiting("d", "b", at=later)]
    )
    now = (T0 + timedelta(days=30)).timestamp()
    store = ClickHouseStore(driver, Retentions(timedelta(days=15)), clock=lambda: now)
    queries = TaskExecutionQueries(store, PARTITIONS)

    async def hidden() -> bool:
        around = [await queries.graph(execution_id(name)) for name in "ad"]
        return [edges(graph) for graph in around] == [{"a>c"}, {"b>d"}] and around[1].nodes[1].status is None

    assert await hidden()
    assert await store.drop_finished(int((T0 + 10 * SECOND).timestamp() * 1000)) == 1
    assert await hidden()
    rows = await driver.query("SELECT toString(executionId) AS id FROM task_execution_dependencies FINAL")
    assert sorted(row["id"] for row in rows) == sorted([execution_id("c"), execution_id("d")])
