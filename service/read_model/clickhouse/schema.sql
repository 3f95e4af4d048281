-- Every table of the read side. Kafka is the record: all of this can be dropped and is then filled again from there.
-- Replaying events changes nothing: each table keeps the newest row per key. Read with FINAL, or LIMIT 1 BY the key.

-- Where the projector inserts: it keeps nothing, the views below take what each table holds.
CREATE TABLE IF NOT EXISTS task_execution_events_in (
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
COMMENT '{version}';

-- Every event, by its execution. Few columns: each costs time where a thousand executions are read one by one.
CREATE TABLE IF NOT EXISTS task_execution_events (
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
ENGINE = ReplacingMergeTree
ORDER BY (executionId, sequence)
SETTINGS index_granularity = 128, min_compress_block_size = 16384, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT '{version}';

-- When each execution came into each status, by time. What is written here never changes: so late rows cost nothing,
-- and how many are in a status follows from how many came into it and into the next ones (docs/adr/0026).
CREATE TABLE IF NOT EXISTS task_execution_transitions (
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
    INDEX by_label {labels} TYPE text(tokenizer = 'array'),
    INDEX by_created createdAt TYPE minmax
)
ENGINE = ReplacingMergeTree
PARTITION BY (status, toYYYYMM(at))
ORDER BY (at, executionId, status)
SETTINGS non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT '{version}';

-- Executions that have not ended: where to look for them. A merge with cleanup removes the others. One that ended long
-- ago can come back here by a replay, until that has reached its end: the events say what is true.
CREATE TABLE IF NOT EXISTS task_executions_open (
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
ENGINE = ReplacingMergeTree(sequence, ended)
ORDER BY (createdAt, executionId)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1, allow_experimental_replacing_merge_with_cleanup = 1
COMMENT '{version}';

-- Which executions wait for which, of those that wait for any: to find them from what they wait for (docs/adr/0039).
CREATE TABLE IF NOT EXISTS task_execution_dependencies (
    upstream UUID COMMENT 'the execution that is waited for',
    executionId UUID COMMENT 'the one that waits',
    createdAt DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'of the one that waits'
)
ENGINE = ReplacingMergeTree
ORDER BY (upstream, executionId, createdAt)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1,
    min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT '{version}';

-- Transitions of hours that have ended, counted: what statistics read instead of the rows (docs/adr/0033).
CREATE TABLE IF NOT EXISTS task_execution_hours (
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
ENGINE = ReplacingMergeTree
PARTITION BY toMonday(hour)
ORDER BY (taskId, hour, taskVersion, createdHour, status, previousStatus)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT '{version}';

-- Which hours these are: those from SINCE until UNTIL, the end exclusive, and no further than any OPENED that was not
-- known when hours were counted last (`reopened`). So it does not matter who writes what at the same moment.
CREATE TABLE IF NOT EXISTS task_execution_hours_closed (
    edge Enum8('SINCE' = 1, 'UNTIL' = 2, 'OPENED' = 3),
    reopened DateTime64(3, 'UTC'),
    moment DateTime64(3, 'UTC'),
    mark UInt64 COMMENT 'of OPENED, any number: two that are of one moment are two'
)
ENGINE = ReplacingMergeTree(moment)
ORDER BY (edge, reopened, mark)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
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
    problem String CODEC(ZSTD(1)) COMMENT 'the RFC 9457 problem object',
    record String CODEC(ZSTD(1)) COMMENT 'the refused record with its bytes in base64, a JSON object; empty before schema 3'
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

CREATE MATERIALIZED VIEW IF NOT EXISTS task_execution_events_filler TO task_execution_events AS
SELECT executionId, sequence, type, payload, createdAt, topic, partition, offset
FROM task_execution_events_in
COMMENT '{version}';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_execution_transitions_filler TO task_execution_transitions AS
SELECT status, ifNull(toString(previousStatus), 'NONE') AS previousStatus,
    -- qualified: else the new columns of the same names are meant
    coalesce(completedAt, task_execution_events_in.startedAt, createdAt) AS at, executionId, taskId, taskVersion, createdAt,
    if(completedAt IS NULL, NULL, task_execution_events_in.startedAt) AS startedAt, createdBy, tags,
    if(status NOT IN ('FAILURE', 'SKIPPED'), '',
        leftUTF8(JSONExtractString(payload, if(status = 'FAILURE', 'errorMessage', 'skipReason')), 4096)) AS message
FROM task_execution_events_in
WHERE task_execution_events_in.previousStatus IS NULL OR task_execution_events_in.previousStatus != status
COMMENT '{version}';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_executions_open_filler TO task_executions_open AS
SELECT createdAt, executionId, sequence, status NOT IN ('PENDING', 'RUNNING') AS ended, status, startedAt, taskId,
    taskVersion, createdBy, tags
FROM task_execution_events_in
COMMENT '{version}';

CREATE MATERIALIZED VIEW IF NOT EXISTS task_execution_dependencies_filler TO task_execution_dependencies AS
SELECT toUUIDOrZero(JSONExtractString(arrayJoin(JSONExtractArrayRaw(payload, 'dependsOn')), 'executionId')) AS upstream,
    executionId, createdAt
FROM task_execution_events_in
WHERE type = 'TaskExecutionCreated' AND position(payload, '"dependsOn"') > 0
COMMENT '{version}';

ALTER TABLE task_command_rejections ADD COLUMN IF NOT EXISTS record String CODEC(ZSTD(1))
    COMMENT 'the refused record with its bytes in base64, a JSON object; empty before schema 3';
ALTER TABLE task_execution_transitions ADD COLUMN IF NOT EXISTS payloads
    Enum8('KEPT' = 0, 'DROPPING' = 1, 'DROPPED' = 2) DEFAULT 'KEPT'
    COMMENT 'of one that ended: the inputs and outputs in its events (docs/adr/0030)';
-- What is told of many failures, or of the longest runs, is not worked out for each row again (docs/adr/0045). Parts
-- from before have neither until they are merged: there it is.
ALTER TABLE task_execution_transitions ADD COLUMN IF NOT EXISTS fingerprint String
    MATERIALIZED if(status != 'FAILURE', '', {fingerprint}) CODEC(ZSTD(1))
    COMMENT 'of one that failed: its message with ids, paths, URLs and numbers masked';
ALTER TABLE task_execution_transitions ADD INDEX IF NOT EXISTS by_run {run} TYPE minmax;

ALTER TABLE task_execution_hours_closed ADD COLUMN IF NOT EXISTS mark UInt64
    COMMENT 'of OPENED, any number: two that are of one moment are two', MODIFY ORDER BY (edge, reopened, mark);

-- Times that lie close to each other: a seventh smaller so, and read in half the time (docs/adr/0048).
ALTER TABLE task_execution_transitions MODIFY COLUMN at DateTime64(3, 'UTC') CODEC(Delta(8), T64('bit'), ZSTD(1)),
    MODIFY COLUMN createdAt DateTime64(3, 'UTC') CODEC(Delta(8), T64('bit'), ZSTD(1)),
    MODIFY COLUMN startedAt Nullable(DateTime64(3, 'UTC')) CODEC(Delta(8), T64('bit'), ZSTD(1));

-- By what takes least where executions lie in no order of time (docs/adr/0050).
ALTER TABLE task_execution_events MODIFY COLUMN createdAt DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    MODIFY COLUMN partition UInt16 CODEC(T64, ZSTD(1)), MODIFY COLUMN offset UInt64 CODEC(Delta(8), ZSTD(3));

-- A small part is one file instead of thirteen.
ALTER TABLE task_execution_events MODIFY SETTING min_bytes_for_full_part_storage = 10485760;
ALTER TABLE task_execution_transitions MODIFY SETTING min_bytes_for_full_part_storage = 10485760;
ALTER TABLE task_executions_open MODIFY SETTING min_bytes_for_full_part_storage = 10485760;
ALTER TABLE task_execution_dependencies MODIFY SETTING min_bytes_for_full_part_storage = 10485760;
ALTER TABLE task_execution_hours MODIFY SETTING min_bytes_for_full_part_storage = 10485760;
ALTER TABLE task_execution_hours_closed MODIFY SETTING min_bytes_for_full_part_storage = 10485760;
ALTER TABLE projector_position MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

-- Merged to one part of a week, where FINAL has nothing to do.
ALTER TABLE task_execution_hours MODIFY SETTING min_age_to_force_merge_seconds = 600;
ALTER TABLE task_execution_hours MODIFY SETTING min_age_to_force_merge_on_partition_only = 1;

-- Else the engine starts a hundred threads to remove a hundred merged parts, and keeps them, with three files each.
ALTER TABLE task_execution_events MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_execution_transitions MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_executions_open MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_execution_dependencies MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_execution_hours MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_execution_hours_closed MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE task_command_rejections MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE projector_position MODIFY SETTING concurrent_part_removal_threshold = 1000000;
ALTER TABLE projector_topics MODIFY SETTING concurrent_part_removal_threshold = 1000000;
