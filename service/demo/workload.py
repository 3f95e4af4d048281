"""A workload planned from a seed: every command, and how each command and each execution must end. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from service.contracts.commands import (
    Command,
    ExecuteTask,
    FailTaskExecution,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.definitions import TaskType
from service.contracts.replies import Outcome
from service.contracts.status import Status
from service.demo.mischief import MISCHIEF, Victim
from service.demo.pipelines import PIPELINES, Fate, Node, Turn, fates
from service.demo.steps import Send, Step
from service.domain.identity import command_id

_SURE: Final = (Turn.FAILS, Turn.STILL_RUNNING, Turn.STOPPED_RUNNING, Turn.STOPPED_PENDING, Turn.CONDITION_FALSE)
_SHARES: Final = {
    Turn.NONE: 78, Turn.FAILS: 9, Turn.CONDITION_FALSE: 5, Turn.STOPPED_RUNNING: 3, Turn.STILL_RUNNING: 3,
    Turn.STOPPED_PENDING: 2,
}  # fmt: skip
_PEOPLE: Final = ("scheduler", "scheduler", "scheduler", "maria.chen", "jonas.weber", "priya.nair")
_REASONS: Final = ("superseded by a newer run", "wrong parameters", "cluster maintenance", None)


@dataclass(frozen=True, slots=True)
class PlannedExecution:
    """An execution of the plan, and the status it is left in."""

    id: str
    task_id: str
    status: Status


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send. The steps of one pipeline are sent in order, each after the last one's reply; pipelines at once.

    `source` is the CloudEvents source of all of it.
    """

    source: str
    pipelines: tuple[tuple[Step, ...], ...]
    executions: tuple[PlannedExecution, ...]

    @property
    def total(self) -> int:
        """How many commands there are."""
        return sum(map(len, self.pipelines))

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many commands must be accepted, rejected, and found to be duplicates."""
        return Counter(step.expected for steps in self.pipelines for step in steps)

    @property
    def statuses(self) -> dict[str, Counter[Status]]:
        """By taskId, how many executions must be left in each status."""
        counts: defaultdict[str, Counter[Status]] = defaultdict(Counter)
        for execution in self.executions:
            counts[execution.task_id][execution.status] += 1
        return dict(counts)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a pipeline, or of its first nodes."""

    name: str
    pipeline: str
    nodes: Sequence[Node]
    turn: Turn


def make_plan(executions: int, *, seed: int = 1, run: str = "demo") -> Plan:
    """Plan this many executions. From 20 on, all six statuses are among them, and every kind of bad command.

    The same arguments make the same plan, ids included: played twice, the second time all is duplicates. `run` makes
    the ids of one play differ from those of another.
    """
    random = Random(seed)  # noqa: S311 - a workload, no secret
    source = f"/demo/{run}"
    pipelines: list[list[Send]] = []
    planned: list[PlannedExecution] = []
    victims: list[Victim] = []
    for item in _runs(random, executions):
        # Never at the first node: it always succeeds, so that there is something for the bad commands to aim at.
        endings = fates(item.nodes, item.turn, random.randrange(1, max(2, len(item.nodes) - 1)))
        creates = [Send(_create(random, item, node), f"{item.name}/{node.name}/execute") for node in item.nodes]
        ids = [command_id(source, create.id) for create in creates]
        steps = list(creates)
        for node, fate, id_ in zip(item.nodes, endings, ids, strict=True):
            planned.append(PlannedExecution(id_, node.sample.definition.task_id, fate.status))
            for command in _life(random, node, fate, id_):
                steps.append(Send(command, f"{item.name}/{node.name}/{len(steps)}"))
        pipelines.append(steps)
        victims.append(Victim(source, creates[0], ids[0]))
    _repeat_some(random, pipelines, max(3, executions // 25))
    mischief = _mischief(victims, max(len(MISCHIEF), executions // 20))
    return Plan(source, tuple((*steps, *mischief[at]) for at, steps in enumerate(pipelines)), tuple(planned))


def _runs(random: Random, executions: int) -> list[_Run]:
    """Pipelines of this many nodes together: first one cut to what remains, last those that still run at the end."""
    shapes: list[tuple[str, Sequence[Node]]] = []
    while executions > 0:
        name, nodes = random.choice(list(PIPELINES.items()))
        shapes.append((name, nodes[:executions]))
        executions -= len(nodes)
    sure = _SURE[: max(0, len(shapes) - 1)]
    more = random.choices(list(_SHARES), list(_SHARES.values()), k=len(shapes))
    turns = (*sure, *more)[: len(shapes) - 1]
    runs = [
        _Run(f"{name}-{number:05}", name, nodes, turn)
        for number, ((name, nodes), turn) in enumerate(zip(reversed(shapes), (Turn.NONE, *turns), strict=False))
    ]
    return sorted(runs, key=lambda item: item.turn is Turn.STILL_RUNNING)


def _create(random: Random, item: _Run, node: Node) -> ExecuteTask:
    definition = node.sample.definition
    return ExecuteTask(
        task_id=definition.task_id,
        task_version=definition.version,
        inputs=node.sample.inputs(random),
        created_by=random.choice(_PEOPLE),
        tags=(f"pipeline:{item.pipeline}", f"run:{item.name}"),
    )


def _life(random: Random, node: Node, fate: Fate, id_: str) -> Iterator[Command]:
    if fate.ran:
        spark = node.sample.definition.type is TaskType.PYSPARK_OPERATOR
        application = f"application_1790000000000_{random.randrange(10_000):04}" if spark else None
        yield StartTaskExecution(execution_id=id_, spark_application_id=application)
    match fate.status:
        case Status.SUCCESS:
            yield SucceedTaskExecution(execution_id=id_, outputs=node.sample.outputs(random))
        case Status.FAILURE:
            yield FailTaskExecution(execution_id=id_, error_message=random.choice(node.sample.errors))
        case Status.STOPPED:
            yield StopTaskExecution(
                execution_id=id_, reason=random.choice(_REASONS), requested_by=random.choice(_PEOPLE)
            )
        case Status.SKIPPED if fate.cause and fate.because:
            yield SkipTaskExecution(execution_id=id_, reason=fate.cause, node=fate.because)
        case _:
            return


def _repeat_some(random: Random, pipelines: list[list[Send]], count: int) -> None:
    """Some commands come again later, exactly alike, as at-least-once clients send them."""
    for _ in range(count if pipelines else 0):
        steps = random.choice(pipelines)
        first = random.randrange(len(steps))
        again = Send(steps[first].command, steps[first].id, Outcome.DUPLICATE)
        steps.insert(random.randint(first + 1, len(steps)), again)


def _mischief(victims: Sequence[Victim], count: int) -> dict[int, list[Step]]:
    """Bad commands, every kind in turn, spread evenly: by pipeline, what is sent after the rest."""
    dealt: dict[int, list[Step]] = {at: [] for at in range(len(victims))}
    for number in range(count if victims else 0):
        at = number * len(victims) // count
        dealt[at].append(MISCHIEF[number % len(MISCHIEF)](victims[at], f"bad-{number:05}"))
    return dealt
