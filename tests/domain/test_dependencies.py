"""Executions that wait for others (spec, invariant 4): who starts, who is skipped, why; in any order of arrival."""

from collections.abc import Mapping
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.commands import (
    FailTaskExecution,
    LifecycleCommand,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.events import (
    TaskExecutionReady,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
)
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.domain.dependencies import MAX_BEHIND
from service.domain.execution import Execution
from service.domain.ringing import AT_ONCE, PAUSE
from service.domain.terms import NONE
from tests.domain.network import Network, step
from tests.ids import id_of

SEEDS = st.integers(0, 2**32).map(Random)


def start(name: str) -> StartTaskExecution:
    return StartTaskExecution(execution_id=id_of(name))


def succeed(name: str, **outputs: bool) -> SucceedTaskExecution:
    return SucceedTaskExecution(execution_id=id_of(name), outputs=outputs)


def fail(name: str) -> FailTaskExecution:
    return FailTaskExecution(execution_id=id_of(name), error_message="disk full")


def stop(name: str) -> StopTaskExecution:
    return StopTaskExecution(execution_id=id_of(name))


def refused(network: Network, name: str) -> Code:
    with pytest.raises(RejectedError) as refusal:
        network.tell(start(name))
    return refusal.value.problem.code


def skip_reason(network: Network, name: str) -> str:
    (event,) = [event for event in network.events_of(name) if isinstance(event, TaskExecutionSkipped)]
    return event.skip_reason


@pytest.fixture
def network() -> Network:
    """`load` waits for `collect`, `report` for `load`."""
    network = Network()
    network.execute("collect", step())
    network.execute("load", step("collect"))
    network.execute("report", step("load"))
    network.deliver()
    return network


def test_what_waits_cannot_start_before_all_it_waits_for_are_success(network: Network) -> None:
    assert refused(network, "load") == Code.NOT_READY
    network.tell(start("collect"))
    network.deliver()
    assert refused(network, "load") == Code.NOT_READY
    network.tell(succeed("collect"))
    network.deliver()
    assert [type(event) for event in network.events_of("load")][1:] == [TaskExecutionReady]
    network.tell(start("load"))
    assert refused(network, "report") == Code.NOT_READY


def test_the_refusal_names_what_is_waited_for(network: Network) -> None:
    with pytest.raises(RejectedError) as refusal:
        network.tell(start("load"))
    problem = refusal.value.problem
    assert (problem.status, problem.current_status) == (409, "PENDING")
    assert f"collect ({id_of('collect')}) to be SUCCESS" in problem.detail


def test_of_very_many_the_refusal_names_the_first_ones() -> None:
    network = Network()
    network.execute("gather", step(*map(str, range(7))))
    with pytest.raises(RejectedError) as refusal:
        network.tell(start("gather"))
    assert "it waits for 0 (" in refusal.value.problem.detail
    assert ", 2 more." in refusal.value.problem.detail


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ([start("collect"), fail("collect")], "upstream_failed: collect"),
        ([stop("collect")], "upstream_stopped: collect"),
    ],
)
def test_an_upstream_that_ends_badly_skips_all_downstream(
    network: Network, end: list[LifecycleCommand], reason: str
) -> None:
    for command in end:
        network.tell(command)
    network.deliver()
    assert skip_reason(network, "load") == reason
    assert skip_reason(network, "report") == "upstream_skipped: load"
    assert network.edges == {}


@pytest.mark.parametrize(
    ("outputs", "status"), [({"go": True}, "PENDING"), ({"go": False}, "SKIPPED"), ({}, "SKIPPED")]
)
@pytest.mark.parametrize("late", ["", "late"])
def test_a_condition_that_is_not_true_skips_what_waits_for_it(outputs: dict[str, bool], status: str, late: str) -> None:
    network = Network()
    network.execute("is_weekday", step())
    if not late:
        network.execute("load", step("is_weekday", conditions=["is_weekday"]))
        network.deliver()
    network.tell(start("is_weekday"))
    network.tell(succeed("is_weekday", **outputs))
    if late:
        network.execute("load", step("is_weekday", conditions=["is_weekday"]))
    network.deliver()
    assert network.status("load") == status
    if status == "SKIPPED":
        assert skip_reason(network, "load") == "condition_false: is_weekday"
    else:
        network.tell(start("load"))


def test_what_is_waited_for_may_be_created_later_or_have_ended_before() -> None:
    network = Network()
    network.execute("load", step("collect"))
    network.deliver()
    assert refused(network, "load") == Code.NOT_READY
    network.execute("collect", step())
    network.tell(start("collect"))
    network.tell(fail("collect"))
    network.deliver()
    network.execute("again", step("collect"))
    network.deliver()
    assert {skip_reason(network, name) for name in ("load", "again")} == {"upstream_failed: collect"}


def test_one_that_was_stopped_while_it_waited_stays_so(network: Network) -> None:
    network.tell(stop("load"))
    network.deliver()
    network.tell(stop("collect"))
    network.deliver()
    assert (network.status("load"), skip_reason(network, "report")) == ("STOPPED", "upstream_stopped: load")


def test_what_is_made_anew_from_the_events_asks_again(network: Network) -> None:
    network.tell(start("collect"))
    network.rebuild()
    network.deliver()
    network.tell(succeed("collect"))
    network.rebuild()
    network.deliver()
    network.tell(start("load"))


