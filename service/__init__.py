"""The task-execution service: the system of record for every run of every task."""
