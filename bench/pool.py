"""A process with some workers, each of which runs one execution at a time, and notes when each began."""

import asyncio
import json
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.workers import TASKS, task_id
from service.logs import configure_logs
from service.worker import Run, Worker
from service.worker.service import HttpService


async def _work(url: str, workers: range, tasks: int, file: Path) -> None:
    made = [_worker(number, tasks, file) for number in workers]

    def stop() -> None:
        for one in made:
            one.stop()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    services = [HttpService(url) for _ in made]
    await asyncio.gather(*(one.serve(service) for one, service in zip(made, services, strict=True)))


def _worker(number: int, tasks: int, file: Path) -> Worker:
    worker = Worker(name=f"bench-{number}", lease=timedelta(seconds=30))

    async def function(inputs: dict[str, Any], run: Run) -> None:
        began = time.time()
        with file.open("a", encoding="utf-8") as notes:
            notes.write(json.dumps([run.execution.id, inputs["sent"], began]) + "\n")
        await asyncio.sleep(inputs["seconds"])

    for place in range(tasks):
        worker.task(task_id((number * tasks + place) % TASKS), version=">=1")(function)
    return worker


if __name__ == "__main__":
    configure_logs("WARNING")
    url, first, count, tasks, file = sys.argv[1:]
    workers = range(int(first), int(first) + int(count))
    asyncio.run(_work(url, workers, int(tasks), Path(file)))
