"""Where the links of the list lead, and what it asks."""

from datetime import UTC, datetime, timedelta

import pytest

from service.contracts.status import Status
from service.queries.answers import GraphEdge, GraphNode, TaskExecutionGraph
from service.web.graph_drawing import HEIGHT, WIDTH, drawn
from service.web.listing import Back, Column, Listing, ShowTaskExecutions

GIVEN = [("status", "FAILURE"), ("status", "STOPPED"), ("taskId", "a:b"), ("cursor", "1:2")]


def listing(*given: tuple[str, str]) -> Listing:
    fields: dict[str, object] = {name: value for name, value in given if name != "cursor"}
    if statuses := [value for name, value in given if name == "status"]:
        fields["status"] = statuses
    return Listing(ShowTaskExecutions.model_validate(fields), given)


def test_of_the_last_24_hours_unless_something_else_is_asked_for() -> None:
    asked = listing().question
    assert asked.created_from is not None
    assert abs(datetime.now(UTC) - timedelta(days=1) - asked.created_from) < timedelta(seconds=5)
    assert asked.counts
    assert listing(("period", "all")).question.created_from is None
    assert listing(("completedFrom", "2026-03-02T04:00:00Z")).period is None
    assert listing(("completedFrom", "2026-03-02T04:00:00Z")).question.created_from is None
    assert listing(("createdFrom", "2026-03-02T04:00:00Z"), ("period", "7d")).period is Back.WEEK


def test_each_filter_can_be_removed_alone() -> None:
    chips = list(listing(*GIVEN).chips)

    assert [(chip.label, chip.value) for chip in chips] == [
        ("status", "FAILURE"),
        ("status", "STOPPED"),
        ("task", "a:b"),
    ]
    assert [chip.without for chip in chips] == [
        "/executions?status=STOPPED&taskId=a%3Ab",
        "/executions?status=FAILURE&taskId=a%3Ab",
        "/executions?status=FAILURE&status=STOPPED",
    ]


def test_a_status_is_added_or_removed() -> None:
    one = listing(*GIVEN)

    assert one.toggled(Status.FAILURE) == "/executions?status=STOPPED&taskId=a%3Ab"
    assert one.toggled(Status.RUNNING).endswith("taskId=a%3Ab&status=RUNNING")
    assert listing(("status", "FAILURE")).toggled(Status.FAILURE) == "/executions"


def test_another_period_takes_the_place_of_times() -> None:
    one = listing(("createdFrom", "2026-03-02T04:00:00Z"), ("taskId", "a:b"))

    assert one.with_("period", "7d") == "/executions?taskId=a%3Ab&period=7d"


def test_the_next_page_is_of_the_same_list() -> None:
    assert listing(*GIVEN).following("3:4") == "/executions?status=FAILURE&status=STOPPED&taskId=a%3Ab&cursor=3%3A4"
    assert listing().following("3:4") == "/executions?cursor=3%3A4"


def test_columns_are_in_their_order() -> None:
    wanted = ShowTaskExecutions(columns=(Column.OWNER, Column.STATUS))

    assert Listing(wanted, ()).columns == (Column.STATUS, Column.OWNER)


@pytest.mark.parametrize("cycle", [False, True])
def test_who_waits_stands_right_of_what_it_waits_for(cycle: bool) -> None:  # noqa: FBT001
    edges = [("a", "b"), ("b", "c"), ("a", "c"), *([("c", "a")] if cycle else [])]
    graph = TaskExecutionGraph(
        execution_id="a",
        nodes=tuple(GraphNode(id=id_) for id_ in "abc"),
        edges=tuple(GraphEdge(upstream=up, downstream=down) for up, down in edges),
        truncated=False,
    )
    drawing = drawn(graph)
    places = {box.node.id: (box.x, box.y) for box in drawing.boxes}

    assert len({*places.values()}) == 3
    assert all(x >= 0 and x + WIDTH <= drawing.width and y + HEIGHT <= drawing.height for x, y in places.values())
    if not cycle:
        assert places["a"][0] < places["b"][0] < places["c"][0]
