CREATE TABLE IF NOT EXISTS task_execution_events_in_local ON CLUSTER 'main' (
    executionId UUID,
    sequence UInt32,
    type LowCardinality(String),
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6),
    previousStatus Nullable(Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6)),
    taskId LowCardinality(String),
    taskVersion LowCardinality(String),
    createdAt DateTime64(3, 'UTC'),
    startedAt Nullable(DateTime64(3, 'UTC')),
    completedAt Nullable(DateTime64(3, 'UTC')),
    createdBy LowCardinality(String),
    tags Array(LowCardinality(String)),
    payload String,
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64
)
ENGINE = Null
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_events_in ON CLUSTER 'main' AS task_execution_events_in_local
ENGINE = Distributed('main', 'taskexec', 'task_execution_events_in_local', cityHash64(executionId))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_events_local ON CLUSTER 'main' (
    executionId UUID,
    sequence UInt32,
    type LowCardinality(String),
    payload String CODEC(ZSTD(1))
        COMMENT 'its body, a JSON object, less what follows from the rest; times are milliseconds since createdAt (docs/adr/0050)',
    createdAt DateTime64(3, 'UTC') CODEC(ZSTD(1)) COMMENT 'of the execution',
    topic LowCardinality(String),
    partition UInt16 CODEC(T64, ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(3))
)
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (executionId, sequence)
SETTINGS index_granularity = 128, min_compress_block_size = 16384, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_events ON CLUSTER 'main' AS task_execution_events_local
ENGINE = Distributed('main', 'taskexec', 'task_execution_events_local', cityHash64(executionId))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_transitions_local ON CLUSTER 'main' (
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6)
        COMMENT 'the status that it came into; PENDING is its creation',
    previousStatus Enum8('NONE' = 0, 'PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6)
        COMMENT 'the status that it left',
    at DateTime64(3, 'UTC') CODEC(Delta(8), T64('bit'), ZSTD(1)) COMMENT 'when: createdAt, startedAt or completedAt',
    executionId UUID,
    taskId LowCardinality(String),
    taskVersion LowCardinality(String),
    createdAt DateTime64(3, 'UTC') CODEC(Delta(8), T64('bit'), ZSTD(1)),
    startedAt Nullable(DateTime64(3, 'UTC')) CODEC(Delta(8), T64('bit'), ZSTD(1)) COMMENT 'of one that ended, where it had started',
    createdBy LowCardinality(String),
    tags Array(LowCardinality(String)),
    message String CODEC(ZSTD(1)) COMMENT 'the error message or the skip reason, its first 4096 characters',
    payloads Enum8('KEPT' = 0, 'DROPPING' = 1, 'DROPPED' = 2) DEFAULT 'KEPT'
        COMMENT 'of one that ended: the inputs and outputs in its events (docs/adr/0030)',
    INDEX by_label arrayConcat([concat('\x01', taskId), concat('\x02', createdBy)], tags) TYPE text(tokenizer = 'array'),
    INDEX by_created createdAt TYPE minmax
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY (status, toYYYYMM(at))
ORDER BY (at, executionId, status)
SETTINGS non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_transitions ON CLUSTER 'main' AS task_execution_transitions_local
ENGINE = Distributed('main', 'taskexec', 'task_execution_transitions_local', cityHash64(executionId))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_executions_open_local ON CLUSTER 'main' (
    createdAt DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    executionId UUID,
    sequence UInt32,
    ended UInt8,
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6),
    startedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    taskId LowCardinality(String),
    taskVersion LowCardinality(String),
    createdBy LowCardinality(String),
    tags Array(LowCardinality(String))
)
ENGINE = ReplicatedReplacingMergeTree(sequence, ended)
ORDER BY (createdAt, executionId)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1, allow_experimental_replacing_merge_with_cleanup = 1
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_executions_open ON CLUSTER 'main' AS task_executions_open_local
ENGINE = Distributed('main', 'taskexec', 'task_executions_open_local', cityHash64(executionId))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_dependencies_local ON CLUSTER 'main' (
    upstream UUID COMMENT 'the execution that is waited for',
    executionId UUID COMMENT 'the one that waits',
    createdAt DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'of the one that waits'
)
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (upstream, executionId, createdAt)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_dependencies ON CLUSTER 'main' AS task_execution_dependencies_local
ENGINE = Distributed('main', 'taskexec', 'task_execution_dependencies_local', cityHash64(executionId))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_hours_local ON CLUSTER 'main' (
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'the hour in which they came into the status',
    taskId LowCardinality(String) COMMENT 'empty: of all tasks and versions',
    taskVersion LowCardinality(String),
    createdHour DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'the hour in which they were created',
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6),
    previousStatus Enum8('NONE' = 0, 'PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6),
    count UInt32 CODEC(ZSTD(1)) COMMENT 'how many',
    timeClasses Array(UInt16) CODEC(ZSTD(1))
        COMMENT 'of those that started their queue times, of those that ran their run times: round(log(1 + ms) / log(1.02))',
    timeCounts Array(UInt32) CODEC(ZSTD(1)) COMMENT 'how many took so long, of each class'
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toMonday(hour)
ORDER BY (taskId, hour, taskVersion, createdHour, status, previousStatus)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_hours ON CLUSTER 'main' AS task_execution_hours_local
ENGINE = Distributed('main', 'taskexec', 'task_execution_hours_local', cityHash64(taskId))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_hours_closed_local ON CLUSTER 'main' (
    edge Enum8('SINCE' = 1, 'UNTIL' = 2, 'OPENED' = 3),
    reopened DateTime64(3, 'UTC'),
    moment DateTime64(3, 'UTC'),
    mark UInt64 COMMENT 'of OPENED, any number: two that are of one moment are two'
)
ENGINE = ReplicatedReplacingMergeTree(moment)
ORDER BY (edge, reopened, mark)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_execution_hours_closed ON CLUSTER 'main' AS task_execution_hours_closed_local
ENGINE = Distributed('main', 'taskexec', 'task_execution_hours_closed_local', cityHash64(edge))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_command_rejections_local ON CLUSTER 'main' (
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64 CODEC(Delta(8), ZSTD(1)),
    time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    code LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    executionId Nullable(UUID),
    commandType String CODEC(ZSTD(1)),
    commandSource String CODEC(ZSTD(1)),
    problem String CODEC(ZSTD(1)) COMMENT 'the RFC 9457 problem object',
    record String CODEC(ZSTD(1)) COMMENT 'the refused record with its bytes in base64, a JSON object; empty before schema 3'
)
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS task_command_rejections ON CLUSTER 'main' AS task_command_rejections_local
ENGINE = Distributed('main', 'taskexec', 'task_command_rejections_local', cityHash64(partition, offset))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS projector_position_local ON CLUSTER 'main' (
    topic LowCardinality(String),
    partition UInt16,
    offset Int64,
    endOffset Int64,
    asOf DateTime64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree(offset)
ORDER BY (topic, partition)
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS projector_position ON CLUSTER 'main' AS projector_position_local
ENGINE = Distributed('main', 'taskexec', 'projector_position_local', cityHash64(topic, partition))
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS projector_topics_local ON CLUSTER 'main' (
    topic LowCardinality(String),
    id UUID
)
ENGINE = ReplicatedReplacingMergeTree
ORDER BY topic
COMMENT 'task-execution schema 4';

CREATE TABLE IF NOT EXISTS projector_topics ON CLUSTER 'main' AS projector_topics_local
ENGINE = Distributed('main', 'taskexec', 'projector_topics_local', cityHash64(topic))
COMMENT 'task-execution schema 4';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_execution_events_filler ON CLUSTER 'main' TO task_execution_events_local AS
SELECT executionId, sequence, type, payload, createdAt, topic, partition, offset
FROM task_execution_events_in_local
COMMENT 'task-execution schema 4';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_execution_transitions_filler ON CLUSTER 'main' TO task_execution_transitions_local AS
SELECT status, ifNull(toString(previousStatus), 'NONE') AS previousStatus,
    -- qualified: else the new columns of the same names are meant
    coalesce(completedAt, task_execution_events_in_local.startedAt, createdAt) AS at, executionId, taskId, taskVersion, createdAt,
    if(completedAt IS NULL, NULL, task_execution_events_in_local.startedAt) AS startedAt, createdBy, tags,
    if(status NOT IN ('FAILURE', 'SKIPPED'), '',
        leftUTF8(JSONExtractString(payload, if(status = 'FAILURE', 'errorMessage', 'skipReason')), 4096)) AS message
FROM task_execution_events_in_local
WHERE task_execution_events_in_local.previousStatus IS NULL OR task_execution_events_in_local.previousStatus != status
COMMENT 'task-execution schema 4';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_executions_open_filler ON CLUSTER 'main' TO task_executions_open_local AS
SELECT createdAt, executionId, sequence, status NOT IN ('PENDING', 'RUNNING') AS ended, status, startedAt, taskId,
    taskVersion, createdBy, tags
FROM task_execution_events_in_local
COMMENT 'task-execution schema 4';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_execution_dependencies_filler ON CLUSTER 'main' TO task_execution_dependencies_local AS
SELECT toUUIDOrZero(JSONExtractString(arrayJoin(JSONExtractArrayRaw(payload, 'dependsOn')), 'executionId')) AS upstream,
    executionId, createdAt
FROM task_execution_events_in_local
WHERE type = 'TaskExecutionCreated' AND position(payload, '"dependsOn"') > 0
COMMENT 'task-execution schema 4';

ALTER TABLE task_command_rejections_local ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS record String CODEC(ZSTD(1))
    COMMENT 'the refused record with its bytes in base64, a JSON object; empty before schema 3';

ALTER TABLE task_command_rejections ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS record String CODEC(ZSTD(1))
    COMMENT 'the refused record with its bytes in base64, a JSON object; empty before schema 3';

ALTER TABLE task_execution_transitions_local ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS payloads
    Enum8('KEPT' = 0, 'DROPPING' = 1, 'DROPPED' = 2) DEFAULT 'KEPT'
    COMMENT 'of one that ended: the inputs and outputs in its events (docs/adr/0030)';

ALTER TABLE task_execution_transitions ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS payloads
    Enum8('KEPT' = 0, 'DROPPING' = 1, 'DROPPED' = 2) DEFAULT 'KEPT'
    COMMENT 'of one that ended: the inputs and outputs in its events (docs/adr/0030)';

ALTER TABLE task_execution_transitions_local ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS fingerprint String
    MATERIALIZED if(status != 'FAILURE', '', leftUTF8(trimBoth(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(leftUTF8(message, 1000), '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}', '<id>'), '0[xX][0-9a-fA-F]+|[0-9a-fA-F]{8,}', '<id>'), '[a-zA-Z][a-zA-Z0-9+.-]*://[^\\s\\"`,;()\\[\\]{}]+', '<path>'), '(^|[^\\w/])(/[\\w.@~+%=<>-]+){2,}/?', '\\1<path>'), '\\d+([.,:]\\d+)*', '<n>'), '\\s+', ' ')), 200)) CODEC(ZSTD(1))
    COMMENT 'of one that failed: its message with ids, paths, URLs and numbers masked';

