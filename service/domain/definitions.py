"""A TaskDefinition made ready for use: it checks and resolves the variables of its executions."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from service.contracts.definitions import DefinitionStatus, TaskDefinition, TaskType, Variable
from service.contracts.problems import FieldError
from service.contracts.sensitive import Sensitive
from service.domain.variables import Variables

MAX_REASON: Final = 1_000
"""How many characters the reason why a definition cannot be used has at most: each is kept in memory."""


class InvalidDefinitionError(ValueError):
    """The definition contradicts itself, so nothing can be executed by it; `errors` say all that is wrong and where."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{error.pointer}: {error.detail}" for error in self.errors))


class Definition:
    """One version of a task. `flaw` says why it cannot be used; None if it can. `sensitive` are its marked variables.

    Raises:
        InvalidDefinitionError: a variable is named twice, a required or sensitive one has a default, a default does
            not fit its own limits, limits contradict each other, a pattern is not in RE2's syntax or is too large
            (ADR 0016), or what has sensitive inputs is to be tried again.
    """

    flaw: str | None = None
    sensitive: Sensitive | None = None

    def __init__(self, source: TaskDefinition) -> None:
        self.source = source
        self.task_id, self.version = source.task_id, source.version
        self.name = f"{source.task_id} {source.version}"
        self.status: DefinitionStatus = source.status
        self.is_published = source.status is DefinitionStatus.PUBLISHED
        self.type: TaskType = source.type
        self.sensitive = _marked(source)
        self._inputs = Variables("inputs", "inputVariables", source.input_variables)
        self._outputs = Variables("outputs", "outputVariables", source.output_variables)
        flaws = [*self._inputs.flaws, *self._outputs.flaws]
        if source.retry is not None and self.sensitive is not None and self.sensitive.inputs:
            flaws.append(FieldError(pointer="#/retry", detail="not with sensitive inputs: they are kept nowhere"))
        if flaws:
            raise InvalidDefinitionError(flaws)

    def resolve_inputs(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[FieldError, ...]]:
        """The inputs in the definition's order, defaults filled in and optional ones null; and all that is wrong."""
        errors = self._inputs.errors(inputs)
        return self._inputs.filled(inputs), errors

    def check_outputs(self, outputs: Mapping[str, Any]) -> tuple[FieldError, ...]:
        """All that is wrong with the outputs."""
        return self._outputs.errors(outputs)


class UnusableDefinition(Definition):
    """A version that somebody wrote, but nothing can be executed by: only its identity and its `flaw` are known."""

    def __init__(self, task_id: str, version: str, flaw: str) -> None:
        self.task_id, self.version = task_id, version
        self.name = f"{task_id} {version}"
        self.is_published = False
        self.flaw = flaw if len(flaw) <= MAX_REASON else f"{flaw[: MAX_REASON - 1]}…"

    def check_outputs(self, outputs: Mapping[str, Any]) -> tuple[FieldError, ...]:  # noqa: ARG002 - as in Definition
        """Nothing: it cannot say what is right."""
        return ()


def _marked(source: TaskDefinition) -> Sensitive | None:
    inputs, outputs = _sensitive(source.input_variables), _sensitive(source.output_variables)
    return Sensitive(inputs, outputs) if inputs or outputs else None


def _sensitive(variables: Iterable[Variable]) -> tuple[str, ...]:
    return tuple(variable.name for variable in variables if variable.sensitive)
