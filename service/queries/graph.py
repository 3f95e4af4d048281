"""The graph around an execution: what it waits for, and what waits for it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

import msgspec

from service.contracts.events import Dependency
from service.contracts.status import Status
from service.ports.read_model import ReadModel, StoredNode
from service.queries.answers import GraphEdge, GraphNode, TaskExecutionGraph
from service.queries.freshness import Freshness

MAX_NODES: Final = 1_000

_upstreams: Final = msgspec.json.Decoder(tuple[Dependency, ...])

Found = Mapping[str, StoredNode | None]
"""By id, the nearest first. One that others wait for, and that is not there, is None."""


async def graph_around(read_model: ReadModel, execution_id: str, fresh: Freshness) -> TaskExecutionGraph | None:
    """The graph, from the execution outwards until it is whole or `MAX_NODES` are found; None if there is no such one.

    Upwards go those that it waits for, downwards those that wait for it: not others that wait for the same.
    """
    found: dict[str, StoredNode | None] = {one.execution_id: one for one in await read_model.nodes([execution_id])}
    up = down = {*found}
    truncated = False
    while (up or down) and not truncated:
        above = {one.execution_id for id_ in up for one in _upstreams_of(found[id_])}
        below = {*await read_model.waiting([*down], MAX_NODES + 1)} if down else set[str]()
        new = sorted((above | below) - found.keys())
        room = MAX_NODES - len(found)
        truncated = len(new) > room
        read = {one.execution_id: one for one in await read_model.nodes(new[:room])} if new else {}
        # One that waits, and is not kept any more, is gone; one that is waited for has a place in any case.
        new = [id_ for id_ in new[:room] if id_ in read or id_ in above]
        found |= {id_: read.get(id_) for id_ in new}
        up, down = above.intersection(new), below.intersection(new)
    return _graph(execution_id, found, fresh, truncated=truncated) if found else None


def _graph(execution_id: str, found: Found, fresh: Freshness, *, truncated: bool) -> TaskExecutionGraph:
    waits = [(id_, one) for id_, node in found.items() for one in _upstreams_of(node) if one.execution_id in found]
    names: dict[str, str] = {}
    for _, one in waits:
        names.setdefault(one.execution_id, one.node)
    return TaskExecutionGraph(
        execution_id=execution_id,
        nodes=tuple(_node(id_, names.get(id_), stored) for id_, stored in found.items()),
        edges=tuple(
            GraphEdge(upstream=one.execution_id, downstream=id_, condition=one.condition) for id_, one in waits
        ),
        truncated=truncated,
        **asdict(fresh),
    )


def _node(id_: str, name: str | None, stored: StoredNode | None) -> GraphNode:
    if stored is None:
        return GraphNode(id=id_, node=name)
    retried_by = stored.retried_by or None
    return GraphNode(id=id_, node=name, task_id=stored.task_id, status=Status(stored.status), retried_by=retried_by)


def _upstreams_of(node: StoredNode | None) -> Sequence[Dependency]:
    return _upstreams.decode(node.depends_on) if node is not None and node.depends_on else ()