ALTER TABLE task_execution_transitions ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS fingerprint String
    MATERIALIZED if(status != 'FAILURE', '', leftUTF8(trimBoth(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(leftUTF8(message, 1000), '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}', '<id>'), '0[xX][0-9a-fA-F]+|[0-9a-fA-F]{8,}', '<id>'), '[a-zA-Z][a-zA-Z0-9+.-]*://[^\\s\\"`,;()\\[\\]{}]+', '<path>'), '(^|[^\\w/])(/[\\w.@~+%=<>-]+){2,}/?', '\\1<path>'), '\\d+([.,:]\\d+)*', '<n>'), '\\s+', ' ')), 200)) CODEC(ZSTD(1))
    COMMENT 'of one that failed: its message with ids, paths, URLs and numbers masked';

ALTER TABLE task_execution_transitions_local ON CLUSTER 'main' ADD INDEX IF NOT EXISTS by_run if(isNull(startedAt), -1, toUnixTimestamp64Milli(at) - toUnixTimestamp64Milli(assumeNotNull(startedAt))) TYPE minmax;

ALTER TABLE task_execution_hours_closed_local ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS mark UInt64
    COMMENT 'of OPENED, any number: two that are of one moment are two', MODIFY ORDER BY (edge, reopened, mark);

ALTER TABLE task_execution_hours_closed ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS mark UInt64
    COMMENT 'of OPENED, any number: two that are of one moment are two';

