-- Every table of the read side. Kafka is the record: all of this can be dropped and is then filled again from there.
-- Replaying events changes nothing: each table keeps the newest row per key. Read with FINAL, or LIMIT 1 BY the key.

CREATE TABLE IF NOT EXISTS task_execution_events (
    executionId UUID,
    sequence UInt32,
    type LowCardinality(String),
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6),
    eventTime DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    taskId LowCardinality(String),
    taskVersion LowCardinality(String),
    createdAt DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    startedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    completedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    createdBy LowCardinality(String),
    tags Array(LowCardinality(String)),
    payload String CODEC(ZSTD(1)) COMMENT 'the body of the event as it was published',
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (executionId, sequence)
SETTINGS index_granularity = 256, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT '{version}';

-- One row per execution, by time: its newest event without the payload.
CREATE TABLE IF NOT EXISTS task_executions (
    executionId UUID,
    sequence UInt32,
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6),
    taskId LowCardinality(String),
    taskVersion LowCardinality(String),
    createdAt DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    startedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    completedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    durationMs Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'from start to completion, where there are both',
    createdBy LowCardinality(String),
    tags Array(LowCardinality(String)),
    INDEX by_creator createdBy TYPE bloom_filter(0.01),
    INDEX by_tag tags TYPE bloom_filter(0.01),
    INDEX by_status status TYPE set(8)
)
ENGINE = ReplacingMergeTree(sequence)
PARTITION BY toMonday(createdAt)
ORDER BY (createdAt, executionId)
SETTINGS index_granularity = 512, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT '{version}';

-- The same rows, by task.
CREATE TABLE IF NOT EXISTS task_executions_by_task (
    executionId UUID,
    sequence UInt32,
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6),
    taskId LowCardinality(String),
    taskVersion LowCardinality(String),
    createdAt DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    startedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    completedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    durationMs Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'from start to completion, where there are both',
    createdBy LowCardinality(String),
    tags Array(LowCardinality(String)),
    INDEX by_creator createdBy TYPE bloom_filter(0.01),
    INDEX by_tag tags TYPE bloom_filter(0.01),
    INDEX by_status status TYPE set(8)
)
ENGINE = ReplacingMergeTree(sequence)
PARTITION BY toMonday(createdAt)
ORDER BY (taskId, createdAt, executionId)
SETTINGS index_granularity = 512, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT '{version}';

-- Every command that was refused, as far as it could be read.
CREATE TABLE IF NOT EXISTS task_command_rejections (
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64 CODEC(Delta(8), ZSTD(1)),
    time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    code LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    executionId Nullable(UUID),
    commandType String CODEC(ZSTD(1)),
    commandSource String CODEC(ZSTD(1)),
    problem String CODEC(ZSTD(1)) COMMENT 'the RFC 9457 problem object'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT '{version}';

-- How far the projector has come. Everything up to `offset` is here (-1: nothing yet).
-- The topic's end, exclusive, was `endOffset` at `asOf`. Read the max() of each.
CREATE TABLE IF NOT EXISTS projector_position (
    topic LowCardinality(String),
    partition UInt16,
    offset Int64,
    endOffset Int64,
    asOf DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(offset)
ORDER BY (topic, partition)
COMMENT '{version}';

-- Which topics these are: one that was made anew has the same name, and another id.
CREATE TABLE IF NOT EXISTS projector_topics (
    topic LowCardinality(String),
    id UUID
)
ENGINE = ReplacingMergeTree
ORDER BY topic
COMMENT '{version}';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_executions_filler TO task_executions AS
SELECT executionId, sequence, status, taskId, taskVersion, createdAt, startedAt, completedAt,
    toUnixTimestamp64Milli(completedAt) - toUnixTimestamp64Milli(startedAt) AS durationMs, createdBy, tags
FROM task_execution_events
COMMENT '{version}';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_executions_by_task_filler TO task_executions_by_task AS
SELECT executionId, sequence, status, taskId, taskVersion, createdAt, startedAt, completedAt,
    toUnixTimestamp64Milli(completedAt) - toUnixTimestamp64Milli(startedAt) AS durationMs, createdBy, tags
FROM task_execution_events
COMMENT '{version}';

-- Else the engine starts a hundred threads to remove a hundred merged parts, and keeps them, with three files each.
ALTER TABLE task_execution_events MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_executions MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_executions_by_task MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_command_rejections MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE projector_position MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE projector_topics MODIFY SETTING concurrent_part_removal_threshold = 1000000;
