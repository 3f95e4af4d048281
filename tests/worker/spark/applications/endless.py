"""Is busy in all its processes until it is ended: the driver, which is this, and those that Spark has started."""

import json
import os
import time
from pathlib import Path

from pyspark import SparkContext

spark = SparkContext.getOrCreate()
directory = json.loads(Path(os.environ["TASKEXEC_INPUTS"]).read_text("utf-8"))["directory"]


def work(part: int) -> None:
    Path(directory, f"{part}.pids").write_text(f"{os.getpid()} {os.getppid()}", encoding="utf-8")
    while True:
        time.sleep(0.1)


Path(directory, "application.id").write_text(spark.applicationId, encoding="utf-8")
Path(directory, "driver.pids").write_text(f"{os.getpid()} {os.getppid()}", encoding="utf-8")
spark.parallelize(range(2), 2).foreach(work)
