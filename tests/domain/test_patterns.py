"""Patterns: RE2's syntax, found anywhere in a value, and never more work than a command may cost."""

from typing import Any

import pytest

from service.contracts.definitions import TaskDefinition
from service.contracts.problems import FieldError
from service.domain.definitions import Definition, InvalidDefinitionError
from service.domain.patterns import MAX_LENGTH, MAX_PROGRAM, MAX_STEPS, SYNTAX, Pattern

# Its automaton has more states than memory: RE2 needs as many steps as its program is long, for every byte.
SLOW = "a[ab]{900}c"
SLOW_SIZE = Pattern(SLOW).size


def definition(*patterns: str, outputs: bool = False, **validation: Any) -> Definition:
    variables = [
        {"name": f"v{number}", "type": "string", "required": False, "validation": {"pattern": pattern, **validation}}
        for number, pattern in enumerate(patterns)
    ]
    body = {"taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
    field = "outputVariables" if outputs else "inputVariables"
    return Definition(TaskDefinition.model_validate({**body, field: variables}))


def errors(task: Definition, *values: str) -> tuple[FieldError, ...]:
    return task.resolve_inputs({f"v{number}": value for number, value in enumerate(values)})[1]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("b", "abc", "ac"),
        ("^a+$", "aa", "aab"),
        (r"^\d{2}$", "12", "12\n"),  # `$` is the end, never before a newline
        (r"^\d$", "1", "\u0661"),  # ASCII only
        (r"^\pL+$", "жöл", "a1"),
        ("^.$", "€", "\n"),  # a character, not a byte
        ("(?i)^é$", "É", "e"),
        ("(?P<n>a)(b)", "ab", "a"),
        ("", "", None),
        (r"\{reason\}|{0\}", "{reason}", "}{"),
    ],
)
def test_a_pattern_is_found_anywhere(pattern: str, good: str, bad: str | None) -> None:
    assert errors(definition(pattern), good) == ()
    if bad is not None:
        (error,) = errors(definition(pattern), bad)
        assert (error.pointer, error.detail) == ("#/inputs/v0", f"must match pattern '{pattern}'")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "missing ): ("),
        ("(?=a)", "invalid perl operator: (?="),
        ("(?<!a)", "invalid perl operator: (?<!"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        (r"\u0041", r"invalid escape sequence: \u"),
        ("(?x) a", "invalid perl operator: (?x"),
        ("a{1001}", "invalid repetition size: {1001}"),
        (r"\pL{1,1000}", "pattern too large"),
    ],
)
def test_what_is_not_in_the_syntax_is_refused_and_says_where_to_find_it(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidDefinitionError) as refusal:
        definition(pattern)
    (error,) = refusal.value.errors
    assert error.pointer == "#/inputVariables/0/validation/pattern"
    assert error.detail.startswith(f"v0: its pattern is not usable: {reason}")
    assert "no look-around" in error.detail
    assert SYNTAX in error.detail


def test_programs_and_texts_of_patterns_are_bounded() -> None:
    with pytest.raises(InvalidDefinitionError, match=f"at most {MAX_PROGRAM} are allowed"):
        definition("(?:a?){1000}" * 6)
    with pytest.raises(InvalidDefinitionError, match=f"at most {MAX_LENGTH} are allowed"):
        definition("a" * (MAX_LENGTH + 1))


def test_a_pattern_has_up_to_10000_characters_and_a_program_of_10000_instructions() -> None:
    longest, largest = "a{0}" * 2_500, "a" * (10_000 - Pattern("").size)
    assert errors(definition(longest), "b") == ()
    (error,) = errors(definition(largest), "b")
    assert error.detail.startswith("must match pattern 'aaa")
    with pytest.raises(InvalidDefinitionError, match="it has 10001 characters, at most 10000 are allowed"):
        definition(longest + "a")
    with pytest.raises(InvalidDefinitionError, match="has 10001 instructions, at most 10000 are allowed"):
        definition(largest + "a")


@pytest.mark.parametrize("unit", [".{1,1000}", r"(?:\pL\pL){0}" * 100, r"\pL{1,1000}"])
def test_patterns_are_bounded_together(unit: str) -> None:
    with pytest.raises(InvalidDefinitionError, match="too large together"):
        definition(*(f"{unit}{number}" for number in range(100)))


@pytest.mark.parametrize("letters", [r"\pL", r"\PL"])
def test_a_class_of_characters_costs_more_than_its_text(letters: str) -> None:
    assert errors(definition("(?:aaa){0}" * 1000), "a") == ()
    with pytest.raises(InvalidDefinitionError, match="too large together"):
        definition(f"(?:{letters}){{0}}" * 1000)


def test_the_same_pattern_costs_once() -> None:
    assert errors(definition(*[".{1,1000}"] * 1000), "a") == ()
    assert errors(definition(*(rf"^\d{{4}}-{number}$" for number in range(1000))), "2026-0") == ()


def test_a_value_that_would_cost_too_much_is_refused_by_its_length() -> None:
    most = MAX_STEPS // SLOW_SIZE
    assert errors(definition(SLOW), "b" * (most - 902) + "a" * 901 + "c") == ()
    (error,) = errors(definition(SLOW), "b" * (most - 901) + "a" * 901 + "c")
    assert f"has {most + 1} bytes in UTF-8: too long to be matched against its pattern" in error.detail
    assert f"at most {most} bytes are left for it" in error.detail
    (error,) = errors(definition(SLOW), "é" * (most // 2 + 1))  # bytes, not characters
    assert "too long to be matched" in error.detail


def test_the_whole_budget_can_be_spent() -> None:
    whole = "a" * (MAX_STEPS // Pattern("").size)
    assert len(whole) * Pattern("").size == MAX_STEPS
    assert errors(definition(""), whole) == ()
    assert len(errors(definition(""), whole + "a")) == 1


def test_all_values_of_a_command_share_one_budget() -> None:
    half = "a" * 901 + "c" + "a" * (MAX_STEPS // SLOW_SIZE // 2)
    assert errors(definition(SLOW, SLOW), half, "") != ()
    found = errors(definition(SLOW, SLOW, "^c$"), half, half, "c")
    assert [error.pointer for error in found] == ["#/inputs/v1"]
    assert [error.pointer for error in errors(definition(SLOW, SLOW), half, half)] == ["#/inputs/v1"]  # the next is new


def test_outputs_have_the_same_budget() -> None:
    (error,) = definition(SLOW, outputs=True).check_outputs({"v0": "a" * 1_000_000})
    assert error.pointer == "#/outputs/v0"
    assert "too long to be matched" in error.detail


@pytest.mark.parametrize(
    ("validation", "detail"),
    [({"maxLength": 5}, "must have at most 5 characters"), ({"enum": ["abc"]}, 'must be one of ["abc"]')],
)
def test_what_is_cheaper_is_checked_first(validation: dict[str, Any], detail: str) -> None:
    (error,) = errors(definition("b", **validation), "a" * 5_000_000)
    assert detail in error.detail


def test_nothing_is_written_while_matching_runs_out_of_memory(capfd: pytest.CaptureFixture[str]) -> None:
    errors(definition(SLOW, "(?:a?){999}b"), "ab" * 3000, "a" * 3000)
    with pytest.raises(InvalidDefinitionError):
        definition("(")
    assert capfd.readouterr() == ("", "")


def test_a_default_and_an_enum_are_matched_within_the_budget_too() -> None:
    with pytest.raises(InvalidDefinitionError, match="none of its values fits"):
        definition(SLOW, enum=["a" * 1_000_000])
