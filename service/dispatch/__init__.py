"""Finds for each worker that asks an execution that it can run, and starts it in its name."""
