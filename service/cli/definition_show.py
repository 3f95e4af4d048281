"""How definitions look, and what differs between two."""

import json
from collections.abc import Iterable
from typing import Any

from service.cli.output import Table, write_record, write_table
from service.contracts.definitions import Variable
from service.definitions.answering import state_of
from service.domain.definition_changes import Change
from service.domain.definitions import Definition


def as_json(definition: Definition) -> dict[str, Any]:
    """As it is published; of one that cannot be used, why."""
    if definition.flaw is not None:
        return {"taskId": definition.task_id, "version": definition.version, "flaw": definition.flaw}
    return definition.source.model_dump(mode="json", exclude_none=True)


def definitions_table(definitions: Iterable[Definition]) -> Table:
    """Definitions, a line each."""
    return Table(
        ("TASK", "VERSION", "STATUS", "TYPE", "INPUTS", "OUTPUTS", "WHY"),
        (
            (one.task_id, one.version, state_of(one), *(None,) * 3, one.flaw)
            if one.flaw is not None
            else (
                one.task_id,
                one.version,
                state_of(one),
                one.type,
                len(one.source.input_variables),
                len(one.source.output_variables),
                None,
            )
            for one in definitions
        ),
    )


def show_definition(definition: Definition) -> None:
    """One definition: a line for each field, then a table for each list of variables."""
    lists = {"inputVariables", "outputVariables"}
    write_record({name: value for name, value in as_json(definition).items() if name not in lists})
    if definition.flaw is None:
        source = definition.source
        for name, variables in (("INPUT", source.input_variables), ("OUTPUT", source.output_variables)):
            if variables:
                columns = (name, "TYPE", "REQUIRED", "DEFAULT", "VALIDATION", "SENSITIVE", "DESCRIPTION")
                write_table(columns, map(_row, variables))


def _row(variable: Variable) -> tuple[object, ...]:
    validation = variable.validation
    return (
        variable.name,
        variable.type,
        "yes" if variable.required else "no",
        None if variable.default_value is None else _json(variable.default_value),
        _json(validation.model_dump(mode="json", exclude_none=True)) if validation else None,
        "yes" if variable.sensitive else None,
        variable.description,
    )


def lines_of(changes: Iterable[Change]) -> list[str]:
    """A line each: what was added, removed or changed, and where."""
    return [_line(change) for change in changes]


def _line(change: Change) -> str:
    if change.old is None:
        return f"+ {change.where}: {_json(change.new)}"
    if change.new is None:
        return f"- {change.where}: {_json(change.old)}"
    return f"~ {change.where}: {_json(change.old)} -> {_json(change.new)}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
