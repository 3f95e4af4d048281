"""The fuzz run of tests/fuzz for as long as you like: `python -m bench.fuzz --seconds 1800 --seed 7`."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.fuzz.run import run_fuzz

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(help="How long rounds go on.")] = 60,
    seed: Annotated[int, typer.Option(help="Of everything that is sent.")] = 1,
    round_: Annotated[int | None, typer.Option("--round", help="Only the round with this number.")] = None,
    without: Annotated[str, typer.Option(help="Inputs to leave out: kinds or `kind: variant`, comma-separated.")] = "",
    keep: Annotated[Path | None, typer.Option(help="Keep data and logs in this empty directory.")] = None,
) -> None:
    """Run, print what was sent and what came of it, and exit with 1 if there was any flaw."""
    left_out = frozenset(name.strip() for name in without.split(",") if name.strip())
    with tempfile.TemporaryDirectory() as temporary:
        summary = run_fuzz(keep or Path(temporary), seed=seed, seconds=seconds, only=round_, without=left_out)
    print(summary)
    sys.exit(bool(summary.flaws))


if __name__ == "__main__":
    app()
