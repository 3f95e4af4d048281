"""Pipelines of sample tasks, and what becomes of one run of a pipeline. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from service.contracts.commands import SkipCause
from service.contracts.status import Status
from service.demo import samples
from service.demo.samples import Sample


@dataclass(frozen=True, slots=True)
class Node:
    """One task in a pipeline; `upstream` are the positions of the nodes whose success it needs."""

    name: str
    sample: Sample
    upstream: tuple[int, ...] = ()


CHURN: Final = (
    Node("collect_data", samples.COLLECT),
    Node("clean_events", samples.CLEAN, (0,)),
    Node("train_model", samples.TRAIN, (1,)),
    Node("evaluate_model", samples.EVALUATE, (2,)),
    Node("score_customers", samples.SCORE, (3,)),
    Node("daily_report", samples.REPORT, (3, 4)),
)
FRAUD: Final = (
    Node("sessionize_clicks", samples.SESSIONIZE),
    Node("detect_fraud", samples.DETECT, (0,)),
    Node("daily_report", samples.REPORT, (1,)),
)
BILLING: Final = (
    Node("collect_invoices", samples.COLLECT),
    Node("collect_payments", samples.COLLECT),
    Node("clean_events", samples.CLEAN, (0, 1)),
    Node("daily_report", samples.REPORT, (2,)),
)
PIPELINES: Final = {"churn": CHURN, "fraud": FRAUD, "billing": BILLING}


class Turn(Enum):
    """What happens to one run of a pipeline, at the node where it happens."""

    NONE = auto()
    FAILS = auto()
    STOPPED_RUNNING = auto()
    STOPPED_PENDING = auto()
    CONDITION_FALSE = auto()
    STILL_RUNNING = auto()


@dataclass(frozen=True, slots=True)
class Fate:
    """The status in which a node ends, whether it ran, and, if it was skipped, why and because of which node."""

    status: Status
    ran: bool
    cause: SkipCause | None = None
    because: str | None = None


_TURNS: Final = {
    Turn.FAILS: Fate(Status.FAILURE, ran=True),
    Turn.STOPPED_RUNNING: Fate(Status.STOPPED, ran=True),
    Turn.STOPPED_PENDING: Fate(Status.STOPPED, ran=False),
    Turn.CONDITION_FALSE: Fate(Status.SKIPPED, ran=False, cause=SkipCause.CONDITION_FALSE, because="has_new_rows"),
    Turn.STILL_RUNNING: Fate(Status.RUNNING, ran=True),
}
_CAUSES: Final = {
    Status.FAILURE: SkipCause.UPSTREAM_FAILED,
    Status.STOPPED: SkipCause.UPSTREAM_STOPPED,
    Status.SKIPPED: SkipCause.UPSTREAM_SKIPPED,
}


def fates(nodes: Sequence[Node], turn: Turn, at: int) -> list[Fate]:
    """The fate of every node when `turn` happens at node number `at`; its downstream follows (spec, invariant 4)."""
    known: list[Fate] = []
    for index, node in enumerate(nodes):
        if index == at and turn in _TURNS:
            known.append(_TURNS[turn])
        else:
            known.append(_follow([(nodes[n].name, known[n].status) for n in node.upstream]))
    return known


def _follow(upstream: list[tuple[str, Status]]) -> Fate:
    for name, status in upstream:
        if cause := _CAUSES.get(status):
            return Fate(Status.SKIPPED, ran=False, cause=cause, because=name)
    if all(status is Status.SUCCESS for _, status in upstream):
        return Fate(Status.SUCCESS, ran=True)
    return Fate(Status.PENDING, ran=False)
