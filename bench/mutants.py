"""A sampled mutation test: `python -m bench.mutants --count 200 --seed 7`. What it mutates: pyproject.toml.

The share of mutants that the tests notice says what coverage cannot: whether they would notice a fault.
"""

import os
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.mutation.mutations import Mutation, mutations
from bench.mutation.trial import Outcome, attempt

ROOT = Path(__file__).parents[1]
EQUIVALENTS = ROOT / "tests/equivalent_mutants.toml"
REQUIRED = 0.95
"""The share of the sample that tests must notice."""

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
console = Console(soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class Mutant:
    """A mutation of a file, and the tests that should notice it."""

    file: str
    mutation: Mutation
    tests: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, str, str]:
        """What names it in the list of equivalents; no line number, so that the list stays true."""
        return self.file, self.mutation.source, self.mutation.change

    @property
    def package(self) -> str:
        """The folder that it is counted under."""
        return str(Path(self.file).parent)


def mutants_of(root: Path, tests: dict[str, list[str]], excluded: dict[str, str]) -> list[Mutant]:
    """All mutants of the packages that `tests` names; the tests of the mutated module's own name go first."""
    return [
        Mutant(file, mutation, own_tests_first(root, path.name, tests[package]))
        for package in tests
        for path in sorted((root / package).glob("*.py"))
        if (file := str(path.relative_to(root))) not in excluded
        for mutation in mutations(path.read_text())
    ]


def own_tests_first(root: Path, module: str, tests: Sequence[str]) -> tuple[str, ...]:
    """The files of tests, the module's own before all others: most mutants die there."""
    files = [file for test in tests for file in (sorted((root / test).rglob("test_*.py")) or [root / test])]
    return tuple(str(f.relative_to(root)) for f in sorted(files, key=lambda file: file.name != f"test_{module}"))


def sample(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """About `count` of them, from each file in proportion and at least one; the same for the same seed."""
    choose = random.Random(seed)  # noqa: S311 - a sample
    sizes = Counter(mutant.file for mutant in mutants)
    chosen = [
        mutant
        for file, size in sizes.items()
        for mutant in choose.sample([m for m in mutants if m.file == file], max(1, round(count * size / len(mutants))))
    ]
    choose.shuffle(chosen)
    return chosen


def try_all(root: Path, chosen: Sequence[Mutant], limit: float, ends: float) -> Iterator[tuple[Mutant, Outcome]]:
    """What comes of each, as it comes; those that have not begun at the time `ends` (monotonic) are left out."""

    def one(mutant: Mutant) -> tuple[Mutant, Outcome] | None:
        if time.monotonic() > ends:
            return None
        mutated = mutant.mutation.apply((root / mutant.file).read_text())
        return mutant, attempt(root, mutant.file, mutated, mutant.tests, limit)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from (tried for tried in pool.map(one, chosen) if tried)


def show(mutant: Mutant) -> None:
    """Print a survivor: where it is, what stands there, and what was put in its place."""
    change = mutant.mutation
    console.print(f"{mutant.file}:{change.line}", style="bold")
    console.print(f"  {change.source}\n- {change.before}\n+ {change.after}", markup=False)


def report(tried: Sequence[tuple[Mutant, Outcome]], equivalents: set[tuple[str, str, str]], took: float) -> bool:
    """Print the figures; True if enough were noticed."""
    survivors = [m for m, outcome in tried if outcome is Outcome.SURVIVED and m.identity not in equivalents]
    equivalent = sum(m.identity in equivalents for m, outcome in tried if outcome is Outcome.SURVIVED)
    table = Table("package", "sampled", *Outcome, "equivalent")
    for package in sorted({mutant.package for mutant, _ in tried}):
        of_it: Counter[str] = Counter(outcome for mutant, outcome in tried if mutant.package == package)
        left = sum(mutant.package == package for mutant in survivors)
        of_it["equivalent"], of_it[Outcome.SURVIVED] = of_it[Outcome.SURVIVED] - left, left
        table.add_row(package, str(of_it.total()), *(str(of_it[column]) for column in (*Outcome, "equivalent")))
    console.print(table)
    counted = len(tried) - equivalent
    share = 1 - len(survivors) / counted if counted else 0.0  # nothing tried proves nothing
    console.print(f"{share:.1%} noticed, {REQUIRED:.0%} required; {took / max(len(tried), 1):.1f} s for each mutant")
    return share >= REQUIRED


@app.command()
def main(
    count: Annotated[int, typer.Option(help="How many mutants, about.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 1,
    seconds: Annotated[float, typer.Option(help="Begin no further mutant after so long.")] = float("inf"),
    only: Annotated[str, typer.Option(help="Mutate only files whose path begins so.")] = "service/",
) -> None:
    """Run, print the figures and each survivor, and exit with 1 if too many survived."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutants"]
    listed = tomllib.loads(EQUIVALENTS.read_text())["equivalent"]
    equivalents = {(entry["file"], entry["line"], entry["mutation"]) for entry in listed}
    everything = mutants_of(ROOT, settings["tests"], settings["excluded"])
    if stale := equivalents - {mutant.identity for mutant in everything}:
        sys.exit(f"{EQUIVALENTS.name} lists what is no mutant any more: {stale}")
    everything = [mutant for mutant in everything if mutant.file.startswith(only)]
    for tests in {m.package: m.tests for m in everything}.values():
        if attempt(ROOT, "none.py", "", tests, settings["seconds"]) is not Outcome.SURVIVED:
            sys.exit(f"without any mutation, these tests must pass: pytest {' '.join(tests)}")
    chosen = sample(everything, count, seed) if count < len(everything) else everything
    console.print(f"{len(chosen)} of {len(everything)} mutants, seed {seed}")
    tried = []
    began = time.monotonic()
    for mutant, outcome in try_all(ROOT, chosen, settings["seconds"], began + seconds):
        tried.append((mutant, outcome))
        if outcome is Outcome.SURVIVED and mutant.identity not in equivalents:
            show(mutant)
    if len(tried) < len(chosen):
        console.print(f"{len(chosen) - len(tried)} mutants of the sample were not tried: the time was up")
    sys.exit(not report(tried, equivalents, time.monotonic() - began))


if __name__ == "__main__":
    app()
