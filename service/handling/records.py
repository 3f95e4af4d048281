"""What is written of an accepted command, of its execution's state, and of a record that belongs elsewhere."""

from collections.abc import Iterable

from pydantic_core import to_json

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.commands import ExecuteTask
from service.contracts.envelope import SOURCE, TRACE_HEADERS, Headers, envelope_headers
from service.contracts.timestamps import Timestamp, epoch_ms
from service.domain.identity import command_id
from service.handling.batches import Outgoing
from service.handling.deciding import Accepted
from service.kafka.records import Record


def event_records(answer: Accepted) -> list[Outgoing]:
    """The events, keyed by executionId; `ce_id` is `<executionId>/<sequence>`."""
    cause = answer.envelope
    causation = (("ce_causationid", cause.id.encode()), ("ce_causationsource", cause.source.encode()))
    trace = (*cause.trace, *causation)
    records: list[Outgoing] = []
    for event, body in zip(answer.decision.events, answer.bodies, strict=True):
        id_, at = event.execution_id, event.occurred_at
        headers = envelope_headers(type(event).__name__, f"{id_}/{event.sequence}", id_, at, trace=trace)
        records.append(Outgoing(id_.encode(), body, headers, epoch_ms(at)))
    return records


def command_records(answer: Accepted, at: Timestamp) -> Iterable[Outgoing]:
    """The commands that the accepted one causes, keyed by executionId.

    Their identity follows from what caused them, `<executionId>/<sequence>/<number>`: they, too, are carried out once.
    """
    state = answer.state
    for number, command in enumerate(answer.decision.commands, 1):
        id_ = f"{state.execution_id}/{state.sequence}/{number}"
        target = command_id(SOURCE, id_) if isinstance(command, ExecuteTask) else command.execution_id
        headers = envelope_headers(type(command).__name__, id_, target, at, trace=answer.envelope.trace)
        yield Outgoing(target.encode(), to_json(command.model_dump(exclude_none=True)), headers, epoch_ms(at))


def forwarded_record(record: Record) -> Outgoing:
    """The record as its client wrote it, for another partition."""
    return Outgoing(record.key, record.value, list(record.headers), record.timestamp)


def trace_of(record: Record) -> Headers:
    """The trace headers of a record, to be passed on."""
    # One of each, and no longer than a trace context is: any number of any length may have come.
    given = {lower: value for name, value in record.headers if (lower := name.lower()) in TRACE_HEADERS}
    return [(name, value) for name, value in given.items() if 0 < len(value or b"") <= MAX_ATTRIBUTE]
