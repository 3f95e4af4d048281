"""Small faults for a Python module, one at a time, as text: what a test suite must notice.

Left alone: documentation and prose (strings with spaces), types, decorators, what is tuning only, and inside of
f-strings, where Python 3.11 does not say where an expression stands.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_OPPOSITES: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_TUNING = {"frozen", "gc", "maxsize", "slots"}
"""Keyword arguments that change how fast something is, never what it does."""


@dataclass(frozen=True)
class Mutation:
    """One change. `line` counts from 1, `source` is what stands there; `before` and `after` are Python."""

    line: int
    source: str
    before: str
    after: str
    start: int
    end: int

    @property
    def change(self) -> str:
        """The change in one line: names the mutation, together with its file and its line's text."""
        return f"{self.before} -> {self.after}"

    def apply(self, source: str) -> str:
        """The module with this change made."""
        raw = source.encode()
        return (raw[: self.start] + self.after.encode() + raw[self.end :]).decode()


def mutations(source: str) -> list[Mutation]:
    """All mutations of a module, in the order of their lines."""
    starts = [0]
    lines = source.splitlines(keepends=True)
    for text in lines:
        starts.append(starts[-1] + len(text.encode()))
    found = []
    for node, after in _changes(ast.parse(source), types=False):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        text = f"({after})" if isinstance(node, ast.BoolOp | ast.BinOp | ast.Compare | ast.IfExp) else after
        found.append(Mutation(node.lineno, lines[node.lineno - 1].strip(), ast.unparse(node), text, start, end))
    return sorted(found, key=lambda mutation: (mutation.start, mutation.end, mutation.after))


_Node = ast.expr | ast.stmt


def _changes(node: ast.AST, *, types: bool) -> Iterator[tuple[_Node, str]]:
    """Nodes, each with what may stand in its place. `types`: inside of an annotation, where only calls do anything."""
    if isinstance(node, ast.JoinedStr) or _is_documentation(node):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cast":
        node = node.args[1]
    if not types and isinstance(node, ast.expr | ast.stmt):
        yield from ((node, after) for after in _replacements(node))
    for name, value in ast.iter_fields(node):
        if name == "decorator_list" or (isinstance(node, ast.keyword) and node.arg in _TUNING):
            continue
        inside = (types or name in {"annotation", "returns"}) and not isinstance(node, ast.Call)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _changes(child, types=inside)


def _is_documentation(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Call(func=ast.Name(id="TypeVar")):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            return True
        case _:
            return False


def _replacements(node: _Node) -> Iterator[str]:  # noqa: C901, PLR0912 - a table
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                for other in _OPPOSITES[type(operator)]:
                    ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                    yield ast.unparse(ast.Compare(node.left, ops, node.comparators))  # type: ignore[arg-type] # an operator
        case ast.BoolOp() | ast.BinOp():
            for other in _OPPOSITES.get(type(node.op), ()):
                yield ast.unparse(type(node)(**{**dict(ast.iter_fields(node)), "op": other()}))
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield f"({ast.unparse(node.operand)})"
        case ast.Constant(value=value):
            yield from _other_values(value)
        case ast.Return(value=value) if value is not None and ast.unparse(value) != "None":
            yield "return None"
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.AugAssign() | ast.Delete():
            yield "pass"
        case ast.Break() | ast.Continue():
            yield "continue" if isinstance(node, ast.Break) else "break"
        case ast.Call(func=ast.Name(id=name)) if name in _NAMES:
            yield ast.unparse(ast.Call(ast.Name(_NAMES[name]), node.args, node.keywords))
        case ast.Call(args=[first, second, *rest]) if ast.unparse(first) != ast.unparse(second):
            yield ast.unparse(ast.Call(node.func, [second, first, *rest], node.keywords))
        case ast.IfExp():
            yield ast.unparse(ast.IfExp(node.test, node.orelse, node.body))
        case _:
            pass


def _other_values(value: object) -> Iterator[str]:
    match value:
        case bool():
            yield repr(not value)
        case int() | float():
            yield repr(value + 1)
        case str() if " " not in value:
            yield repr(value + "X")
        case bytes() if b" " not in value:
            yield repr(value + b"X")
        case _:
            pass
