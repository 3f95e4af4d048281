"""What may be told of a refused command, where values could be sensitive. Pure.

What is known to be harmless is kept, anything else is not: in a refused command, a secret can stand where nobody
expects it, such as under a mistyped name.
"""

from typing import Any, Final, final

from msgspec import Struct

from service.contracts.attributes import ATTRIBUTES
from service.contracts.codec import decode, encode
from service.contracts.commands import ExecuteTask, SucceedTaskExecution
from service.contracts.definitions import Variable
from service.contracts.envelope import CONTENT_TYPE, is_structured
from service.contracts.internal import AnyCommand
from service.contracts.rejections import Extent
from service.contracts.sensitive import WITHHELD, Sensitive
from service.contracts.topics import MAX_COMMAND_BYTES
from service.domain.definitions import Definition
from service.handling.incoming import Incoming, Readable
from service.kafka.records import Record


@final
class Withholding(Struct, frozen=True, gc=False):
    """So much of a refused record is not told; `value` is what is told instead of its own, None for nothing."""

    extent: Extent
    value: bytes | None = None


_WHOLE: Final = Withholding(Extent.WHOLE)


def withholding(incoming: Incoming, definition: Definition | None, sensitive: Sensitive) -> Withholding | None:
    """What is not told of this refused command; None where all of it may be.

    `definition` is the one that it, or the state of its execution, names; without, no value is told. `sensitive` is
    what either marks.
    """
    command: AnyCommand | None
    if type(incoming) is Readable:
        command, fits = incoming.command, incoming.envelope.data
        if type(command) not in {ExecuteTask, SucceedTaskExecution}:
            return None  # a valid one has no variables
    else:
        command, fits = incoming.rest, None
    if definition is None or definition.flaw is not None:
        return _WHOLE
    match command:
        case ExecuteTask():
            inputs = _told(command.inputs, definition.source.input_variables, sensitive.inputs)
            if fits and inputs == command.inputs:
                return None
            told = {**(fits or {"taskId": command.task_id, "taskVersion": command.task_version}), "inputs": inputs}
        case SucceedTaskExecution():
            outputs = _told(command.outputs, definition.source.output_variables, sensitive.outputs)
            if outputs == command.outputs:
                return None
            told = {**fits, "outputs": outputs}
        case _:
            return _WHOLE
    value = encode(_as_it_came(incoming.record, told))
    return Withholding(Extent.PART, value) if len(value) <= MAX_COMMAND_BYTES else _WHOLE


def _told(given: dict[str, Any], variables: tuple[Variable, ...], sensitive: tuple[str, ...]) -> dict[str, Any]:
    plain = {variable.name for variable in variables}.difference(sensitive)
    return {name: value if value is None or name in plain else WITHHELD for name, value in given.items()}


def _as_it_came(record: Record, data: dict[str, Any]) -> dict[str, Any]:
    """The data, in an event if they came in one."""
    headers = {name.lower(): content for name, content in record.headers}
    if not is_structured(headers.get(CONTENT_TYPE) or b""):
        return data
    event = decode(record.value or b"")
    return {**{name: event[name] for name in ATTRIBUTES if name in event}, "data": data}
