"""The domain has no clock, makes up no ids and does no I/O: all of that arrives as data."""

import ast
from pathlib import Path

import pytest

import service.domain

SOURCES = sorted(Path(service.domain.__file__).parent.glob("*.py"))
PURE = {"collections", "dataclasses", "datetime", "enum", "functools", "hashlib", "itertools", "json", "typing"}
LIBRARIES = {"msgspec", "pydantic", "pydantic_core", "re2", "uuid_utils", "service"}
IMPURE_NAMES = {"now", "utcnow", "today", "uuid1", "uuid4", "uuid6", "uuid7", "open", "print", "input"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_domain_is_pure(source: Path) -> None:
    nodes = list(ast.walk(ast.parse(source.read_text("utf-8"))))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= PURE | LIBRARIES
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {node.id for node in nodes if isinstance(node, ast.Name)}
    used |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not used & IMPURE_NAMES
