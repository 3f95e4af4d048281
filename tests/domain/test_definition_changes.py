"""What differs between two definitions, and when they are the same."""

from typing import Any

import pytest

from service.contracts.definitions import TaskDefinition
from service.domain.definition_changes import IDENTITY, changes, same

X: dict[str, Any] = {"name": "x", "type": "number", "required": False, "defaultValue": 1,
                     "validation": {"minValue": 0}}  # fmt: skip
Y: dict[str, Any] = {"name": "y/z", "type": "string"}


def definition(**more: Any) -> TaskDefinition:
    body = {"taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
    return TaskDefinition.model_validate({**body, **more})


def differences(old: dict[str, Any], new: dict[str, Any], **options: Any) -> list[tuple[Any, ...]]:
    one, other = definition(**old), definition(**new)
    found = [(change.where, change.old, change.new) for change in changes(one, other, **options)]
    assert bool(found) is not same(one, other) or options.get("without") is not None or one.key != other.key
    back = [(change.where, change.new, change.old) for change in changes(other, one, **options)]
    assert sorted(map(str, back)) == sorted(map(str, found))
    return found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {}, []),
        ({}, {"inputVariables": [], "outputVariables": []}, []),
        ({"version": "1.0.0"}, {"version": "2.0.0"}, []),
        ({}, {"type": "flink_sql"}, [("#/type", "sql", "flink_sql")]),
        ({}, {"status": "DRAFT"}, [("#/status", "PUBLISHED", "DRAFT")]),
        ({}, {"inputVariables": [Y]},
         [("#/inputVariables/y~1z", None, {"name": "y/z", "type": "string", "required": True, "sensitive": False})]),
        ({"inputVariables": [X]}, {"inputVariables": [{**X, "defaultValue": 1.0}]}, []),
        ({"inputVariables": [X]}, {"inputVariables": [{**X, "defaultValue": True}]},
         [("#/inputVariables/x/defaultValue", 1, True)]),
        ({"inputVariables": [X]}, {"inputVariables": [{**X, "defaultValue": None}]},
         [("#/inputVariables/x/defaultValue", 1, None)]),
        ({"outputVariables": [X]}, {"outputVariables": [{**X, "type": "string", "description": "how many"}]},
         [("#/outputVariables/x/type", "number", "string"), ("#/outputVariables/x/description", None, "how many")]),
        ({"inputVariables": [X]}, {"inputVariables": [{**X, "validation": {"minValue": 0.0, "enum": [1, None]}}]},
         [("#/inputVariables/x/validation/enum", None, [1, None])]),
        ({"inputVariables": [{**X, "validation": {"enum": [1, 2]}}]},
         {"inputVariables": [{**X, "validation": {"enum": [1.0, 2.0]}}]}, []),
        ({"inputVariables": [{**X, "validation": {"enum": []}}]},
         {"inputVariables": [{**X, "validation": {"enum": [1]}}]},
         [("#/inputVariables/x/validation/enum", [], [1])]),
        ({"inputVariables": [X]}, {"inputVariables": [{**X, "validation": None}]},
         [("#/inputVariables/x/validation", {"minValue": 0}, None)]),
        ({"inputVariables": [X, Y]}, {"inputVariables": [Y, X]}, [("#/inputVariables", ["x", "y/z"], ["y/z", "x"])]),
        ({"inputVariables": [X, Y]}, {"inputVariables": [X]},
         [("#/inputVariables/y~1z", {"name": "y/z", "type": "string", "required": True, "sensitive": False}, None)]),
        ({"runTimeout": "PT1M"}, {"runTimeout": "PT60S"}, []),
        ({"runTimeout": "PT1M", "retry": {"maxAttempts": 3}}, {"startTimeout": "P1D", "retry": {"maxAttempts": 4}},
         [("#/startTimeout", None, "P1D"), ("#/runTimeout", "PT1M", None), ("#/retry/maxAttempts", 3, 4)]),
        ({}, {"retry": {"maxAttempts": 3, "delay": "PT5S"}},
         [("#/retry", None, {"maxAttempts": 3, "delay": "PT5S", "backoff": 1.0})]),
        ({"inputVariables": [{**X, "type": "object", "validation": None, "defaultValue": {"a": None}}]},
         {"inputVariables": [{**X, "type": "object", "validation": None, "defaultValue": {}}]},
         [("#/inputVariables/x/defaultValue", {"a": None}, {})]),
    ],
)  # fmt: skip
def test_each_thing_that_differs_is_named_by_where_it_is(old: Any, new: Any, expected: Any) -> None:
    assert differences(old, new) == expected


def test_what_is_not_compared_can_be_chosen() -> None:
    assert differences({}, {"status": "DRAFT"}, without=IDENTITY | {"status"}) == []
    assert differences({}, {"version": "2.0.0"}, without=frozenset()) == [("#/version", "1.0.0", "2.0.0")]
