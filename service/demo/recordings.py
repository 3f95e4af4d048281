"""Workflows that were recorded elsewhere (WfFormat 1.5 of WfCommons), and how a run of one must end. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from service.contracts.codec import MalformedJsonError, decode, pointer
from service.contracts.dependencies import MAX_DEPENDENCIES
from service.contracts.model import Name
from service.contracts.problems import FieldError, field_errors
from service.contracts.status import Status

_SHOWN: Final = 3
_TASKS: Final = ("workflow", "specification", "tasks")


class RecordingError(ValueError):
    """Not a recording that can be played: `flaws` say where, and what is allowed there."""

    def __init__(self, flaws: Sequence[str]) -> None:
        super().__init__(*flaws)
        self.flaws = flaws


class UnknownTaskError(ValueError):
    """No task of the recording is meant; the message says which could be."""


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """A task; `runtime` in seconds. Where a recording has several of one name, the names are their ids."""

    name: str
    parents: tuple[str, ...]
    runtime: float


@dataclass(frozen=True, slots=True)
class Recording:
    """The tasks of a recorded workflow by their names, each after its parents.

    `aliases`: whom of them the recording means by a name or an id.
    """

    name: str
    tasks: Mapping[str, RecordedTask]
    aliases: Mapping[str, Sequence[str]]

    def find(self, given: str) -> str:
        """The name of the task that has this name or this id.

        Raises:
            UnknownTaskError: none has, or several have.
        """
        meant = [given] if given in self.tasks else self.aliases.get(given, ())
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise UnknownTaskError(f"Several tasks have the name {given}. Give the id of one: {', '.join(meant)}.")
        near = get_close_matches(given, {*self.tasks, *self.aliases}, n=_SHOWN, cutoff=0.5)
        hint = (
            f"Did you mean {' or '.join(near)}?"
            if near
            else f"It has {', '.join([*self.tasks][:_SHOWN])}{' and so on' * (len(self.tasks) > _SHOWN)}."
        )
        raise UnknownTaskError(f"The recording has no task {given!r}. {hint}")

    def outcome(self, failing: Collection[str]) -> dict[str, Status]:
        """How each task ends when these fail, as far as they get to run (spec, invariant 4)."""
        ends: dict[str, Status] = {}
        for task in self.tasks.values():
            if any(ends[parent] is not Status.SUCCESS for parent in task.parents):
                ends[task.name] = Status.SKIPPED
            else:
                ends[task.name] = Status.FAILURE if task.name in failing else Status.SUCCESS
        return ends


class _Read(BaseModel):
    """What others wrote: what we do not need is their business."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_camel)


class _Task(_Read):
    name: Name
    id: Name
    parents: list[str] = Field(max_length=MAX_DEPENDENCIES)
    children: list[str]


class _Specification(_Read):
    tasks: list[_Task] = Field(min_length=1)


class _Run(_Read):
    id: str
    runtime_in_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Execution(_Read):
    tasks: list[_Run]


class _Workflow(_Read):
    specification: _Specification
    execution: _Execution | None = None


class _File(_Read):
    name: Annotated[str, Field(min_length=1)]
    schema_version: Literal["1.5"]
    workflow: _Workflow


def read_recording(raw: bytes) -> Recording:
    """The recording in a file of WfFormat 1.5.

    Raises:
        RecordingError: it is none, or its tasks do not fit together.
    """
    try:
        file = _File.model_validate(decode(raw))
    except MalformedJsonError as error:
        raise RecordingError([f"{error.pointer}: {error.detail}"]) from None
    except ValidationError as error:
        raise RecordingError(_told(field_errors(error, ()))) from None
    tasks = file.workflow.specification.tasks
    if flaws := [*_flaws(tasks)]:
        raise RecordingError(_told(flaws))
    runs = file.workflow.execution.tasks if file.workflow.execution is not None else ()
    runtimes = {run.id: run.runtime_in_seconds for run in runs}
    named = len({task.name for task in tasks}) == len(tasks)
    names = {task.id: task.name if named else task.id for task in tasks}
    aliases: defaultdict[str, list[str]] = defaultdict(list)
    for task in tasks:
        for alias in {task.id, task.name}:
            aliases[alias].append(names[task.id])
    by_id = {
        task.id: RecordedTask(
            names[task.id], tuple(names[one] for one in dict.fromkeys(task.parents)), runtimes.get(task.id, 0.0)
        )
        for task in tasks
    }
    try:
        order = [*TopologicalSorter({task.id: task.parents for task in tasks}).static_order()]
    except CycleError as error:
        cycle: list[str] = error.args[1]
        raise RecordingError([f"tasks wait for each other: {' -> '.join(cycle)}"]) from None
    return Recording(file.name, {names[id_]: by_id[id_] for id_ in order}, aliases)


def _told(flaws: Sequence[FieldError]) -> list[str]:
    return [f"{flaw.pointer}: {flaw.detail}" for flaw in flaws]


def _flaws(tasks: Sequence[_Task]) -> Iterator[FieldError]:
    """Where the tasks do not fit together. Each edge is there twice: by its child and by its parent."""
    times = Counter(task.id for task in tasks)
    down = {(task.id, child) for task in tasks for child in task.children}
    up = {(parent, task.id) for task in tasks for parent in task.parents}
    for index, task in enumerate(tasks):
        if times[task.id] > 1:
            yield FieldError(pointer=pointer("#", *_TASKS, index, "id"), detail=f"{task.id} is the id of several tasks")
        for side, others in (("parents", task.parents), ("children", task.children)):
            for place, other in enumerate(others):
                where = pointer("#", *_TASKS, index, side, place)
                edge, known = ((other, task.id), down) if side == "parents" else ((task.id, other), up)
                if other not in times:
                    yield FieldError(pointer=where, detail=f"there is no task with the id {other}")
                elif edge not in known:
                    yield FieldError(pointer=where, detail=f"{other} does not say so: parents and children must agree")
