"""Stage 3, decide: a command that was read, its execution's state and what it names, in; its answer out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, final

from msgspec import Struct

from service.contracts.commands import (
    ExecuteTask,
    FailTaskExecution,
    SkipTaskExecution,
    StartTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.envelope import Envelope
from service.contracts.executions import TaskExecution
from service.contracts.problems import Problem, RejectedError
from service.contracts.sensitive import UNMARKED, Seal, Sensitive, sealed, withhold
from service.contracts.timestamps import Timestamp
from service.domain.decided import Decision, Request, encoded
from service.domain.decision import decide
from service.domain.definitions import Definition
from service.domain.dependencies import upstreams_of
from service.domain.execution import Execution, Expected, as_told
from service.domain.fitting import resolve_inputs
from service.domain.identity import command_hash
from service.domain.parsing import all_errors
from service.domain.sensitive import marks, without
from service.domain.view import describe
from service.handling.incoming import Incoming, Readable, ReplyAddress, Unreadable, invalid_topic
from service.handling.withholding import Withholding, withholding
from service.kafka.murmur2 import partition_of
from service.kafka.records import Record

DefinitionName = tuple[str, str]
"""A taskId and a taskVersion."""


class Known(Struct, frozen=True):
    """What commands name: their definitions, as far as there are any, and why reply topics cannot be written.

    `sensitive`: some definition, whichever, has a sensitive variable.
    """

    definitions: Mapping[DefinitionName, Definition | None]
    topic_flaws: Mapping[str, str]
    sensitive: bool = False

    def definition_of(self, task: ExecuteTask | Execution) -> Definition | None:
        """The definition that the command or the execution names; None if there is none."""
        return self.definitions.get((task.task_id, task.task_version))


@final
class Accepted(Struct, frozen=True, gc=False):
    """The command made something happen: `bodies` are the decision's events as JSON, `state` is what is known then."""

    outcome: ClassVar = "accepted"
    record: Record
    reply_to: ReplyAddress | None
    execution_id: str
    envelope: Envelope
    decision: Decision
    bodies: tuple[bytes, ...]
    state: Execution | Expected | None


@final
class Rung(Struct, frozen=True, gc=False):
    """What a timer made happen, told as if `envelope` were the command that did."""

    execution_id: str
    envelope: Envelope
    decision: Decision
    bodies: tuple[bytes, ...]


@final
class Repeated(Struct, frozen=True, gc=False):
    """The command says what is already so. `execution` is what the first asker was told."""

    outcome: ClassVar = "duplicate"
    record: Record
    reply_to: ReplyAddress | None
    execution: TaskExecution


@final
class Refused(Struct, frozen=True, gc=False):
    """The command is not valid, or not possible now. `withheld` is what may not be told of it."""

    outcome: ClassVar = "rejected"
    record: Record
    reply_to: ReplyAddress | None
    problem: Problem
    withheld: Withholding | None = None


@final
class Misplaced(Struct, frozen=True, gc=False):
    """The execution belongs to another partition: the record is passed on to it as it is."""

    outcome: ClassVar = "forwarded"
    record: Record
    owner: int


Answer = Accepted | Repeated | Refused | Misplaced

