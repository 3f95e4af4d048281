"""How a graph of executions looks: as a tree of what one waits for, and another of what waits for it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.cli.cells import ICONS, STYLES
from service.cli.output import Table, console, printable

if TYPE_CHECKING:
    from rich.text import Text


def show_graph(graph: Mapping[str, Any]) -> None:
    """The execution, then both trees. One that is met again is not followed again: it says so."""
    from rich.tree import Tree  # noqa: PLC0415 - only what draws trees pays for it

    nodes: dict[str, Mapping[str, Any]] = {node["id"]: node for node in graph["nodes"]}
    above: defaultdict[str, list[str]] = defaultdict(list)
    below: defaultdict[str, list[str]] = defaultdict(list)
    for edge in graph["edges"]:
        above[edge["downstream"]].append(edge["upstream"])
        below[edge["upstream"]].append(edge["downstream"])
    tree = Tree(_line(nodes[graph["executionId"]]))
    for title, next_ in (("waits for", above), ("is waited for by", below)):
        if next_[graph["executionId"]]:
            _grow(tree.add(title), graph["executionId"], nodes, next_)
    console().print(tree)


def edges_table(graph: Mapping[str, Any]) -> Table:
    """Who waits for whom, a line each."""
    columns = ("upstream", "downstream", "condition")
    return Table(columns, [[edge.get(column) for column in columns] for edge in graph["edges"]])


def _grow(tree: Any, begin: str, nodes: Mapping[str, Any], next_: Mapping[str, Sequence[str]]) -> None:  # noqa: ANN401 - rich is loaded late
    """From top to bottom, without recursion: a chain may have more links than Python has frames."""

    def after(id_: str) -> list[str]:
        return sorted(next_.get(id_, ()), key=lambda one: (nodes[one].get("node") or "", one), reverse=True)

    seen = {begin}
    left = [(tree, one) for one in after(begin)]
    while left:
        branch, id_ = left.pop()
        following = after(id_)
        twig = branch.add(_line(nodes[id_], " (see above)" if following and id_ in seen else ""))
        if id_ not in seen:
            seen.add(id_)
            left += [(twig, one) for one in following]


def _line(node: Mapping[str, Any], more: str = "") -> "Text":
    from rich.text import Text  # noqa: PLC0415 - only what draws trees pays for it

    status = node.get("status")
    word = f"{ICONS.get(status, '?')} {status}" if status else "? not there"
    names = " ".join(printable(node[name]) for name in ("node", "taskId", "id") if name in node)
    return Text.assemble((word, STYLES.get(status or "", "dim")), f" {names}{more}")