ALTER TABLE task_execution_transitions_local ON CLUSTER 'main' MODIFY COLUMN at DateTime64(3, 'UTC') CODEC(Delta(8), T64('bit'), ZSTD(1)),
    MODIFY COLUMN createdAt DateTime64(3, 'UTC') CODEC(Delta(8), T64('bit'), ZSTD(1)),
    MODIFY COLUMN startedAt Nullable(DateTime64(3, 'UTC')) CODEC(Delta(8), T64('bit'), ZSTD(1));

ALTER TABLE task_execution_events_local ON CLUSTER 'main' MODIFY COLUMN createdAt DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    MODIFY COLUMN partition UInt16 CODEC(T64, ZSTD(1)), MODIFY COLUMN offset UInt64 CODEC(Delta(8), ZSTD(3));

ALTER TABLE task_execution_events_local ON CLUSTER 'main' MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE task_execution_transitions_local ON CLUSTER 'main' MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE task_executions_open_local ON CLUSTER 'main' MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE task_execution_dependencies_local ON CLUSTER 'main' MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE task_execution_hours_local ON CLUSTER 'main' MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE task_execution_hours_closed_local ON CLUSTER 'main' MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE projector_position_local ON CLUSTER 'main' MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE task_execution_hours_local ON CLUSTER 'main' MODIFY SETTING min_age_to_force_merge_seconds = 600;

