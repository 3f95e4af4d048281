"""The write side's metrics. Names and labels are part of the contract with dashboards and alarms."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

COMMANDS_ANSWERED: Final = Counter(
    "taskexec_commands_total", "Commands answered, by outcome (accepted, duplicate, rejected, forwarded).", ["outcome"]
)
TRANSACTION_SECONDS: Final = Histogram(
    "taskexec_transaction_seconds",
    "From taking a batch to its committed transaction.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
PARTITIONS_OPEN: Final = Gauge(
    "taskexec_partitions_open", "Command partitions that this handler owns and has opened.", multiprocess_mode="livesum"
)
EXECUTIONS_KNOWN: Final = Gauge(
    "taskexec_executions_known", "About how many executions are remembered.",
    ["partition"], multiprocess_mode="livemostrecent",
)  # fmt: skip
RESTORE_LEFT: Final = Gauge(
    "taskexec_restore_offsets_left", "Offsets of the state topic that are still to be read before the partition opens.",
    ["partition"], multiprocess_mode="livesum",
)  # fmt: skip
PARTITION_RESETS: Final = Counter(
    "taskexec_partition_resets_total", "Partitions thrown away and opened again after an error, by error.", ["error"]
)
COMMANDS_HELD_SECONDS: Final = Gauge(
    "taskexec_commands_held_seconds",
    "For how long the next commands have been waiting for a transaction that a client has open. Alarm on a minute.",
    ["partition"], multiprocess_mode="livemax",
)  # fmt: skip
COMMANDS_SET_ASIDE: Final = Counter(
    "taskexec_commands_set_aside_total", "Commands refused because the service itself failed on them. Alarm on it."
)
STATE_LOST: Final = Counter(
    "taskexec_state_lost_total", "Openings that found that topics or state are gone; the process ends. Alarm on it."
)
OFFSETS_LOST: Final = Counter(
    "taskexec_offsets_lost_total", "Openings that found the group's offset and the state's position apart. Alarm on it."
)
COMMANDS_EXPIRED: Final = Counter(
    "taskexec_commands_expired_total", "Commands deleted by retention before they were handled. Alarm on it."
)
DEFINITIONS_UNREADABLE: Final = Counter(
    "taskexec_definitions_unreadable_total", "Records on the definitions topic that could not be read. Alarm on it."
)
DEFINITIONS_CHANGED: Final = Counter(
    "taskexec_definitions_changed_total",
    "Records on the definitions topic that would have changed a published version, and were ignored. Alarm on it.",
)
