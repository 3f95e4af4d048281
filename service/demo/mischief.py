"""Commands that must be rejected: what careless, outdated and broken clients send."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from service.contracts.commands import (
    Command,
    ExecuteTask,
    SkipCause,
    SkipTaskExecution,
    StartTaskExecution,
)
from service.contracts.problems import Code
from service.contracts.replies import Outcome
from service.demo.definitions import COLLECT, TRAIN_DRAFT
from service.demo.steps import Send, SendRaw, Step
from service.domain.identity import command_id

_GOOD_INPUTS: Final = {"sourceUri": "s3://lake/raw/part-0.parquet", "day": "2026-10-01"}


@dataclass(frozen=True, slots=True)
class Victim:
    """An execution that bad commands aim at: one that has ended. `execute` is how it was made."""

    source: str
    execute: Send
    execution_id: str


def _refused(command: Command, id_: str, code: Code) -> Send:
    return Send(command, id_, Outcome.REJECTED, code)


def _collect(inputs: dict[str, Any], task_id: str = COLLECT.task_id) -> ExecuteTask:
    return ExecuteTask(task_id=task_id, task_version=COLLECT.version, inputs=inputs, created_by="intern")


def _raw(victim: Victim, id_: str, value: bytes, code: Code, type_: str | None = "ExecuteTask") -> SendRaw:
    attributes = {"specversion": "1.0", "id": id_, "source": victim.source, "type": type_}
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items() if text]
    return SendRaw(value, headers, id_.encode(), code)


def _missing_input(_: Victim, id_: str) -> Step:
    return _refused(_collect({"day": "2026-10-01"}), id_, Code.INVALID_INPUTS)


def _wrong_inputs(_: Victim, id_: str) -> Step:
    inputs = {"sourceUri": "ftp://old-server/dump.csv", "day": "1 October", "maxRows": "many", "colour": "blue"}
    return _refused(_collect(inputs), id_, Code.INVALID_INPUTS)


def _unknown_definition(_: Victim, id_: str) -> Step:
    return _refused(_collect(_GOOD_INPUTS, "ingest:colect_data"), id_, Code.DEFINITION_NOT_FOUND)


def _draft_definition(_: Victim, id_: str) -> Step:
    inputs = {"dataset": "s3://lake/clean/part-0.parquet"}
    command = ExecuteTask(task_id=TRAIN_DRAFT.task_id, task_version=TRAIN_DRAFT.version, inputs=inputs)
    return _refused(command, id_, Code.DEFINITION_NOT_PUBLISHED)


def _illegal_transition(victim: Victim, id_: str) -> Step:
    late = SkipTaskExecution(execution_id=victim.execution_id, reason=SkipCause.CONDITION_FALSE, node="too_late")
    return _refused(late, id_, Code.INVALID_TRANSITION)


def _unknown_execution(victim: Victim, id_: str) -> Step:
    nowhere = command_id(victim.source, f"{id_}/never-sent")
    return _refused(StartTaskExecution(execution_id=nowhere), id_, Code.EXECUTION_NOT_FOUND)


def _conflict(victim: Victim, _: str) -> Step:
    other = victim.execute.command.model_copy(update={"tags": ("same-id", "other-payload")})
    return _refused(other, victim.execute.id, Code.IDEMPOTENCY_CONFLICT)


def _broken_json(victim: Victim, id_: str) -> Step:
    return _raw(victim, id_, b'{"taskId": "ingest:collect_data", "inputs": {', Code.INVALID_JSON)


def _duplicate_key(victim: Victim, id_: str) -> Step:
    return _raw(
        victim, id_, b'{"taskId": "a:b", "taskId": "c:d", "taskVersion": "1.0.0", "inputs": {}}', Code.INVALID_JSON
    )


def _unknown_type(victim: Victim, id_: str) -> Step:
    return _raw(victim, id_, b'{"executionId": "?"}', Code.UNKNOWN_COMMAND, "RestartTaskExecution")


def _misspelt_field(victim: Victim, id_: str) -> Step:
    value = b'{"taskId": "ingest:collect_data", "taskVersion": "2.1.0", "inptus": {}}'
    return _raw(victim, id_, value, Code.INVALID_COMMAND)


def _no_type(victim: Victim, id_: str) -> Step:
    return _raw(victim, id_, b"{}", Code.INVALID_ENVELOPE, None)


MISCHIEF: Final[tuple[Callable[[Victim, str], Step], ...]] = (
    _missing_input, _illegal_transition, _broken_json, _unknown_definition, _conflict, _unknown_type, _wrong_inputs,
    _draft_definition, _duplicate_key, _misspelt_field, _unknown_execution, _no_type,
)  # fmt: skip
"""Makes a bad command with the given id; it is sent after all that the victim's pipeline does."""
