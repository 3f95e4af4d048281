"""A refusal is small and complete, whatever the request held."""

from typing import Any

import pytest

from service.contracts.problems import MAX_ERRORS, MAX_TEXT, Code, FieldError, listed, problem, reject


def flaws(count: int) -> tuple[FieldError, ...]:
    return tuple(FieldError(pointer=f"#/{number}", detail="wrong") for number in range(count))


def test_errors_are_listed_up_to_a_number_and_then_it_is_said_that_there_are_more() -> None:
    assert problem(Code.INVALID_COMMAND, "wrong", flaws(MAX_ERRORS)).errors == flaws(MAX_ERRORS)
    many = problem(Code.INVALID_COMMAND, "wrong", flaws(MAX_ERRORS + 1)).errors
    assert many[:-1] == flaws(MAX_ERRORS)
    assert (many[-1].pointer, many[-1].detail) == ("#", "there are more errors than are listed")


def test_a_text_is_cut_where_it_is_too_long() -> None:
    whole = "x" * MAX_TEXT
    assert problem(Code.INVALID_COMMAND, whole).detail == whole
    assert problem(Code.INVALID_COMMAND, whole + "x").detail == "x" * (MAX_TEXT - 1) + "…"
    assert FieldError(pointer="#/" + whole, detail=whole + "x").pointer == "#/" + "x" * (MAX_TEXT - 3) + "…"


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_type_a_title_and_a_status_of_its_own(code: Code) -> None:
    made = problem(code, "what to do")
    assert made.type == f"urn:task-execution-service:problem:{code.value}"
    assert (made.code, made.detail, made.errors) == (code, "what to do", ())
    assert 400 <= made.status < 600
    assert made.title


def test_what_is_raised_reads_as_its_code_and_its_detail() -> None:
    refusal = reject(Code.INVALID_COMMAND, "what to do", flaws(1))
    assert str(refusal) == "invalid_command: what to do"
    assert refusal.problem == problem(Code.INVALID_COMMAND, "what to do", flaws(1))


def test_of_very_many_unknown_names_no_more_are_looked_at_than_are_listed() -> None:
    few: dict[str, Any] = {"known": 1, **{f"u{number}": number for number in range(MAX_ERRORS)}}
    assert listed(few, ["known", "absent"]) == few
    many: dict[str, Any] = {f"u{number}": number for number in range(10 * MAX_ERRORS)} | {"known": 1}
    assert listed(many, ["known", "absent"]) == {
        "known": 1, **{f"u{number}": number for number in range(MAX_ERRORS + 1)}
    }  # fmt: skip
