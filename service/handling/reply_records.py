"""The answers for those who asked."""

from service.contracts.codec import encode
from service.contracts.envelope import envelope_headers
from service.contracts.executions import TaskExecution
from service.contracts.replies import REPLY_TYPE, CommandReply, Outcome, Position
from service.contracts.timestamps import Timestamp, epoch_ms
from service.domain.execution import Execution
from service.domain.view import describe, view
from service.handling.accepted_replies import accepted_reply
from service.handling.batches import Outgoing
from service.handling.deciding import Accepted, Refused, Repeated
from service.handling.records import trace_of

MAX_REPLY_BYTES = 900_000
"""A reply that would be larger goes without its payloads: a client's topic has the broker's default limit."""

Replied = Accepted | Repeated | Refused


def reply_record(answer: Replied, position: Position, at: Timestamp) -> Outgoing:
    """The answer for the asker; `position` is where its last event stands, or one that is not before it."""
    record = answer.record
    id_ = f"{record.topic}/{record.partition}/{record.offset}/reply"
    if isinstance(answer, Accepted):
        events = answer.decision.events
        value = accepted_reply(events, position) if events else _json(_reply(answer, position))
        subject = answer.execution_id
    else:
        value, subject = _json(_reply(answer, position)), id_ if isinstance(answer, Refused) else answer.execution.id
    if len(value) > MAX_REPLY_BYTES:
        value = _json(_without_payloads(_reply(answer, position)))
    headers = envelope_headers(REPLY_TYPE, id_, subject, at, trace=trace_of(record))
    correlation_id = answer.reply_to.correlation_id if answer.reply_to else None
    if correlation_id is not None:
        headers.append(("correlation_id", correlation_id))
    return Outgoing(correlation_id, value, headers, epoch_ms(at))


def _reply(answer: Replied, position: Position) -> CommandReply:
    match answer:
        case Accepted():
            execution = view(answer.decision.events) if answer.decision.events else _unchanged(answer)
            return CommandReply(outcome=Outcome.ACCEPTED, task_execution=execution, position=position)
        case Repeated():
            return CommandReply(outcome=Outcome.DUPLICATE, task_execution=answer.execution, position=position)
        case Refused():
            return CommandReply(outcome=Outcome.REJECTED, problem=answer.problem)


def _unchanged(answer: Accepted) -> TaskExecution | None:
    """What is told of an execution to which nothing happened, but that it was heard of."""
    return describe(answer.state) if isinstance(answer.state, Execution) else None


def _without_payloads(reply: CommandReply) -> CommandReply:
    execution = reply.task_execution
    if execution is not None:
        execution = execution.model_copy(update={"resolved_inputs": None, "outputs": None})
    problem = reply.problem
    if problem is not None:
        problem = problem.model_copy(update={"errors": ()})
    return reply.model_copy(update={"task_execution": execution, "problem": problem})


def _json(body: CommandReply) -> bytes:
    return encode(body.model_dump(mode="json", by_alias=True, exclude_none=True))
