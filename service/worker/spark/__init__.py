"""Runs PySpark applications as the tasks of a worker."""

from service.worker.spark.application import Spark

__all__ = ["Spark"]
