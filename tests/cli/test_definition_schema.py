"""The schema for editors agrees with `validate`: what can be published is no mistake, and fields nobody knows are."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from service.cli.definition_files import check_definitions
from service.cli.main import app
from service.contracts.definition_schema import definition_file_schema

SCHEMA = definition_file_schema()
VALIDATOR = Draft7Validator(SCHEMA)
GOOD: dict[str, Any] = {
    "taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql",
    "runTimeout": "PT1H", "retry": {"maxAttempts": 3, "delay": "PT1M", "backoff": 2.0},
    "inputVariables": [
        {"name": "x", "type": "string", "required": False, "defaultValue": "y", "validation": {"minLength": 1}}
    ],
}  # fmt: skip

_NUMBERS = st.one_of(st.integers(-3, 3), st.floats(-3, 3))
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=3,
)


def _mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 59).flatmap(lambda dice: _JSON if dice == 0 else good)


def _object(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    fields = {name: _mostly(values) for name, values in {**required, **optional}.items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in required}, optional={name: fields[name] for name in optional}
    )


_DURATIONS = st.sampled_from(["PT30S", "P1D", "P1W", "-PT1S", "PT0S", "30", "1:00"])
_VALIDATION = _object(
    {},
    {
        "pattern": st.sampled_from(["^a", "(", "[a-z]*"]),
        "minLength": _NUMBERS,
        "maxLength": _NUMBERS,
        "enum": st.lists(_JSON, max_size=3),
        "minValue": _NUMBERS,
        "maxValue": _NUMBERS,
    },
)
_VARIABLE = _object(
    {
        "name": st.text(max_size=3) | st.sampled_from(["x", "y"]),
        "type": st.sampled_from(["string", "number", "boolean", "array", "object", "file"]),
    },
    {
        "required": st.booleans(),
        "description": st.text(max_size=3),
        "defaultValue": _JSON,
        "validation": _VALIDATION | st.none(),
        "sensitive": st.booleans(),
    },
)
_DEFINITION = _object(
    {
        "taskId": st.sampled_from(["a:b", "a:b\n", "a", "sales:daily_report"]),
        "version": st.sampled_from(["draft", "1.0.0", "1.0.0-rc.1+x", "1.0", "1.0.0\n"]),
        "status": st.sampled_from(["DRAFT", "PUBLISHED"]),
        "type": st.sampled_from(["sql", "flink_jar"]),
    },
    {
        "inputVariables": st.lists(_VARIABLE, max_size=2),
        "outputVariables": st.lists(_VARIABLE, max_size=1),
        "startTimeout": _DURATIONS,
        "runTimeout": _DURATIONS,
        "retry": _object({"maxAttempts": st.integers(0, 101)}, {"delay": _DURATIONS, "backoff": _NUMBERS}) | st.none(),
    },
)


def passes(tmp_path: Path, data: Any) -> bool:
    """Whether `validate` finds no mistake."""
    file = tmp_path / "definition.json"
    file.write_text(json.dumps(data))
    return all(not item.flaws for item in check_definitions([file]))


@given(data=st.one_of(_DEFINITION, st.lists(_DEFINITION, min_size=1, max_size=2)))
def test_what_can_be_published_passes_the_schema(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    if usable := passes(tmp_path_factory.getbasetemp(), data):
        VALIDATOR.validate(json.loads(json.dumps(data)))
    event(f"usable: {usable}")


@pytest.mark.parametrize(
    "place",
    [(), ("retry",), ("inputVariables", 0), ("inputVariables", 0, "validation")],
    ids=lambda place: "/".join(map(str, place)),
)
def test_a_field_that_nobody_knows_is_a_mistake_to_both(tmp_path: Path, place: tuple[Any, ...]) -> None:
    data = json.loads(json.dumps(GOOD))
    assert passes(tmp_path, data)
    assert VALIDATOR.is_valid(data)
    there = data
    for step in place:
        there = there[step]
    there["defaultvalue"] = 1
    assert not passes(tmp_path, data)
    assert not VALIDATOR.is_valid(data)
    assert not VALIDATOR.is_valid([GOOD, data])


@pytest.mark.parametrize("field", ["taskId", "version", "status", "type"])
def test_what_is_missing_or_of_another_type_is_a_mistake_to_both(tmp_path: Path, field: str) -> None:
    for data in ({**GOOD, field: 7}, {name: value for name, value in GOOD.items() if name != field}):
        assert not passes(tmp_path, data)
        assert not VALIDATOR.is_valid(data)


def test_every_field_says_what_it_is_for() -> None:
    Draft7Validator.check_schema(SCHEMA)
    for name, model in SCHEMA["$defs"].items():
        assert model["description"], name
        for field, schema in model.get("properties", {}).items():
            assert schema.get("description") or "$ref" in schema, f"{name}.{field}"


def test_it_is_printed() -> None:
    result = CliRunner().invoke(app, ["definitions", "schema"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, SCHEMA)
