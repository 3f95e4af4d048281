"""What is written of an accepted command, of its execution's state, and of a record that belongs elsewhere."""

from collections.abc import Iterable

from pydantic_core import to_json

from service.contracts.commands import ExecuteTask
from service.contracts.envelope import SOURCE, TRACE_HEADERS, Headers, envelope_headers, is_trace
from service.contracts.timestamps import Timestamp, epoch_ms
from service.domain.identity import command_id
from service.domain.retries import attempt_id
from service.handling.batches import Outgoing
from service.handling.deciding import Accepted, Caused
from service.kafka.records import Record


def event_records(caused: Caused) -> list[Outgoing]:
    """The events, keyed by executionId; `ce_id` is `<executionId>/<sequence>`."""
    cause = caused.envelope
    causation = (("ce_causationid", cause.id.encode()), ("ce_causationsource", cause.source.encode()))
    trace = (*cause.trace, *causation)
    records: list[Outgoing] = []
    for event, body in zip(caused.decision.events, caused.bodies, strict=True):
        id_, at = event.execution_id, event.occurred_at
        headers = envelope_headers(type(event).__name__, f"{id_}/{event.sequence}", id_, at, trace=trace)
        records.append(Outgoing(id_.encode(), body, headers, epoch_ms(at)))
    return records


def command_records(caused: Caused, at: Timestamp) -> Iterable[Outgoing]:
    """The commands that are caused, keyed by executionId.

    Their identity follows from what caused them, so they, too, are carried out once: of a further attempt, from which
    one failed; of others, from the command that causes them, `<topic>/<partition>/<offset>/<number>`, or from the timer
    and whom it tells, `<executionId>/<timer>/<executionId>`.
    """
    for number, command in enumerate(caused.decision.commands, 1):
        if isinstance(command, ExecuteTask):
            is_retry = command.retry_of is not None
            id_ = attempt_id(caused.execution_id, command) if is_retry else f"{_cause(caused)}/{number}"
            target = command_id(SOURCE, id_)
        else:
            target = command.execution_id
            id_ = f"{_cause(caused)}/{number if isinstance(caused, Accepted) else target}"
        headers = envelope_headers(type(command).__name__, id_, target, at, trace=caused.envelope.trace)
        yield Outgoing(target.encode(), to_json(command.model_dump(exclude_none=True)), headers, epoch_ms(at))


def _cause(caused: Caused) -> str:
    if isinstance(caused, Accepted):
        return f"{caused.record.topic}/{caused.record.partition}/{caused.record.offset}"
    return caused.envelope.id


def forwarded_record(record: Record) -> Outgoing:
    """The record as its client wrote it, for another partition."""
    return Outgoing(record.key, record.value, list(record.headers), record.timestamp)


def trace_of(record: Record) -> Headers:
    """The trace headers of a record, to be passed on."""
    # One of each: any number may have come.
    given = {lower: value for name, value in record.headers if (lower := name.lower()) in TRACE_HEADERS}
    return [(name, value) for name, value in given.items() if is_trace(value)]
