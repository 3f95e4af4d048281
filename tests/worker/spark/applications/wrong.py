"""Goes wrong, as it is told."""

import json
import os
from pathlib import Path

from pyspark import SparkContext

spark = SparkContext.getOrCreate()
how = json.loads(Path(os.environ["TASKEXEC_INPUTS"]).read_text("utf-8"))["how"]


def divide(number: int) -> float:
    return 1 / number


if how == "raise":
    spark.parallelize(range(2), 1).map(divide).collect()
Path(os.environ["TASKEXEC_RESULT"]).write_text('{"rows": "many"}', encoding="utf-8")
