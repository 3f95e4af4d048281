"""Input resolution: every type, every limit, every way of being absent, and names that are hard on a program."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.contracts.definitions import MAX_VARIABLES, TaskDefinition
from service.contracts.problems import MAX_ERRORS
from service.domain.definitions import Definition, InvalidDefinitionError, UnusableDefinition
from service.domain.rules import MAX_ENUM_VALUES

ODD_NAMES = [
    "a.b",
    "class",
    "__x",
    "model_config",
    "self",
    "a/b~c",
    "ключ",
    "with space",
    "__extra_items__",
    "{x}",
    "__proto__",
    "{}",
    "ж" * 255,
]
Json = Any


def definition(*variables: dict[str, Json]) -> Definition:
    body = {"taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql", "inputVariables": [*variables]}
    return Definition(TaskDefinition.model_validate(body))


def variable(type_: str = "string", **more: Json) -> dict[str, Json]:
    return {"name": "x", "type": type_, **more}


def errors(inputs: dict[str, Json], *variables: dict[str, Json]) -> list[tuple[str, str]]:
    _, found = definition(*variables).resolve_inputs(inputs)
    return [(error.pointer, error.detail) for error in found]


def resolved(inputs: dict[str, Json], *variables: dict[str, Json]) -> dict[str, Json]:
    values, found = definition(*variables).resolve_inputs(inputs)
    assert found == ()
    return values


SAMPLES: dict[str, Json] = {
    "text": "",
    "integer": 0,
    "float": -1.5,
    "true": True,
    "array": [None, 1],
    "object": {"a": {"b": None}},
    "null": None,
}
FITTING = {
    "string": {"text"},
    "file": {"text"},
    "number": {"integer", "float"},
    "boolean": {"true"},
    "array": {"array"},
    "object": {"object"},
}
WORDS = {
    "string": "must be a string",
    "file": "must be a string",
    "number": "must be a number",
    "boolean": "must be true or false",
    "array": "must be an array",
    "object": "must be an object",
}


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("type_", FITTING)
def test_every_value_against_every_type(type_: str, sample: str) -> None:
    found = errors({"x": SAMPLES[sample]}, variable(type_))
    assert found == ([] if sample in FITTING[type_] else [("#/inputs/x", WORDS[type_])])


@pytest.mark.parametrize("value", [2**63 - 1, 1.0, 1, "1", [1.0, 1], {"b": 1, "a": None}])
def test_a_value_is_kept_exactly_as_it_came(value: Json) -> None:
    kind = {int: "number", float: "number", str: "string", list: "array", dict: "object"}[type(value)]
    kept = resolved({"x": value}, variable(kind))["x"]
    assert (kept, type(kept)) == (value, type(value))


def test_a_required_input_must_be_given() -> None:
    assert errors({}, variable()) == [("#/inputs/x", "required, but missing")]
    assert errors({"x": None}, variable()) == [("#/inputs/x", "must be a string")]


@pytest.mark.parametrize("given", [{}, {"x": None}])
def test_an_optional_input_resolves_to_its_default_or_to_null(given: dict[str, Json]) -> None:
    assert resolved(given, variable(required=False)) == {"x": None}
    assert resolved(given, variable(required=False, defaultValue="d")) == {"x": "d"}
    assert resolved({"x": "y"}, variable(required=False, defaultValue="d")) == {"x": "y"}


@pytest.mark.parametrize("falsy", [0, False, "", [], {}])
def test_a_falsy_value_is_a_value(falsy: Json) -> None:
    kind = {int: "number", bool: "boolean", str: "string", list: "array", dict: "object"}[type(falsy)]
    other = {"number": 1, "boolean": True, "string": "d", "array": [1], "object": {"a": 1}}[kind]
    assert resolved({"x": falsy}, variable(kind, required=False, defaultValue=other)) == {"x": falsy}
    assert resolved({}, variable(kind, required=False, defaultValue=falsy)) == {"x": falsy}


def test_inputs_come_in_the_order_of_the_definition() -> None:
    first, second = {"name": "b", "type": "number"}, {"name": "a", "type": "number"}
    assert list(resolved({"a": 1, "b": 2}, first, second)) == ["b", "a"]


def test_an_unknown_input_is_refused_with_the_known_ones() -> None:
    assert errors({"x": "", "": 1, "y": 2}, variable()) == [
        ("#/inputs/", "unknown; allowed are: x"),
        ("#/inputs/y", "unknown; allowed are: x"),
    ]
    assert errors({"y": 2}) == [("#/inputs/y", "unknown; allowed are: none")]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_will_do(name: str) -> None:
    odd = {"name": name, "type": "number", "required": False, "defaultValue": 7}
    assert resolved({name: 5}, odd) == {name: 5}
    assert resolved({}, odd) == {name: 7}
    assert len(errors({name: "5"}, odd)) == 1


def test_pointers_are_escaped() -> None:
    assert [pointer for pointer, _ in errors({"a/b~c d%": 1})] == ["#/inputs/a~1b~0c%20d%25"]


@pytest.mark.parametrize(
    ("type_", "validation", "good", "bad", "detail"),
    [
        ("string", {"pattern": "^a+$"}, "aa", "b", "must match pattern '^a+$'"),
        ("string", {"pattern": "b"}, "abc", "ac", "must match pattern 'b'"),
        ("string", {"minLength": 2}, "é€", "€", "must have at least 2 characters"),
        ("file", {"maxLength": 1}, "€", "ab", "must have at most 1 character"),
        ("array", {"minLength": 1}, [0], [], "must have at least 1 item, not 0"),
        ("array", {"maxLength": 1}, [0], [0, 0], "must have at most 1 item"),
        ("number", {"minValue": 1}, 1.0, 0.99, "must be greater than or equal to 1"),
        ("number", {"maxValue": 0}, 0, 1e300, "must be less than or equal to 0"),
        ("string", {"enum": ["a", "b"]}, "b", "B", 'must be one of ["a","b"]'),
        ("number", {"enum": [1, 2.5]}, 2.5, 2, "must be one of [1,2.5]"),
        ("array", {"enum": [[1]]}, [1], [2], "must be one of [[1]]"),
        ("object", {"enum": [{"a": 1}]}, {"a": 1}, {}, 'must be one of [{"a":1}]'),
        ("boolean", {"enum": [True]}, True, False, "must be one of [true]"),
        ("string", {"enum": ["ab", "b"], "pattern": "^a"}, "ab", "b", "must match pattern '^a'"),
        ("number", {"enum": [2**53 + 1], "minValue": 2**53}, 2**53 + 1, 2**53, f"must be one of [{2**53 + 1}]"),
        ("number", {"maxValue": 1000.0}, 1000, 1001, "must be less than or equal to 1000"),
        ("string", {"minLength": 2, "maxLength": 2}, "ab", "a", "must have at least 2 characters"),
        ("number", {"minValue": 2, "maxValue": 2}, 2, 3, "must be less than or equal to 2"),
    ],
)
def test_limits(type_: str, validation: dict[str, Json], good: Json, bad: Json, detail: str) -> None:
    limited = variable(type_, validation=validation)
    assert errors({"x": good}, limited) == []
    assert errors({"x": bad}, limited) == [("#/inputs/x", detail)]
    assert resolved({"x": None}, {**limited, "required": False}) == {"x": None}


@pytest.mark.parametrize(("type_", "value"), [("number", 7), ("boolean", True), ("object", {}), ("array", [])])
def test_a_limit_that_does_not_concern_the_type_has_no_effect(type_: str, value: Json) -> None:
    assert errors({"x": value}, variable(type_, validation={"pattern": "^a$"})) == []


def test_a_long_enum_is_shown_in_part() -> None:
    whole, longer = "x" * 496, "x" * 497  # with quotes and brackets, 500 and 501 characters
    assert errors({"x": ""}, variable(validation={"enum": [whole]})) == [("#/inputs/x", f'must be one of ["{whole}"]')]
    assert errors({"x": ""}, variable(validation={"enum": [longer]})) == [
        ("#/inputs/x", f'must be one of ["{longer}"… (1 values)')
    ]


def test_the_enums_of_all_variables_have_up_to_10000_values_together() -> None:
    half = variable(validation={"enum": ["a"] * 5_000})
    other, more = ({**half, "name": "y", "validation": {"enum": ["a"] * count}} for count in (5_000, 5_001))
    assert errors({"x": "a", "y": "a"}, half, other) == []
    with pytest.raises(InvalidDefinitionError, match="all enums may have 10000 values together"):
        definition(half, more)


DEFAULT = "#/inputVariables/0/defaultValue: x: "
VALIDATION = "#/inputVariables/0/validation"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ([variable(), variable("number")], "#/inputVariables/1/name: x: is the name of another variable as well"),
        ([variable(defaultValue="d")], f"{DEFAULT}is required, so it cannot have a defaultValue"),
        ([variable(required=False, defaultValue=1)], f"{DEFAULT}its defaultValue must be a string"),
        (
            [variable(required=False, defaultValue="d", validation={"enum": ["e"]})],
            f'{DEFAULT}its defaultValue must be one of ["e"]',
        ),
        (
            [variable(required=False, defaultValue="d", validation={"pattern": "e"})],
            f"{DEFAULT}its defaultValue must match pattern 'e'",
        ),
        (
            [variable("array", validation={"minLength": 2, "maxLength": 1})],
            f"{VALIDATION}/minLength: x: its minLength 2 is greater than its maxLength 1",
        ),
        (
            [variable("number", validation={"minValue": 0.5, "maxValue": 0})],
            f"{VALIDATION}/minValue: x: its minValue 0.5 is greater than its maxValue 0",
        ),
        (
            [variable("number", validation={"minValue": 5, "enum": ["6", 4, True]})],
            f"{VALIDATION}/enum: x: none of its values fits the other rules of the variable",
        ),
        ([variable(validation={"enum": []})], f"{VALIDATION}/enum: x: none of its values fits"),
        (
            [variable(validation={"enum": ["a"] * (MAX_ENUM_VALUES + 1)})],
            f"{VALIDATION}/enum: x: all enums may have {MAX_ENUM_VALUES} values together",
        ),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused(variables: list[dict[str, Json]], message: str) -> None:
    with pytest.raises(InvalidDefinitionError) as refusal:
        definition(*variables)
    assert str(refusal.value).startswith(message)


def test_all_contradictions_are_told_at_once() -> None:
    with pytest.raises(InvalidDefinitionError) as refusal:
        definition(variable(validation={"pattern": "(", "minLength": 2, "maxLength": 1}), variable(defaultValue=1))
    assert [error.pointer for error in refusal.value.errors] == [
        f"{VALIDATION}/minLength",
        f"{VALIDATION}/pattern",
        "#/inputVariables/1/defaultValue",
        "#/inputVariables/1/name",
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"name": "a\x1bb"}, {"name": "n" * 256}, {"name": ""}, {"required": "yes"}, {"required": 1},
        {"validation": {"minLength": "1"}}, {"validation": {"maxLength": True}}, {"validation": {"maxLength": -1}},
        {"validation": {"minValue": "1"}}, {"validation": {"maxValue": False}}, {"validation": {"pattern": 1}},
        {"validation": {"enum": "ab"}}, {"validation": []},
    ],
)  # fmt: skip
def test_what_has_the_wrong_type_is_not_taken_for_something_else(more: dict[str, Json]) -> None:
    with pytest.raises(ValidationError):
        definition(variable() | more)


def test_too_many_variables_are_one_error_and_not_looked_at() -> None:
    with pytest.raises(ValidationError) as refusal:
        definition(*[{"oops": 1}] * (MAX_VARIABLES + 1))
    assert [error["msg"] for error in refusal.value.errors()] == [
        f"Value error, must have at most {MAX_VARIABLES} items"
    ]
    assert resolved({}, *({"name": str(n), "type": "file", "required": False} for n in range(MAX_VARIABLES)))


@pytest.mark.parametrize(
    ("validation", "value", "detail"),
    [
        ({"minValue": 2**53 + 1}, 2**53, f"must be greater than or equal to {2**53 + 1}"),
        ({"maxValue": 2**63 - 2}, 2**63 - 1, f"must be less than or equal to {2**63 - 2}"),
        ({"minValue": -(2**63)}, -(2**63), None),
        ({"maxValue": 2**53}, 2**53, None),
        ({"maxValue": 2**53}, 2**53 + 1, f"must be less than or equal to {2**53}"),
        ({"minValue": -(2**53)}, -(2**53) - 1, f"must be greater than or equal to {-(2**53)}"),
        ({"maxValue": 2.0**53}, 2**53 + 1, f"must be less than or equal to {2.0**53}"),
        ({"minValue": 2**53 + 1}, 1e300, None),
        ({"minValue": 2**53 + 1}, True, "must be a number"),
        ({"minValue": 2**53 + 1}, "1", "must be a number"),
        ({"minValue": -1e308, "maxValue": 1e308}, 1.1e308, "must be less than or equal to 1e+308"),
    ],
)
def test_limits_are_exact_beyond_what_a_float_can_hold(
    validation: dict[str, Json], value: Json, detail: str | None
) -> None:
    found = errors({"x": value}, variable("number", validation=validation))
    assert [error for _, error in found] == ([detail] if detail else [])


def test_a_version_that_cannot_be_used_holds_nothing_against_the_outputs_of_what_it_runs_already() -> None:
    assert UnusableDefinition("a:b", "1.0.0", "contradicts itself").check_outputs({"x": 1}) == ()


def test_of_very_many_unknown_inputs_the_first_are_listed() -> None:
    unknown = {f"u{n}": n for n in range(100_000)}
    found = errors(unknown | {"x": 1}, variable(), {"name": "y", "type": "string"})
    assert len(found) == MAX_ERRORS + 1
    assert ("#/inputs/x", "must be a string") in found
    assert ("#/inputs/y", "required, but missing") in found
    assert ("#/inputs/u0", "unknown; allowed are: x, y") in found
