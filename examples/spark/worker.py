"""A worker that runs one PySpark application: `taskexec worker examples.spark.worker:worker`."""

from pathlib import Path

from service.worker import Worker
from service.worker.spark import Spark

worker = Worker(concurrency=2)
spark = Spark(worker, master="local[2]", conf={"spark.ui.enabled": "false"})
spark.task("text:word_count", Path(__file__).with_name("word_count.py"), version="^1")
