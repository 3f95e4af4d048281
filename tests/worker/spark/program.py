"""A worker of Spark applications, as a user writes one, and of functions that have to do with Spark."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from service.worker import Run, Worker
from service.worker.spark import Spark

APPLICATIONS = Path(__file__).parent / "applications"
EXAMPLES = Path(__file__).parents[3] / "examples/spark"

worker = Worker(concurrency=3, drain=timedelta(seconds=0.5))
spark = Spark(
    worker, master="local[2]", logs=Path(os.environ["LOGS"]),
    conf={
        "spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # it starts with less work
    },
)  # fmt: skip
spark.task("text:word_count", EXAMPLES / "word_count.py")
spark.task("spark:wrong", APPLICATIONS / "wrong.py")
spark.task("spark:endless", APPLICATIONS / "endless.py")


@worker.task("spark:quick")
@worker.task("spark:table")
async def quick(inputs: dict[str, Any], run: Run) -> None:
    run.spark_application("app-1")
    await asyncio.sleep(inputs["seconds"])
