"""Whether chaos finds the bugs of tests/chaos/planted: `python -m bench.planted --only stamp --runs 2`."""

import asyncio
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from service.logs import configure_logs
from tests.chaos.planted import BUGS, Bug
from tests.chaos.run import NOT_CAUGHT_UP, run_chaos
from tests.chaos.summary import Summary


class Verdict(StrEnum):
    """What came of a run."""

    CAUGHT = "caught"
    CLEAN = "clean"
    """Nothing was found, and there was nothing to find."""
    MISSED = "MISSED"
    DIRTY = "DIRTY"
    """Something was found where there was nothing to find."""
    VOID = "void"
    """Not everything was done in time, as on a machine that is too busy: what is missing then proves nothing."""


_LAST: Final = frozenset({Verdict.CAUGHT, Verdict.CLEAN, Verdict.DIRTY})
"""Another run would add nothing."""

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    only: Annotated[str, typer.Option(help="Only the bugs with this in their names.")] = "",
    runs: Annotated[int, typer.Option(min=1, help="At most so many for each: chance decides what is hit.")] = 4,
    seconds: Annotated[float, typer.Option(help="How long load and faults go on in a run.")] = 60,
    rate: Annotated[float, typer.Option(help="Commands per second.")] = 150,
    seed: Annotated[int, typer.Option(help="Of the first run; each further one has the next.")] = 1,
) -> None:
    """Print a line for each run, and exit with 1 if a bug was in none of its runs found, or something without one."""
    configure_logs("ERROR")
    verdicts = []
    for bug in [bug for bug in BUGS if only in bug.name]:
        for number in range(runs):
            run = _run(bug, seed + number, seconds, rate)
            verdict = _verdict(bug, run.violations)
            print(f"{verdict} | {bug.name} | seed {seed + number} | {run.violations}", flush=True)
            if verdict is Verdict.DIRTY:
                print(run.examples, flush=True)
            if verdict in _LAST:
                break
        verdicts.append(verdict)
    sys.exit(bool({*verdicts} - {Verdict.CAUGHT, Verdict.CLEAN}))


def _verdict(bug: Bug, found: dict[str, int]) -> Verdict:
    if NOT_CAUGHT_UP in found and NOT_CAUGHT_UP not in bug.told:
        return Verdict.VOID
    if not bug.told:
        return Verdict.DIRTY if found else Verdict.CLEAN
    return Verdict.CAUGHT if any(told in found for told in bug.told) else Verdict.MISSED


def _run(bug: Bug, seed: int, seconds: float, rate: float) -> Summary:
    with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as directory:
        bug.plant(Path(source))
        run = run_chaos(
            Path(directory), seed=seed, seconds=seconds, rate=rate, source=Path(source), patience=_PATIENCE_SECONDS
        )
        return asyncio.run(run)


_PATIENCE_SECONDS: Final = 90.0
"""Some bugs let commands wait for ever."""

if __name__ == "__main__":
    app()
