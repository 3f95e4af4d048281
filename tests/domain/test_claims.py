"""Workers claim executions, are heard of, fall silent; what is late ends; what fails is tried again."""

from datetime import timedelta
from typing import Any

import pytest

from service.contracts.commands import (
    FailTaskExecution,
    HeartbeatTaskExecution,
    LifecycleCommand,
    StartTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.definitions import TaskDefinition
from service.contracts.envelope import SOURCE
from service.contracts.events import (
    TaskExecutionCreated,
    TaskExecutionFailed,
    TaskExecutionProgressed,
    TaskExecutionReady,
    TaskExecutionStopped,
)
from service.contracts.problems import Code, Problem, RejectedError
from service.contracts.retries import RetryPolicy
from service.contracts.timestamps import Timestamp
from service.domain.definitions import Definition, InvalidDefinitionError
from service.domain.execution import Execution
from service.domain.identity import command_id
from service.domain.ringing import Ringing, ring
from service.domain.timers import TimerKind, timers_of
from tests.domain.network import BEGIN, KEPT, STEP, Network, step
from tests.ids import id_of

LEASE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)


def claim(owner: str = "worker-1", lease: timedelta | None = LEASE) -> StartTaskExecution:
    return StartTaskExecution(execution_id=id_of("run"), owner=owner, lease=lease)


def heartbeat(owner: str = "worker-1", **more: Any) -> HeartbeatTaskExecution:
    return HeartbeatTaskExecution(execution_id=id_of("run"), owner=owner, **more)


def succeed(owner: str | None = "worker-1") -> SucceedTaskExecution:
    return SucceedTaskExecution(execution_id=id_of("run"), outputs={}, owner=owner)


def fail(owner: str | None = "worker-1") -> FailTaskExecution:
    return FailTaskExecution(execution_id=id_of("run"), error_message="disk full", owner=owner)


def defined(**more: Any) -> Definition:
    return Definition(TaskDefinition.model_validate({**STEP.source.model_dump(by_alias=True), **more}))


def running(**more: Any) -> Network:
    """An execution that worker-1 has claimed."""
    network = Network(defined(**more))
    network.execute("run", step())
    network.tell(claim())
    return network


def refused(network: Network, command: LifecycleCommand) -> Problem:
    with pytest.raises(RejectedError) as refusal:
        network.tell(command)
    return refusal.value.problem


def failures(network: Network) -> list[str]:
    return [event.error_message for event in network.events if isinstance(event, TaskExecutionFailed)]


def test_only_one_worker_s_claim_is_accepted() -> None:
    network = running()
    problem = refused(network, claim("worker-2"))
    assert (problem.code, problem.current_status) == (Code.INVALID_TRANSITION, "RUNNING")
    count = len(network.events)
    network.tell(claim())  # the same owner's, again
    assert len(network.events) == count


@pytest.mark.parametrize("command", [heartbeat("worker-2"), succeed("worker-2"), fail("worker-2")])
def test_nobody_else_is_believed(command: LifecycleCommand) -> None:
    network = running()
    problem = refused(network, command)
    assert problem.code == Code.NOT_OWNER
    assert "worker-1" in problem.detail
    assert network.status("run") == "RUNNING"


@pytest.mark.parametrize("command", [succeed(), succeed(None), fail(), fail(None)])
def test_the_owner_ends_it_and_so_does_who_claims_nothing(command: LifecycleCommand) -> None:
    network = running()
    network.tell(command)
    assert network.status("run") in {"SUCCESS", "FAILURE"}


def test_what_nobody_claimed_has_no_owner() -> None:
    network = Network()
    network.execute("run", step())
    network.tell(StartTaskExecution(execution_id=id_of("run")))
    assert refused(network, heartbeat()).code == Code.NOT_OWNER
    network.wait(timedelta(days=1))
    assert network.status("run") == "RUNNING"


