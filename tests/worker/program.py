"""A worker as a user writes one: what it runs appends a line to the file that an input names."""

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from service.worker import Run, Worker

worker = Worker(
    concurrency=int(os.environ.get("CONCURRENCY", "4")),
    lease=timedelta(seconds=float(os.environ.get("LEASE", "30"))),
    drain=timedelta(seconds=float(os.environ.get("DRAIN", "20"))),
)


def note(inputs: dict[str, Any], run: Run, what: str) -> None:
    with Path(inputs["file"]).open("a", encoding="utf-8") as file:
        file.write(f"{run.execution.id} {what}\n")


@worker.task("run:coroutine", version=">=1")
async def coroutine(inputs: dict[str, Any], run: Run) -> dict[str, Any]:
    note(inputs, run, "began")
    try:
        await asyncio.sleep(inputs["seconds"])
    except asyncio.CancelledError:
        note(inputs, run, "cancelled")
        raise
    note(inputs, run, "ended")
    return {"attempt": run.execution.attempt or 1}


@worker.task("run:thread")
def thread(inputs: dict[str, Any], run: Run) -> None:
    note(inputs, run, "began")
    ends = time.monotonic() + inputs["seconds"]
    while time.monotonic() < ends:
        if run.is_stopped:
            note(inputs, run, "cancelled")
            return
        time.sleep(0.02)
    note(inputs, run, "ended")


@worker.task("run:process", process=True)
def process(inputs: dict[str, Any], run: Run) -> dict[str, Any]:
    note(inputs, run, f"began {os.getpid()}")
    run.progress(0.5, "half of it")
    time.sleep(inputs["seconds"])
    note(inputs, run, "ended")
    return {"attempt": 1}


@worker.task("run:progress")
async def progress(inputs: dict[str, Any], run: Run) -> None:
    for number in range(10):
        run.progress(number / 10, f"part {number}")
        await asyncio.sleep(inputs["seconds"] / 10)


@worker.task("run:wrong")
def wrong(inputs: dict[str, Any], run: Run) -> Any:
    match inputs["how"]:
        case "raise":
            raise LookupError("no such\0table \ud800")
        case "outputs":
            return {"attempt": "many"}
        case "no object":
            return [1]
        case "no json":
            return {"attempt": object()}
        case _:
            raise ValueError(inputs["how"])


@worker.task("run:die", process=True)
def die(inputs: dict[str, Any], run: Run) -> None:
    os._exit(3)
