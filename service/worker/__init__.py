"""Runs tasks: a worker asks the service for executions, calls functions with their inputs, and reports how it went."""

from service.sealing import KeyRing
from service.worker.run import Run
from service.worker.service import RefusedError
from service.worker.worker import Worker

__all__ = ["KeyRing", "RefusedError", "Run", "Worker"]