def test_a_worker_of_whom_nothing_is_heard_is_lost_once() -> None:
    network = running()
    network.wait(LEASE - SECOND)
    assert failures(network) == []
    network.wait(3 * SECOND)
    assert failures(network) == [f"worker lost: nothing was heard of worker-1 for {LEASE}"]
    network.wait(LEASE)
    assert len(failures(network)) == 1
    problem = refused(network, succeed())
    assert (problem.code, problem.current_status) == (Code.INVALID_TRANSITION, "FAILURE")


def test_each_heartbeat_begins_the_lease_anew_and_is_an_event_only_with_progress() -> None:
    network = running()
    count = len(network.events)
    for _ in range(10):
        network.wait(LEASE - SECOND)
        network.tell(heartbeat())
    assert len(network.events) == count
    network.wait(LEASE - SECOND)
    network.tell(heartbeat(progress=0.5, message="half"))
    (told,) = network.events[count:]
    assert isinstance(told, TaskExecutionProgressed)
    assert (told.progress, told.message, told.status, told.sequence) == (0.5, "half", "RUNNING", 3)
    network.wait(LEASE - SECOND)
    network.tell(succeed())
    network.wait(2 * LEASE)
    assert network.status("run") == "SUCCESS"


@pytest.mark.parametrize(
    ("since", "until", "is_lost"),
    [(0, 100, True), (80, 100, False), (71, 100, False), (70, 100, True), (0, 20, False), (0, 31, True)],
)
def test_no_worker_is_lost_before_it_could_be_heard(since: int, until: int, is_lost: bool) -> None:  # noqa: FBT001 - what is expected
    """The service may have been away for long, or may not have heard all commands yet."""
    network = running()
    (timer,) = [timer for timer in network.timers if timer.kind is TimerKind.LEASE]
    began = timer.due - LEASE
    moment = Ringing(began + 100 * SECOND, KEPT, began + since * SECOND, began + until * SECOND)
    (again,) = ring(execution(network), timer, moment).timers  # never at the first ring
    assert again.due > moment.at
    decision = ring(execution(network), again, moment)
    assert [event.status for event in decision.events] == (["FAILURE"] if is_lost else [])
    if not is_lost:
        (again,) = decision.timers
        assert ring(execution(network), again, Ringing(again.due, KEPT, BEGIN, again.due)).events


def execution(network: Network, name: str = "run") -> Execution:
    state = network.states[id_of(name)]
    assert isinstance(state, Execution)
    return state


def test_what_runs_for_too_long_fails() -> None:
    network = running(runTimeout="PT1M")
    network.wait(LEASE - SECOND)
    network.tell(heartbeat())
    network.wait(LEASE - SECOND)
    network.tell(heartbeat())
    network.wait(3 * SECOND)
    assert failures(network) == ["run_timeout: it has run for 0:01:00"]


def test_what_could_start_and_does_not_for_too_long_is_stopped() -> None:
    network = Network(defined(startTimeout="PT1M"))
    network.execute("run", step())
    network.wait(timedelta(seconds=61))
    (event,) = [event for event in network.events if isinstance(event, TaskExecutionStopped)]
    assert (event.requested_by, (event.reason or "").partition(":")[0]) == (SOURCE, "start_timeout")


def test_what_waits_for_others_could_not_start() -> None:
    network = Network(defined(startTimeout="PT1M"))
    network.execute("late", step("run"))
    network.execute("run", step())
    network.deliver()
    network.wait(timedelta(seconds=50))
    network.tell(claim())
    network.tell(succeed())
    network.deliver()
    network.wait(timedelta(seconds=50))
    assert network.status("late") == "PENDING"
    network.wait(timedelta(seconds=20))
    assert network.status("late") == "STOPPED"


def test_it_cannot_start_before_its_time() -> None:
    network = Network()
    network.execute("run", step(not_before=Timestamp.of(BEGIN + timedelta(minutes=1))))
    assert refused(network, claim()).code == Code.NOT_READY
    network.wait(timedelta(minutes=1) + SECOND)
    assert isinstance(network.events[-1], TaskExecutionReady)
    network.tell(claim())


