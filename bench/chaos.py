"""The chaos run of tests/chaos for as long as you like: `python -m bench.chaos --seconds 600 --seed 7`."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from service.logs import configure_logs
from tests.chaos.run import run_chaos

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(help="How long load and faults go on.")] = 60,
    seed: Annotated[int, typer.Option(help="Of commands and faults.")] = 1,
    rate: Annotated[float, typer.Option(help="Commands per second.")] = 500,
    brokers: Annotated[int, typer.Option(help="One, or three, which are restarted one by one.")] = 1,
    keep: Annotated[Path | None, typer.Option(help="Keep data and logs in this empty directory.")] = None,
) -> None:
    """Run, print the summary as a line of JSON, and exit with 1 if anything was lost or done twice."""
    configure_logs("ERROR")
    with tempfile.TemporaryDirectory() as temporary:
        directory = keep or Path(temporary)
        summary = asyncio.run(run_chaos(directory, seed=seed, seconds=seconds, rate=rate, brokers=brokers))
    print(summary)
    sys.exit(bool(summary.violations))


if __name__ == "__main__":
    app()
