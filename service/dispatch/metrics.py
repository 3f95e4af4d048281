"""The matcher's metrics. Names and labels are part of the contract with dashboards and alarms."""

from typing import Final

from prometheus_client import Counter, Gauge

CLAIMS: Final = Counter(
    "taskexec_claims_total", "Executions that were claimed for workers, by outcome (accepted, lost, unanswered).",
    ["outcome"],
)  # fmt: skip
READY: Final = Gauge("taskexec_ready_executions", "Executions that can start, as far as they are kept for workers.")
WAITING: Final = Gauge("taskexec_waiting_workers", "Workers that wait for an execution.")
EVENTS_READ: Final = Counter("taskexec_claims_events_total", "Events that were read to know what can start.")
