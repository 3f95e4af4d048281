"""Any sequence of commands, valid or not, repeated or late, with a clock that jumps: the invariants hold."""

from collections.abc import Sequence
from datetime import UTC, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.contracts.commands import (
    Command,
    ExecuteTask,
    FailTaskExecution,
    SkipCause,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.definitions import TaskDefinition
from service.contracts.events import Event, encode_event, read_event
from service.contracts.executions import TaskExecution
from service.contracts.problems import RejectedError
from service.contracts.timestamps import Timestamp
from service.domain.decided import Decision, Request
from service.domain.decision import decide
from service.domain.definitions import Definition
from service.domain.execution import Execution, as_told, folded
from service.domain.identity import command_hash
from service.domain.view import describe, view
from tests.ids import id_of

ID = "11111111-1111-5111-8111-111111111111"
LOAD = Definition(
    TaskDefinition.model_validate(
        {
            "taskId": "etl:load",
            "version": "1.0.0",
            "status": "PUBLISHED",
            "type": "pyspark_operator",
            "inputVariables": [{"name": "n", "type": "number", "required": False}],
            "outputVariables": [{"name": "n", "type": "number", "required": False}],
        }
    )
)
WINDOW = timedelta(hours=1)
NUMBERS = st.sampled_from([{}, {"n": None}, {"n": 1}, {"n": "1"}, {"m": 1}])
TEXTS = st.sampled_from(["a", "b"])
EXECUTE = NUMBERS.map(lambda inputs: ExecuteTask(task_id="etl:load", task_version="1.0.0", inputs=inputs))
LIFECYCLE: st.SearchStrategy[Command] = st.one_of(
    (st.none() | TEXTS).map(lambda app: StartTaskExecution(execution_id=ID, spark_application_id=app)),
    NUMBERS.map(lambda outputs: SucceedTaskExecution(execution_id=ID, outputs=outputs)),
    TEXTS.map(lambda message: FailTaskExecution(execution_id=ID, error_message=message)),
    (st.none() | TEXTS).map(lambda reason: StopTaskExecution(execution_id=ID, reason=reason)),
    TEXTS.map(lambda node: SkipTaskExecution(execution_id=ID, reason=SkipCause.CONDITION_FALSE, node=node)),
)
# Invariant 3: a transition by the statuses it joins
TRANSITIONS = {
    (None, "PENDING"), ("PENDING", "RUNNING"), ("PENDING", "STOPPED"), ("PENDING", "SKIPPED"),
    ("RUNNING", "SUCCESS"), ("RUNNING", "FAILURE"), ("RUNNING", "STOPPED"),
}  # fmt: skip


class Life(RuleBasedStateMachine):
    """One execution, as its handler sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.state: Execution | None = None
        self.events: list[Event] = []
        self.accepted: list[Request] = []
        self.clock = Timestamp(2026, 1, 1, tzinfo=UTC)

    @rule(seconds=st.integers(-100, 100))
    def the_clock_jumps(self, seconds: int) -> None:
        self.clock += timedelta(seconds=seconds)

    @rule(command=EXECUTE)
    def execute(self, command: Command) -> None:
        self.send(command, ID)

    @rule(command=LIFECYCLE, id_=st.sampled_from(["id-1", "id-2", "id-3", "id-4", "id-5"]))
    def change(self, command: Command, id_: str) -> None:
        self.send(command, id_)

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def one_is_delivered_again(self, data: st.DataObject) -> None:
        again = data.draw(st.sampled_from(self.accepted))
        assert self.state
        decision = decide(self.state, again, LOAD, WINDOW)
        assert decision.repeats
        assert decision == Decision(repeats=decision.repeats)
        sequence = decision.repeats.sequence
        assert sequence == self.accepted.index(again) + 1
        payloads = {name: getattr(view(self.events[:sequence]), name) for name in PAYLOADS}
        assert describe(as_told(self.state, decision.repeats), **payloads) == view(self.events[:sequence])

    def send(self, command: Command, id_: str) -> None:
        content = command_hash(type(command).__name__, command.model_dump(mode="json"))
        request = Request(command, id_of(id_), content, "/tests", self.clock)
        before = self.state.status if self.state else None
        for event in decided(self.state, request):
            assert (before, event.status) in TRANSITIONS
            self.state = folded(self.state, [event])
            self.events.append(event)
            self.accepted.append(request)

    @invariant()
    def folding_the_events_gives_the_state(self) -> None:
        assert folded(None, self.events) == self.state

    @invariant()
    def sequences_count_from_one_and_no_time_goes_back(self) -> None:
        assert [event.sequence for event in self.events] == list(range(1, len(self.events) + 1))
        times = [event.occurred_at for event in self.events]
        assert times == sorted(times)

    @invariant()
    def events_survive_their_json(self) -> None:
        for event in self.events:
            assert read_event(type(event).__name__, encode_event(event)) == event

    @invariant()
    def the_fields_that_are_present_depend_on_the_status(self) -> None:
        if self.events:
            record = view(self.events)
            assert present(record) == expected(record.status, ran=len(self.events) > 2 or record.status == "RUNNING")


def decided(state: Execution | None, request: Request) -> Sequence[Event]:
    try:
        return decide(state, request, LOAD, WINDOW).events
    except RejectedError:
        return ()


PAYLOADS = ("resolved_inputs", "outputs", "error_message", "skip_reason")


def present(record: TaskExecution) -> set[str]:
    return {name for name in (*PAYLOADS, "started_at", "completed_at") if getattr(record, name) is not None}


def expected(status: str, *, ran: bool) -> set[str]:
    own = {"SUCCESS": {"outputs"}, "FAILURE": {"error_message"}, "SKIPPED": {"skip_reason"}}.get(status, set())
    started = {"started_at"} if ran else set()
    completed = set() if status in {"PENDING", "RUNNING"} else {"completed_at"}
    return {"resolved_inputs", *own, *started, *completed}


TestLife = Life.TestCase
