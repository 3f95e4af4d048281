"""Counts the words of a text with Spark. How it gets its inputs and gives its outputs: docs/spark.md."""

import json
import os
from pathlib import Path

from pyspark import SparkContext

spark = SparkContext.getOrCreate()
inputs = json.loads(Path(os.environ["TASKEXEC_INPUTS"]).read_text("utf-8"))


def lower(word: str) -> str:
    """The word as it is counted: this runs in Spark's Python workers."""
    return word.lower()


words = spark.parallelize(inputs["text"].split(), 2).map(lower).cache()
counts = words.map(lambda word: (word, 1)).reduceByKey(lambda one, other: one + other).collectAsMap()
outputs = {"words": words.count(), "counts": counts}
Path(os.environ["TASKEXEC_RESULT"]).write_text(json.dumps(outputs), encoding="utf-8")