ALTER TABLE task_execution_hours_local ON CLUSTER 'main' MODIFY SETTING min_age_to_force_merge_on_partition_only = 1;

ALTER TABLE task_execution_events_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

ALTER TABLE task_execution_transitions_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

ALTER TABLE task_executions_open_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

ALTER TABLE task_execution_dependencies_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

ALTER TABLE task_execution_hours_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

ALTER TABLE task_execution_hours_closed_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

ALTER TABLE task_command_rejections_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

ALTER TABLE projector_position_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

ALTER TABLE projector_topics_local ON CLUSTER 'main' MODIFY SETTING concurrent_part_removal_threshold = 1000000;

CREATE OR REPLACE VIEW failures ON CLUSTER 'main' AS
SELECT taskId FROM task_execution_transitions FINAL WHERE status = 'FAILURE';

DELETE FROM task_execution_dependencies_local ON CLUSTER 'main' WHERE (executionId, createdAt) IN (SELECT (executionId, createdAt) FROM task_execution_transitions_local WHERE status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at <= fromUnixTimestamp64Milli(2, 'UTC'));

DELETE FROM task_executions_open_local ON CLUSTER 'main' WHERE NOT ended AND (executionId, createdAt) IN (SELECT (executionId, createdAt) FROM task_execution_transitions_local WHERE status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at <= fromUnixTimestamp64Milli(2, 'UTC'));

DELETE FROM task_executions_open_local ON CLUSTER 'main' WHERE ended AND (executionId, createdAt) IN (SELECT (executionId, createdAt) FROM task_execution_transitions_local WHERE status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at <= fromUnixTimestamp64Milli(2, 'UTC'));

DELETE FROM task_execution_events_local ON CLUSTER 'main' WHERE (executionId, createdAt) IN (SELECT (executionId, createdAt) FROM task_execution_transitions_local WHERE status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at <= fromUnixTimestamp64Milli(2, 'UTC')) AND coalesce(addMilliseconds(createdAt, JSONExtract(payload, 'completedAt', 'Nullable(Int64)')), parseDateTime64BestEffortOrNull(JSONExtractString(payload, 'completedAt'), 3, 'UTC')) IS NULL;

DELETE FROM task_execution_events_local ON CLUSTER 'main' WHERE (executionId, createdAt) IN (SELECT (executionId, createdAt) FROM task_execution_transitions_local WHERE status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at <= fromUnixTimestamp64Milli(2, 'UTC'));

