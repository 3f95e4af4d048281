"""The plan says how everything must end; the domain, given the same commands, must say the same."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.client.messages import command_message
from service.contracts.definitions import TaskType
from service.contracts.envelope import Headers, read_envelope
from service.contracts.problems import Code, RejectedError
from service.contracts.replies import Outcome
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.demo.definitions import DEFINITIONS
from service.demo.mischief import MISCHIEF
from service.demo.steps import Send, Step
from service.demo.workload import Plan, make_plan
from service.domain.decided import Request
from service.domain.decision import decide
from service.domain.definitions import Definition
from service.domain.execution import Execution, folded
from service.domain.identity import command_hash, command_id
from service.domain.parsing import parse_command

NOW = Timestamp(2026, 10, 1, tzinfo=UTC)
CATALOGUE = {(item.task_id, item.version): Definition(item) for item in DEFINITIONS}


@dataclass
class Written:
    value: bytes | None
    headers: Headers
    topic: str = "task-execution.commands"
    partition: int = 0
    offset: int = 0


@dataclass
class Domain:
    """What the service decides, without Kafka."""

    states: dict[str, Execution] = field(default_factory=dict)

    def handle(self, plan: Plan, step: Step) -> tuple[Outcome, Code | None]:
        if isinstance(step, Send):
            message = command_message(step.command, id_=step.id, source=plan.source, at=NOW)
            record = Written(message.value, message.headers)
        else:
            record = Written(step.value, step.headers)
        try:
            envelope = read_envelope(record)
            command = parse_command(envelope)
            id_ = command_id(envelope.source, envelope.id)
            request = Request(command, id_, command_hash(envelope.type, envelope.data), envelope.source, NOW)
            execution_id = getattr(command, "execution_id", id_)
            state = self.states.get(execution_id)
            known = state or command
            definition = CATALOGUE.get((getattr(known, "task_id", ""), getattr(known, "task_version", "")))
            decision = decide(state, request, definition, timedelta(hours=24))
            if decision.events and (after := folded(state, decision.events)):
                self.states[execution_id] = after
        except RejectedError as error:
            return Outcome.REJECTED, error.problem.code
        return (Outcome.DUPLICATE if decision.repeats else Outcome.ACCEPTED), None


@settings(max_examples=40, deadline=None)
@given(executions=st.integers(0, 150), seed=st.integers(0, 10_000))
def test_everything_ends_as_planned(executions: int, seed: int) -> None:
    plan, domain = make_plan(executions, seed=seed), Domain()
    for steps in plan.pipelines:
        for step in steps:
            assert domain.handle(plan, step) == (step.expected, step.code), step
    ended = {id_: state.status for id_, state in domain.states.items()}
    assert ended == {execution.id: execution.status for execution in plan.executions}
    assert len(plan.executions) == executions


@settings(max_examples=60, deadline=None)
@given(executions=st.integers(20, 120), seed=st.integers(0, 10_000))
def test_from_twenty_executions_on_nothing_is_missing(executions: int, seed: int) -> None:
    plan = make_plan(executions, seed=seed)
    assert {execution.status for execution in plan.executions} == set(Status)
    assert plan.outcomes[Outcome.REJECTED] >= len(MISCHIEF)
    assert plan.outcomes[Outcome.DUPLICATE] >= 3
    codes = {step.code for steps in plan.pipelines for step in steps}
    assert codes >= {
        Code.INVALID_INPUTS, Code.DEFINITION_NOT_FOUND, Code.DEFINITION_NOT_PUBLISHED, Code.INVALID_TRANSITION,
        Code.IDEMPOTENCY_CONFLICT, Code.EXECUTION_NOT_FOUND, Code.INVALID_JSON, Code.UNKNOWN_COMMAND,
        Code.INVALID_COMMAND, Code.INVALID_ENVELOPE,
    }  # fmt: skip


def test_the_same_seed_makes_the_same_plan_and_another_run_other_ids() -> None:
    assert make_plan(50, seed=3) == make_plan(50, seed=3)
    assert make_plan(50, seed=3) != make_plan(50, seed=4)
    here, there = make_plan(50, run="a"), make_plan(50, run="b")
    assert here.statuses == there.statuses
    assert not {execution.id for execution in here.executions} & {execution.id for execution in there.executions}


def test_the_numbers_add_up() -> None:
    plan = make_plan(300)
    assert sum(plan.statuses.values(), Counter()).total() == 300
    assert plan.outcomes.total() == plan.total
    assert len({execution.id for execution in plan.executions}) == 300


def test_most_of_a_large_workload_succeeds() -> None:
    counts = Counter(execution.status for execution in make_plan(5_000).executions)
    assert counts[Status.SUCCESS] > 3_500
    assert all(counts[status] > 20 for status in Status)


def test_the_sample_definitions_are_valid_and_cover_every_type() -> None:
    assert {item.type for item in DEFINITIONS} == set(TaskType)
    assert len(CATALOGUE) == len(DEFINITIONS)


@pytest.mark.parametrize("executions", [0, 1, 2, 5])
def test_small_plans_work(executions: int) -> None:
    assert len(make_plan(executions).executions) == executions