def test_it_waits_for_its_time_and_for_others() -> None:
    network = Network()
    network.execute("late", step("run", not_before=Timestamp.of(BEGIN + timedelta(minutes=1))))
    network.execute("run", step())
    network.deliver()
    network.wait(timedelta(minutes=2))
    assert not [event for event in network.events if isinstance(event, TaskExecutionReady)]
    network.tell(claim())
    network.tell(succeed())
    network.deliver()
    assert isinstance(network.events[-1], TaskExecutionReady)


RETRY = RetryPolicy(max_attempts=3, delay=timedelta(seconds=10), backoff=2.0)


def test_what_fails_is_tried_again_with_the_same_inputs_as_often_as_is_said() -> None:
    network = Network(defined(inputVariables=[{"name": "n", "type": "number", "required": False}]))
    command = step(retry=RETRY, tags=("nightly",), created_by="anna").model_copy(update={"inputs": {"n": 7}})
    network.execute("run", command)
    ids = [id_of("run")]
    for number, delay in enumerate((10, 20), 2):
        network.tell(StartTaskExecution(execution_id=ids[-1]))
        network.tell(FailTaskExecution(execution_id=ids[-1], error_message="disk full"))
        failed = network.events[-1]
        assert isinstance(failed, TaskExecutionFailed)
        assert failed.retried_by == command_id(SOURCE, f"{ids[-1]}/attempt/{number}")
        ids.append(failed.retried_by)
        network.deliver()
        created = network.events[-1]
        assert isinstance(created, TaskExecutionCreated)
        assert (created.retry_of, created.attempt, created.resolved_inputs) == (ids[0], number, {"n": 7})
        assert (created.execution_id, created.created_by, created.tags) == (ids[-1], "anna", ("nightly",))
        assert created.not_before is not None
        assert abs(created.not_before - failed.occurred_at - timedelta(seconds=delay)) < SECOND
        network.wait(timedelta(seconds=delay + 1))
    network.tell(StartTaskExecution(execution_id=ids[-1]))
    network.tell(FailTaskExecution(execution_id=ids[-1], error_message="disk full"))
    network.deliver()
    assert isinstance(network.events[-1], TaskExecutionFailed)
    assert network.events[-1].retried_by is None


def test_a_lost_worker_s_execution_is_tried_again() -> None:
    network = running(retry={"maxAttempts": 2})
    network.wait(2 * LEASE)
    assert [event.attempt for event in network.events if isinstance(event, TaskExecutionCreated)] == [1, 2]


@pytest.mark.parametrize("late", ["", "late"])
def test_what_waits_for_one_that_is_tried_again_waits_for_the_next_attempt(late: str) -> None:
    network = Network()
    network.execute("run", step(retry=RetryPolicy(max_attempts=2)))
    if not late:
        network.execute("report", step("run"))
        network.deliver()
    network.tell(claim())
    network.tell(fail())
    network.deliver()
    if late:
        network.execute("report", step("run"))
        network.deliver()
    assert network.status("report") == "PENDING"
    again = command_id(SOURCE, f"{id_of('run')}/attempt/2")
    network.tell(StartTaskExecution(execution_id=again))
    network.tell(SucceedTaskExecution(execution_id=again, outputs={}))
    network.deliver()
    network.tell(StartTaskExecution(execution_id=id_of("report")))


def test_what_has_sensitive_inputs_is_not_tried_again() -> None:
    secret = {"inputVariables": [{"name": "token", "type": "string", "required": False, "sensitive": True}]}
    with pytest.raises(InvalidDefinitionError, match="retry"):
        defined(**secret, retry={"maxAttempts": 2})
    network = Network(defined(**secret))
    with pytest.raises(RejectedError) as refusal:
        network.execute("run", step(retry=RETRY))
    assert [error.pointer for error in refusal.value.problem.errors] == ["#/retry"]


def test_the_timers_of_a_state_that_is_read_again_are_those_that_were_set() -> None:
    network = running(runTimeout="PT1M", startTimeout="PT1M")
    state = execution(network)
    assert set(timers_of(state, KEPT)) <= network.timers
    assert {timer.kind for timer in timers_of(state, KEPT)} == {TimerKind.LEASE, TimerKind.RUN_TIMEOUT}