def test_many_that_wait_are_told_a_bounded_number_at_a_time(network: Network) -> None:
    names = [f"many {number}" for number in range(2 * AT_ONCE + 1)]
    for name in names:
        network.execute(name, step("collect"))
    network.deliver()
    sent: list[int] = []
    pauses: list[timedelta] = []
    take = network._take

    def noting(target: str, decision: object) -> None:
        sent.append(len(decision.commands))  # type: ignore[attr-defined]
        pauses.extend(timer.due - network.at for timer in decision.timers)  # type: ignore[attr-defined]
        take(target, decision)  # type: ignore[arg-type]

    network._take = noting  # type: ignore[method-assign]
    network.tell(stop("collect"))
    assert len(network.sent) == 0
    network.deliver()
    assert max(sent) == AT_ONCE
    assert pauses.count(PAUSE) == 2
    assert {network.status(name) for name in names} == {"SKIPPED"}
    assert network.edges == {}


def test_an_execution_cannot_wait_for_itself() -> None:
    network = Network()
    with pytest.raises(RejectedError) as refusal:
        network.execute("a", step("a"))
    assert refusal.value.problem.code == Code.DEPENDENCY_CYCLE


@pytest.mark.parametrize("length", [2, 3, 10, MAX_BEHIND])
def test_the_one_that_closes_a_cycle_is_refused_where_it_is_known(length: int) -> None:
    network = Network()
    for number in range(length - 1):
        network.execute(str(number), step(str(number + 1)))
        network.deliver()
    with pytest.raises(RejectedError) as refusal:
        network.execute(str(length - 1), step("0"))
    assert refusal.value.problem.code == Code.DEPENDENCY_CYCLE
    assert [error.pointer for error in refusal.value.problem.errors] == ["#/dependsOn/0"]


@given(st.integers(2, 6), SEEDS)
def test_a_cycle_never_starts_and_never_stays(length: int, random: Random) -> None:
    network = Network()
    names = [str(number) for number in range(length)]
    for number in random.sample(range(length), length):
        try:
            network.execute(str(number), step(str((number + 1) % length)))
        except RejectedError as error:
            assert error.problem.code == Code.DEPENDENCY_CYCLE  # noqa: PT017
            return
        if random.random() < 0.5:
            network.deliver(random)
    network.deliver(random)
    reasons = [event.reason or "" for event in network.events if isinstance(event, TaskExecutionStopped)]
    assert reasons
    assert all(reason.startswith("dependency_cycle: ") for reason in reasons)
    assert {network.status(name) for name in names} == {"STOPPED", "SKIPPED"}


GRAPHS = st.lists(st.sets(st.integers(0, 11), max_size=3), min_size=1, max_size=12).map(
    lambda sets: {number: {up for up in ups if up < number} for number, ups in enumerate(sets)}
)


def fates(graph: Mapping[int, set[int]], bad: set[int]) -> tuple[set[int], set[int]]:
    """By a search of the graph: those that fail, and those downstream of them."""
    failed: set[int] = set()
    skipped: set[int] = set()
    for number in sorted(graph):
        if graph[number] & (failed | skipped):
            skipped.add(number)
        elif number in bad:
            failed.add(number)
    return failed, skipped


@given(GRAPHS, st.sets(st.integers(0, 11), max_size=3), SEEDS)
def test_in_any_order_all_downstream_of_failures_are_skipped_once_and_the_others_run(
    graph: dict[int, set[int]], bad: set[int], random: Random
) -> None:
    """Commands come in any order and more than once, states are read again, workers try to start too early."""
    network = Network()
    waiting = random.sample(sorted(graph), len(graph))
    for _ in range(40 * len(graph)):
        if waiting and random.random() < 0.3:
            number = waiting.pop()
            network.execute(str(number), step(*map(str, sorted(graph[number]))))
        if random.random() < 0.1:
            network.restore() if random.random() < 0.7 else network.rebuild()
        if random.random() < 0.5:
            network.deliver(random)
        try_to_run(network, str(random.choice(sorted(graph))), bad)
    for number in waiting:
        network.execute(str(number), step(*map(str, sorted(graph[number]))))
    for _ in graph:
        network.deliver(random)
        for number in graph:
            try_to_run(network, str(number), bad)
            try_to_run(network, str(number), bad)
    network.deliver(random)
    failed, skipped = fates(graph, bad)
    found = {number: network.status(str(number)) for number in graph}
    assert found == {
        number: "FAILURE" if number in failed else "SKIPPED" if number in skipped else "SUCCESS" for number in graph
    }
    order = [(event.execution_id, type(event)) for event in network.events]
    for number, ups in graph.items():
        if (started := (id_of(str(number)), TaskExecutionStarted)) in order:
            before = {id_ for id_, kind in order[: order.index(started)] if kind.__name__ == "TaskExecutionSucceeded"}
            assert {id_of(str(up)) for up in ups} <= before
    assert len([event for event in network.events if event.status is Status.SKIPPED]) == len(skipped)
    assert network.edges == {}


def try_to_run(network: Network, name: str, bad: set[int]) -> None:
    """As a worker does, at any time."""
    state = network.states.get(id_of(name))
    if not isinstance(state, Execution) or state.status.is_final:
        return
    if state.status is Status.RUNNING:
        network.tell(fail(name) if int(name) in bad else succeed(name))
        return
    try:
        network.tell(start(name))
    except RejectedError as error:
        assert error.problem.code == Code.NOT_READY  # noqa: PT017


def test_what_has_ended_keeps_nothing_of_what_it_waited_for(network: Network) -> None:
    network.tell(stop("collect"))
    network.deliver()
    for name in ("collect", "load", "report"):
        state = network.states[id_of(name)]
        assert isinstance(state, Execution)
        assert state.terms == NONE
    network.wait(timedelta(days=31))
    assert network.states == {}
