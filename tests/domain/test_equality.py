"""Enums hold JSON values: what is equal in JSON is equal, and nothing else is."""

from typing import Any

import pytest

from service.contracts.definitions import TaskDefinition
from service.domain.definitions import Definition
from service.domain.equality import JsonValues, canonical

SAME = [
    (1, 1.0),
    (0, -0.0),
    (10**18, 1e18),
    (-(2**63), -9.223372036854775808e18),
    ([1, [2.0]], [1.0, [2]]),
    ({"a": 1, "b": [{"c": 2}]}, {"b": [{"c": 2.0}], "a": 1.0}),
]
DIFFERENT = [
    (1, True),
    (0, False),
    ([1], [True]),
    ({"a": [0]}, {"a": [False]}),
    (None, False),
    ("1", 1),
    ("true", True),
    ("", None),
    ([], {}),
    ([1, 2], [2, 1]),
    (2**53, 2**53 + 1),
    (2**63 - 1, 9.223372036854775807e18),
    ({"a": None}, {}),
    ('"a"', "a"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_json_is_equal(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(other)
    assert hash(canonical(one)) == hash(canonical(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_json_is_not(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)


def test_a_value_is_among_others_whatever_its_length() -> None:
    values = JsonValues(["abc", [1, 1, 1], {"a": 1}, 7])
    same: list[Any] = ["abc", [1.0, 1.0, 1.0], {"a": 1.0}, 7.0]
    other: list[Any] = ["abcd", [1.0] * 4, [1] * 1_000_000, {"a": "x" * 1_000_000}, 71]
    assert all(value in values for value in same)
    assert not any(value in values for value in other)
    assert -0.0 in JsonValues([0])
    assert 1 not in JsonValues([])


def errors(type_: str, enum: list[Any], value: Any) -> list[str]:
    variable = {"name": "x", "type": type_, "validation": {"enum": enum}}
    body = {"taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql", "inputVariables": [variable]}
    return [error.detail for error in Definition(TaskDefinition.model_validate(body)).resolve_inputs({"x": value})[1]]


@pytest.mark.parametrize(
    ("type_", "enum", "good", "bad"),
    [
        ("array", [[1]], [1.0], [True]),
        ("object", [{"a": [0, {}]}], {"a": [0, {}]}, {"a": [False, {}]}),
        ("number", [True, 2], 2.0, 1),
        ("boolean", [1, False], False, True),
        ("string", ["1", 2], "1", "2"),
    ],
)
def test_an_enum_compares_json(type_: str, enum: list[Any], good: Any, bad: Any) -> None:
    assert errors(type_, enum, good) == []
    assert len(errors(type_, enum, bad)) == 1


def test_a_long_enum_is_not_repeated_in_full() -> None:
    (detail,) = errors("string", [f"{{value}} {number}" for number in range(10_000)], "x")
    assert detail.startswith('must be one of ["{value} 0","{value} 1",')
    assert detail.endswith("… (10000 values)")
    assert len(detail) < 600
