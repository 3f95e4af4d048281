"""What is told of definitions. Pure."""

from collections.abc import Iterable

from service.contracts.problems import Code, reject
from service.definitions.ordering import newest_last
from service.definitions.versions import Versions
from service.domain.definitions import Definition
from service.ports.definitions import (
    DefinitionState,
    ListedTaskDefinition,
    ListTaskDefinitions,
    TaskDefinitionAnswer,
    TaskDefinitionPage,
)


def newest_first(definitions: Iterable[Definition]) -> list[Definition]:
    """By task, the newest version first, `draft` last."""
    versions_sorted = sorted(definitions, key=lambda one: newest_last(one.version), reverse=True)
    return sorted(versions_sorted, key=lambda one: one.task_id)


def state_of(definition: Definition) -> DefinitionState:
    """Its status, or that it has none: nothing can be executed by it."""
    return DefinitionState.UNUSABLE if definition.flaw is not None else DefinitionState(definition.status)


def fitting(
    definitions: Iterable[Definition], task_id: str | None, namespace: str | None, status: DefinitionState | None
) -> list[Definition]:
    """Those of this task, of tasks whose id begins so, with this status, as far as these are given; newest first."""
    return [
        one
        for one in newest_first(definitions)
        if task_id in {None, one.task_id}
        and namespace in {None, one.task_id.partition(":")[0]}
        and status in {None, state_of(one)}
    ]


def page_of(versions: Versions, request: ListTaskDefinitions) -> TaskDefinitionPage:
    """The versions that fit."""
    found = fitting(versions, request.task_id, request.namespace, request.status)
    begin = (request.page_number - 1) * request.page_size
    items = tuple(_listed(versions, one) for one in found[begin : begin + request.page_size])
    return TaskDefinitionPage(
        items=items, total=len(found), page_number=request.page_number, page_size=request.page_size
    )


def answer_of(versions: Versions, task_id: str, version: str) -> TaskDefinitionAnswer:
    """The version.

    Raises:
        RejectedError: NOT_FOUND, there is none.
    """
    found = versions.get(task_id, version)
    if found is None:
        there = [one.version for one in newest_first(one for one in versions if one.task_id == task_id)]
        known = f"There are: {', '.join(there)}." if there else "There is no version of it."
        raise reject(Code.NOT_FOUND, f"There is no task definition {task_id} {version}. {known}")
    return TaskDefinitionAnswer(
        task_id=task_id,
        version=version,
        status=state_of(found),
        changed=versions.is_changed(task_id, version),
        definition=None if found.flaw is not None else found.source,
        flaw=found.flaw,
    )


def _listed(versions: Versions, one: Definition) -> ListedTaskDefinition:
    usable = one.flaw is None
    return ListedTaskDefinition(
        task_id=one.task_id,
        version=one.version,
        status=state_of(one),
        changed=versions.is_changed(one.task_id, one.version),
        type=one.type if usable else None,
        inputs=len(one.source.input_variables) if usable else None,
        outputs=len(one.source.output_variables) if usable else None,
        flaw=one.flaw,
    )