DELETE FROM task_execution_transitions_local ON CLUSTER 'main' WHERE NOT (status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED')) AND at <= fromUnixTimestamp64Milli(2, 'UTC') AND (executionId, createdAt) IN (SELECT (executionId, createdAt) FROM task_execution_transitions_local WHERE status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at <= fromUnixTimestamp64Milli(2, 'UTC'));

DELETE FROM task_execution_transitions_local ON CLUSTER 'main' WHERE status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at <= fromUnixTimestamp64Milli(2, 'UTC');

ALTER TABLE task_execution_transitions_local ON CLUSTER 'main' UPDATE payloads = 'DROPPING' WHERE payloads = 'KEPT' AND status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at >= fromUnixTimestamp64Milli(1, 'UTC') AND at <= fromUnixTimestamp64Milli(2, 'UTC');

INSERT INTO task_execution_events (executionId, sequence, type, payload, createdAt, topic, partition, offset) SELECT executionId, sequence, type, concat('{', arrayStringConcat(arrayMap(field -> concat(toJSONString(field.1), ':', field.2, ','), arrayFilter(field -> field.1 NOT IN ('resolvedInputs', 'outputs'), JSONExtractKeysAndValuesRaw(payload)))), '"payloadsDropped":true}'), createdAt, topic, partition, offset FROM task_execution_events WHERE (executionId, createdAt) IN (SELECT (executionId, createdAt) FROM task_execution_transitions WHERE payloads = 'DROPPING' AND status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at >= fromUnixTimestamp64Milli(1, 'UTC') AND at <= fromUnixTimestamp64Milli(2, 'UTC')) AND (JSONHas(payload, 'resolvedInputs') OR JSONHas(payload, 'outputs')) SETTINGS insert_deduplicate = 0;

ALTER TABLE task_execution_transitions_local ON CLUSTER 'main' UPDATE payloads = 'DROPPED' WHERE payloads = 'DROPPING' AND status IN ('SUCCESS', 'FAILURE', 'STOPPED', 'SKIPPED') AND at >= fromUnixTimestamp64Milli(1, 'UTC') AND at <= fromUnixTimestamp64Milli(2, 'UTC');

DELETE FROM task_command_rejections_local ON CLUSTER 'main' WHERE (time < fromUnixTimestamp64Milli(2, 'UTC'));

OPTIMIZE TABLE task_executions_open_local ON CLUSTER 'main' FINAL CLEANUP;

DELETE FROM task_execution_hours_local ON CLUSTER 'main' WHERE hour >= fromUnixTimestamp64Milli(0, 'UTC') AND hour < fromUnixTimestamp64Milli(1, 'UTC');

INSERT INTO task_execution_hours SELECT hour, taskId, taskVersion, createdHour, status, previousStatus, sum(n), groupArrayIf(class, n > 0 AND (status = 'RUNNING' OR previousStatus = 'RUNNING')), groupArrayIf(toUInt32(n), n > 0 AND (status = 'RUNNING' OR previousStatus = 'RUNNING')) FROM (SELECT toStartOfHour(at) AS hour, taskId, taskVersion, toStartOfHour(createdAt) AS createdHour, status, previousStatus, if((status = 'RUNNING' OR previousStatus = 'RUNNING'), toUInt16(round(log(1 + greatest(toUnixTimestamp64Milli(at) - toUnixTimestamp64Milli(if(status = 'RUNNING', createdAt, assumeNotNull(startedAt))), 0)) / log(1.02))), 0) AS class, count() AS n FROM task_execution_transitions FINAL WHERE at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({until:Int64}, 'UTC') GROUP BY GROUPING SETS ((hour, createdHour, status, previousStatus, taskId, taskVersion, class), (hour, createdHour, status, previousStatus, class)) UNION ALL SELECT hour, taskId, taskVersion, createdHour, status, previousStatus, toUInt16(0) AS class, toUInt64(0) AS n FROM task_execution_hours FINAL WHERE hour >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND hour < fromUnixTimestamp64Milli({until:Int64}, 'UTC')) GROUP BY hour, createdHour, status, previousStatus, taskId, taskVersion SETTINGS do_not_merge_across_partitions_select_final = 1, insert_deduplicate = 0;
