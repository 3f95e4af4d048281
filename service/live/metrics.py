"""What is followed. Names and labels are part of the contract with dashboards and alarms."""

from typing import Final

from prometheus_client import Counter, Gauge

READERS: Final = Gauge("taskexec_live_readers", "Readers that follow events now.")
EVENTS_READ: Final = Counter("taskexec_live_events_total", "Events that were read to be told to readers.")
TOO_SLOW: Final = Counter("taskexec_live_too_slow_total", "Readers that were let go of, for they did not keep up.")