Caused = Accepted | Rung


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides the commands of one partition, of so many; `kept` is how long finished executions are remembered.

    `prefix` is that of our topics; `seal` makes of a sensitive value what is told of it.
    """

    partition: int
    partitions: int
    kept: timedelta | None
    prefix: str = ""
    seal: Seal = withhold

    def answer(self, incoming: Incoming, state: Execution | Expected | None, known: Known, at: Timestamp) -> Answer:
        """Decide what was read, now (`at`); `state` is that of its execution, if it is remembered here."""
        reply_to = incoming.reply_to
        flaw = known.topic_flaws.get(reply_to.topic) if reply_to is not None else None
        task = task_of(incoming, state)
        definition = known.definition_of(task) if task else None
        sensitive = marks(state if isinstance(state, Execution) else None, definition)
        try:
            if type(incoming) is Unreadable:
                found, reply_to = _whole_problem(incoming, definition), None if flaw else reply_to
            elif reply_to is not None and flaw is not None:
                found, reply_to = invalid_topic(reply_to.topic, flaw, self.prefix).problem, None
            elif state is None and (owner := self._owner(incoming.execution_id)) != self.partition:
                return Misplaced(incoming.record, owner)
            else:
                return self._decide(incoming, state, definition, sensitive, at)
        except RejectedError as error:
            found = error.problem
        withheld = None
        if known.sensitive or sensitive is not None:
            withheld = withholding(incoming, definition, sensitive or UNMARKED)
        return Refused(incoming.record, reply_to, found, withheld)

    def _decide(
        self,
        incoming: Readable,
        state: Execution | Expected | None,
        definition: Definition | None,
        sensitive: Sensitive | None,
        at: Timestamp,
    ) -> Answer:
        record, reply_to, envelope, command = incoming.record, incoming.reply_to, incoming.envelope, incoming.command
        content, whole = incoming.command_hash, None
        if sensitive is not None:
            content, whole = command_hash(envelope.type, without(envelope.data, sensitive)), content
        request = Request(command, incoming.command_id, content, envelope.source, at, whole)
        decision = decide(state, request, definition, self.kept, self.seal)
        if isinstance(state, Execution) and decision.repeats is not None:
            payloads = _payloads(incoming, state, definition, sensitive or UNMARKED)
            return Repeated(record, reply_to, describe(as_told(state, decision.repeats), **payloads))
        after = decision.state or state
        return Accepted(record, reply_to, incoming.execution_id, envelope, decision, encoded(decision), after)

    def _owner(self, execution_id: str) -> int:
        return partition_of(execution_id.encode(), self.partitions)


def task_of(incoming: Incoming, state: Execution | Expected | None) -> ExecuteTask | Execution | None:
    """What names the command's definition."""
    if type(incoming) is Unreadable:
        return incoming.rest
    if type(incoming.command) is ExecuteTask:
        return incoming.command
    return state if isinstance(state, Execution) else None


def _whole_problem(incoming: Unreadable, definition: Definition | None) -> Problem:
    return incoming.problem if incoming.rest is None else all_errors(incoming.problem, incoming.rest, definition)


def _payloads(
    incoming: Readable, state: Execution, definition: Definition | None, sensitive: Sensitive
) -> dict[str, object]:
    """What the first asker was told beside the state, which does not remember it: the duplicate's own is equal.

    Of sensitive values, that is not known: they are withheld.
    """
    match incoming.command:
        case ExecuteTask() as command:
            try:
                inputs = resolve_inputs(command, definition)
            except RejectedError:  # the definition was withdrawn since, or replaced: no duplicate stops the partition
                inputs = command.inputs
            return {"resolved_inputs": sealed(inputs, sensitive.inputs, withhold), **_place(command, state)}
        case StartTaskExecution() as command:
            return {"owner": command.owner}
        case SucceedTaskExecution() as command:
            return {"outputs": sealed(command.outputs, sensitive.outputs, withhold)}
        case FailTaskExecution() as command:
            return {"error_message": command.error_message, "retried_by": state.terms.retried_by}
        case SkipTaskExecution() as command:
            return {"skip_reason": command.skip_reason}
        case _:
            return {}


def _place(command: ExecuteTask, state: Execution) -> dict[str, object]:
    """Its place among others, and in time."""
    waits = command.not_before is not None and command.not_before > state.created_at
    return {
        "depends_on": upstreams_of(command.depends_on) if command.depends_on else None,
        "not_before": command.not_before if waits else None,
        "retry_of": command.retry_of,
        "attempt": command.attempt if (command.attempt or 1) > 1 else None,
    }
