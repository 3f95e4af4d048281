"""Where the executions of a graph stand in a drawing: those that wait are right of what they wait for."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from service.queries.answers import GraphNode, TaskExecutionGraph

WIDTH: Final = 190
HEIGHT: Final = 40
_ACROSS: Final = 240
_DOWN: Final = 56


class Box(NamedTuple):
    """An execution, and where its left upper corner is, in pixels."""

    node: GraphNode
    x: int
    y: int


class Line(NamedTuple):
    """From the right of what is waited for to the left of who waits, as the path of an SVG."""

    path: str
    condition: str | None


class Drawing(NamedTuple):
    """All of it; the size is in pixels."""

    width: int
    height: int
    boxes: Sequence[Box]
    lines: Sequence[Line]


def drawn(graph: TaskExecutionGraph) -> Drawing:
    """The graph, in layers."""
    above: dict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        above[edge.downstream].append(edge.upstream)
    layers = _layers([node.id for node in graph.nodes], above)
    rows: dict[int, list[str]] = defaultdict(list)
    for id_, layer in layers.items():
        rows[layer].append(id_)
    height = max(map(len, rows.values()))
    places: dict[str, tuple[int, int]] = {}
    for layer, ids in sorted(rows.items()):
        ids.sort(key=lambda id_: _middle(places, above[id_]))
        top = (height - len(ids)) * _DOWN // 2
        places |= {id_: (layer * _ACROSS + 2, top + row * _DOWN + 2) for row, id_ in enumerate(ids)}
    boxes = [Box(node, *places[node.id]) for node in graph.nodes]
    lines = [Line(_curve(places[edge.upstream], places[edge.downstream]), edge.condition) for edge in graph.edges]
    return Drawing(max(rows) * _ACROSS + WIDTH + 4, height * _DOWN, boxes, lines)


def _layers(ids: Iterable[str], above: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """One more than the highest of what is waited for; what waits for itself ends somewhere, too."""
    layers = dict.fromkeys(ids, 0)
    for _ in layers:
        higher = {
            id_: layer
            for id_ in layers
            if (layer := max((layers[one] + 1 for one in above.get(id_, ())), default=0)) > layers[id_]
            and layer < len(layers)
        }
        if not higher:
            break
        layers |= higher
    return layers


def _middle(places: Mapping[str, tuple[int, int]], above: Sequence[str]) -> float:
    known = [places[one][1] for one in above if one in places]
    return sum(known) / len(known) if known else 0.0


def _curve(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (to_x, to_y) = (start[0] + WIDTH, start[1] + HEIGHT // 2), (end[0], end[1] + HEIGHT // 2)
    middle = (x + to_x) // 2
    return f"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"
