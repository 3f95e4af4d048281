"""bench.mutants: a mutant that tests notice is told from one that they do not, and the same seed finds the same."""

from pathlib import Path

import pytest

from bench.mutants import mutants_of, sample
from bench.mutation.mutations import mutations
from bench.mutation.trial import Outcome, attempt

MODULE = """
def is_full(size: int, most: int = 3) -> bool:
    \"\"\"Whether nothing more goes in.\"\"\"
    return size >= most
"""
TESTS = """
from sample.box import is_full

def test_an_empty_one_is_not_full():
    assert is_full(0) is False

def test_a_crowded_one_is_full():
    assert is_full(9) is True
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file, text in {"sample/box.py": MODULE, "tests/test_box.py": TESTS, "tests/test_no.py": "not Python"}.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("a < b", {"a < b -> (a <= b)", "a < b -> (a >= b)"}),
        ("a and b", {"a and b -> (a or b)"}),
        ("a + 1", {"a + 1 -> (a - 1)", "1 -> 2"}),
        ("f(a, b)", {"f(a, b) -> pass", "f(a, b) -> f(b, a)"}),
        ("x = min(a, b)", {"min(a, b) -> max(a, b)"}),
        ("x = a if b else c", {"a if b else c -> (c if b else a)"}),
        ("x = not a", {"not a -> (a)"}),
        ("x = 'ü', 'name'", {"'ü' -> 'üX'", "'name' -> 'nameX'"}),
        ("def f(a: int = 1) -> int:\n  return a", {"1 -> 2", "return a -> return None"}),
        ("x = cast('T', f(1))\nT = TypeVar('T')", {"1 -> 2"}),
        ("x: Annotated[str, Field(max_length=9)]", {"9 -> 10"}),
        (
            "@cache(9)\ndef f() -> 'T':\n  'name'\n  raise ValueError('some words')",
            {"raise ValueError('some words') -> pass"},
        ),
    ],
)
def test_a_fault_is_made_of_what_a_program_does(source: str, changes: set[str]) -> None:
    assert {mutation.change for mutation in mutations(source)} == changes


def test_one_thing_is_changed_and_the_rest_stays() -> None:
    (first, _) = mutations("'ü'; x = a == b  # why\ny = 'prose is left alone' + c")
    assert first.apply("'ü'; x = a == b  # why\ny = 'prose is left alone' + c") == (
        "'ü'; x = (a != b)  # why\ny = 'prose is left alone' + c"
    )


def test_a_mutant_is_killed_by_a_test_that_fails_and_survives_where_none_does(project: Path) -> None:
    mutants = mutants_of(project, {"sample": ["tests/test_box.py"]}, {})
    outcomes = {
        mutant.mutation.change: attempt(project, mutant.file, mutant.mutation.apply(MODULE), mutant.tests, seconds=60)
        for mutant in mutants
    }
    assert outcomes == {
        "3 -> 4": Outcome.SURVIVED,
        "size >= most -> (size > most)": Outcome.SURVIVED,
        "size >= most -> (size < most)": Outcome.KILLED,
        "return size >= most -> return None": Outcome.KILLED,
    }


def test_a_mutant_that_never_ends_is_stopped(project: Path) -> None:
    assert attempt(project, "sample/box.py", "while True: pass", ["tests/test_box.py"], seconds=8) is Outcome.TIMED_OUT


def test_what_is_excluded_is_not_mutated(project: Path) -> None:
    assert not mutants_of(project, {"sample": ["tests"]}, {"sample/box.py": "a reason"})


def test_the_tests_of_a_module_run_first_and_all_others_after_them(project: Path) -> None:
    assert mutants_of(project, {"sample": ["tests"]}, {})[0].tests == ("tests/test_box.py", "tests/test_no.py")


def test_a_seed_stands_for_one_sample_with_something_of_every_file(project: Path) -> None:
    (project / "sample/lid.py").write_text("def f(): return 1")
    mutants = mutants_of(project, {"sample": ["tests"]}, {})
    assert sample(mutants, 2, seed=1) == sample(mutants, 2, seed=1)
    assert {mutant.file for mutant in sample(mutants, 1, seed=1)} == {"sample/box.py", "sample/lid.py"}
