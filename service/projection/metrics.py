"""The projector's metrics. Names and labels are part of the contract with dashboards and alarms."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RECORDS: Final = Counter("taskexec_projector_records_total", "Records written to ClickHouse, by topic.", ["topic"])
INSERT_SECONDS: Final = Histogram(
    "taskexec_projector_insert_seconds",
    "From a batch of records to its acknowledged insert.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
LAG: Final = Gauge(
    "taskexec_projector_lag_offsets", "Offsets in the topic that are not in ClickHouse yet.", ["topic", "partition"]
)
LAST_COMMIT: Final = Gauge(
    "taskexec_projector_last_commit_timestamp_seconds",
    "When the projector last committed its position to ClickHouse. Alarm when it is a minute old.",
)
LAST_EVENT: Final = Gauge(
    "taskexec_projector_last_record_timestamp_seconds",
    "When the newest record that is in ClickHouse was written to Kafka. Old while there is lag: alarm.",
)
INTERRUPTIONS: Final = Counter(
    "taskexec_projector_interruptions_total",
    "Times that Kafka or ClickHouse failed and the projector began again from its position, by error.",
    ["error"],
)
BLOCKED: Final = Gauge(
    "taskexec_projector_blocked", "1 where a partition is stopped before a record it cannot read. Alarm on it.",
    ["topic", "partition"],
)  # fmt: skip
OFFSETS_MISSED: Final = Counter(
    "taskexec_projector_offsets_missed_total", "Offsets deleted by retention before they were read. Alarm on it.",
    ["topic"],
)  # fmt: skip
DROPPED: Final = Counter(
    "taskexec_projector_dropped_executions_total", "Finished executions dropped from ClickHouse, by the retention."
)
DROPPED_PAYLOADS: Final = Counter(
    "taskexec_projector_dropped_payloads_total",
    "Finished executions whose inputs and outputs were dropped from ClickHouse, by the payload retention.",
)
DROPPED_REJECTIONS: Final = Counter(
    "taskexec_projector_dropped_rejections_total",
    "Refused commands dropped from ClickHouse, by the rejection retention.",
)
