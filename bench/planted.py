"""Whether chaos finds the bugs of tests/chaos/planted: `python -m bench.planted --only stamp --runs 2`."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.chaos.planted import BUGS, Bug
from tests.chaos.run import run_chaos

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    only: Annotated[str, typer.Option(help="Only the bugs with this in their names.")] = "",
    runs: Annotated[int, typer.Option(help="How often each is looked for.")] = 1,
    seconds: Annotated[float, typer.Option(help="How long load and faults go on in a run.")] = 30,
    rate: Annotated[float, typer.Option(help="Commands per second.")] = 400,
    seed: Annotated[int, typer.Option(help="Of the first run; each further one has the next.")] = 1,
) -> None:
    """Print a line for each run, and exit with 1 if a bug was not found."""
    missed = 0
    for bug in BUGS:
        for number in range(runs if only in bug.name else 0):
            found = _run(bug, seed + number, seconds, rate)
            caught = [told for told in bug.told if told in found]
            missed += not caught
            print(f"{'caught' if caught else 'MISSED'} | {bug.name} | {found}", flush=True)
    sys.exit(bool(missed))


def _run(bug: Bug, seed: int, seconds: float, rate: float) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as directory:
        bug.plant(Path(source))
        run = run_chaos(
            Path(directory), seed=seed, seconds=seconds, rate=rate, source=Path(source), patience=_PATIENCE_SECONDS
        )
        return asyncio.run(run).violations


_PATIENCE_SECONDS = 20.0
"""Some bugs let commands wait for ever."""

if __name__ == "__main__":
    app()
