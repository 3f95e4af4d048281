"""What the tests of the stages have in hand, none of which needs a broker: records, and what becomes of them."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, timedelta
from typing import Any

from service.contracts.definitions import TaskDefinition
from service.contracts.timestamps import Timestamp
from service.contracts.topics import COMMANDS_TOPIC
from service.domain.definitions import Definition
from service.domain.execution import Execution
from service.domain.identity import command_id
from service.handling.deciding import Accepted, Answer, Decider, Known
from service.handling.incoming import CommandReader
from service.kafka.records import Record

HeaderPairs = Iterable[tuple[str, bytes | None]]

AT = Timestamp(2026, 3, 2, 4, 0, 7, 125_000, UTC)
SENT_MS = 1_772_424_000_000
WINDOW = timedelta(hours=24)
TASK = {"taskId": "sales:report", "taskVersion": "1.0.0", "inputs": {"day": "monday"}}


def raw_record(  # noqa: PLR0913 - one for each part of a record
    value: bytes | None,
    headers: HeaderPairs = (),
    *,
    offset: int = 0,
    partition: int = 0,
    key: bytes | None = None,
    timestamp: int = SENT_MS,
) -> Record:
    """A record of the commands topic, as a consumer gets it."""
    return Record(
        topic=COMMANDS_TOPIC, partition=partition, offset=offset, timestamp=timestamp, key=key, value=value,
        headers=tuple(headers), size=len(value or b""),
    )  # fmt: skip


def command_record(
    type_: str,
    body: Mapping[str, Any],
    *,
    id_: str | None = "1",
    source: str | None = "/tests",
    headers: HeaderPairs = (),
    **more: Any,
) -> Record:
    """A command in binary mode; None leaves the header out."""
    named = (("ce_id", id_), ("ce_source", source), ("ce_type", type_))
    attributes = [(name, text.encode()) for name, text in named if text is not None]
    return raw_record(json.dumps(body).encode(), [("ce_specversion", b"1.0"), *attributes, *headers], **more)


def reply_headers(topic: str = "task-execution.replies", correlation_id: bytes | None = b"re:1") -> HeaderPairs:
    """The headers that ask for a reply."""
    return [("reply_to", topic.encode()), *([("correlation_id", correlation_id)] if correlation_id is not None else [])]


def definition(**changes: Any) -> Definition:
    """The published definition that `TASK` names, changed so."""
    body = {
        "taskId": "sales:report",
        "version": "1.0.0",
        "status": "PUBLISHED",
        "type": "sql",
        "inputVariables": [
            {"name": "day", "type": "string"},
            {"name": "top", "type": "number", "required": False, "defaultValue": 10},
        ],
        "outputVariables": [{"name": "rows", "type": "number"}],
    }
    return Definition(TaskDefinition.model_validate({**body, **changes}))


def known(found: Definition | None, **flaws: str) -> Known:
    """All that was looked up: the definition that `TASK` names, and the flaws of reply topics."""
    return Known({("sales:report", "1.0.0"): found}, flaws)


REPORT = known(definition())


def answer(record: Record, state: Execution | None = None, using: Known = REPORT, at: Timestamp = AT) -> Answer:
    """What the only partition there is answers."""
    return Decider(0, 1, WINDOW).answer(CommandReader(0, 1).read(record), state, using, at)


def accepted(record: Record, state: Execution | None = None, using: Known = REPORT, at: Timestamp = AT) -> Accepted:
    """The same, for a command that is known to be accepted."""
    found = answer(record, state, using, at)
    assert isinstance(found, Accepted), found
    return found


EXECUTION = command_id("/tests", "1")


def lifecycle(type_: str, *, id_: str = "2", **body: Any) -> Record:
    """A command to the execution that `EXECUTE` makes."""
    return command_record(type_, {"executionId": EXECUTION, **body}, id_=id_)


EXECUTE = command_record("ExecuteTask", TASK)
START = lifecycle("StartTaskExecution")
SUCCEED = lifecycle("SucceedTaskExecution", id_="3", outputs={"rows": 3})
FAIL = lifecycle("FailTaskExecution", id_="3", errorMessage="disk full")
STOP = lifecycle("StopTaskExecution", id_="3", reason="not needed")
SKIP = lifecycle("SkipTaskExecution", reason="upstream_failed", node="collect")


def execution(found: Accepted) -> Execution:
    """What is known of the execution after this."""
    assert isinstance(found.state, Execution)
    return found.state


def state_after(*records: Record) -> Execution | None:
    """The execution after these commands, of which one came each minute."""
    state = None
    for number, record in enumerate(records):
        state = execution(accepted(record, state, at=AT + timedelta(minutes=number)))
    return state
