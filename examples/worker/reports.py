"""A worker for the task that the README publishes: `taskexec worker reports:worker`."""

import asyncio
import csv
import random
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from service.worker import Run, Worker

worker = Worker(concurrency=8, lease=timedelta(seconds=30))


@worker.task("sales:daily_report", version=">=1.2")
async def daily_report(inputs: dict[str, Any], run: Run) -> None:
    """Write the best sellers of a day."""
    sales = []
    for hour in range(24):
        run.progress(hour / 24, f"reading hour {hour}")
        sales += await read_sales(inputs["day"], hour)
    run.progress(1, "writing")
    best = sorted(sales, reverse=True)[: int(inputs["top"])]
    write(Path(gettempdir()) / f"report-{run.execution.id}.csv", best)


async def read_sales(day: str, hour: int) -> list[tuple[int, str]]:
    """Stands for a query: the sales of an hour."""
    await asyncio.sleep(0.02)
    chance = random.Random(f"{day} {hour}")  # noqa: S311 - made-up figures
    return [(chance.randrange(100_000), f"item {number}") for number in range(10)]


def write(file: Path, rows: list[tuple[int, str]]) -> None:
    """The report."""
    with file.open("w", encoding="utf-8", newline="") as output:
        csv.writer(output).writerows([("cents", "item"), *rows])


if __name__ == "__main__":
    worker.run()
