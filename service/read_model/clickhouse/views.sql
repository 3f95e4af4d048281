-- What analysts read (docs/analytics.md). The projector brings these up to date at each start. All count an execution
-- once, however often its events were written, as it is by its transitions.
-- They run as who asks: of a view that runs as its owner, the two halves of `executions` are read at two moments, and
-- one that ends between them is in neither (docs/adr/0032).

-- The table of open executions only says where to look, whether they have ended since or not. A life: see LIFE.
CREATE OR REPLACE VIEW executions (
    executionId UUID COMMENT 'its id',
    taskId LowCardinality(String) COMMENT 'the task, namespace:name',
    taskVersion LowCardinality(String) COMMENT 'the version of the task',
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6)
        COMMENT 'where it is in its life; the last four are final',
    createdAt DateTime64(3, 'UTC') COMMENT 'when it was created',
    startedAt Nullable(DateTime64(3, 'UTC')) COMMENT 'when it started; NULL if it never did',
    completedAt Nullable(DateTime64(3, 'UTC')) COMMENT 'when it ended; NULL if it has not',
    queueMs Nullable(Int64) COMMENT 'milliseconds from creation to start; NULL if it never started',
    runMs Nullable(Int64) COMMENT 'milliseconds from start to end; NULL if it never started or has not ended',
    totalMs Nullable(Int64) COMMENT 'milliseconds from creation to end; NULL if it has not ended',
    createdBy LowCardinality(String) COMMENT 'who created it',
    tags Array(LowCardinality(String)) COMMENT 'its tags',
    message String COMMENT 'of a FAILURE its error message, of a SKIPPED one its skip reason, the first 4,096 characters; else empty'
)
SQL SECURITY INVOKER
AS SELECT t.executionId AS executionId, t.taskId AS taskId, t.taskVersion AS taskVersion, t.status AS status,
    t.createdAt AS createdAt, t.startedAt AS startedAt, t.at AS completedAt,
    dateDiff('millisecond', t.createdAt, t.startedAt) AS queueMs, dateDiff('millisecond', t.startedAt, t.at) AS runMs,
    dateDiff('millisecond', t.createdAt, t.at) AS totalMs, t.createdBy AS createdBy, t.tags AS tags,
    t.message AS message
FROM task_execution_transitions AS t FINAL
WHERE t.status NOT IN ('PENDING', 'RUNNING')
UNION ALL
SELECT o.executionId, o.taskId, o.taskVersion, max(o.status), o.createdAt, maxOrNullIf(o.at, o.status = 'RUNNING') AS began,
    NULL, dateDiff('millisecond', o.createdAt, began), NULL, NULL, o.createdBy, any(o.tags), ''
FROM task_execution_transitions AS o
WHERE (o.createdAt, o.executionId) IN (SELECT createdAt, executionId FROM task_executions_open)
GROUP BY o.executionId, o.createdAt, o.taskId, o.taskVersion, o.createdBy
HAVING max(o.status) IN ('PENDING', 'RUNNING')
COMMENT '{mark} one row for each execution, as it is now';

CREATE OR REPLACE VIEW executions_hourly (
    hour DateTime('UTC') COMMENT 'the hour of creation: its beginning, in UTC',
    taskId LowCardinality(String) COMMENT 'the task, namespace:name',
    taskVersion LowCardinality(String) COMMENT 'the version of the task',
    total UInt64 COMMENT 'how many were created in this hour; the six statuses add up to it',
    pending UInt64 COMMENT 'how many of them are PENDING now',
    running UInt64 COMMENT 'how many of them are RUNNING now',
    success UInt64 COMMENT 'how many of them ended in SUCCESS',
    failure UInt64 COMMENT 'how many of them ended in FAILURE',
    stopped UInt64 COMMENT 'how many of them were STOPPED',
    skipped UInt64 COMMENT 'how many of them were SKIPPED',
    started UInt64 COMMENT 'how many of them have started: those that have a queue time',
    queueMsSum Int64 COMMENT 'the sum of their queue times; queueMsSum / started is the mean, of several hours, too',
    queueMsP50 Nullable(Int64) COMMENT 'the median of their queue times in milliseconds; NULL if none started',
    queueMsP95 Nullable(Int64) COMMENT 'the 95th percentile of their queue times; NULL if none started',
    ran UInt64 COMMENT 'how many of them started and ended: those that have a run time',
    runMsSum Int64 COMMENT 'the sum of their run times; runMsSum / ran is the mean, of several hours, too',
    runMsP50 Nullable(Int64) COMMENT 'the median of their run times in milliseconds; NULL if none ran to an end',
    runMsP95 Nullable(Int64) COMMENT 'the 95th percentile of their run times; NULL if none ran to an end'
)
SQL SECURITY INVOKER
AS SELECT toStartOfHour(e.createdAt) AS hour, e.taskId AS taskId, e.taskVersion AS taskVersion, count() AS total,
    countIf(e.status = 'PENDING') AS pending, countIf(e.status = 'RUNNING') AS running,
    countIf(e.status = 'SUCCESS') AS success, countIf(e.status = 'FAILURE') AS failure,
    countIf(e.status = 'STOPPED') AS stopped, countIf(e.status = 'SKIPPED') AS skipped,
    count(e.queueMs) AS started, ifNull(sum(e.queueMs), 0) AS queueMsSum,
    quantileExact(0.5)(e.queueMs) AS queueMsP50, quantileExact(0.95)(e.queueMs) AS queueMsP95,
    count(e.runMs) AS ran, ifNull(sum(e.runMs), 0) AS runMsSum,
    quantileExact(0.5)(e.runMs) AS runMsP50, quantileExact(0.95)(e.runMs) AS runMsP95
FROM executions AS e
GROUP BY hour, taskId, taskVersion
COMMENT '{mark} the executions of each hour of creation, task and version';

CREATE OR REPLACE VIEW task_health (
    taskId LowCardinality(String) COMMENT 'the task, namespace:name',
    total UInt64 COMMENT 'how many executions there are; the six statuses add up to it',
    pending UInt64 COMMENT 'how many are PENDING now',
    running UInt64 COMMENT 'how many are RUNNING now',
    success UInt64 COMMENT 'how many ended in SUCCESS',
    failure UInt64 COMMENT 'how many ended in FAILURE',
    stopped UInt64 COMMENT 'how many were STOPPED',
    skipped UInt64 COMMENT 'how many were SKIPPED',
    successRate Nullable(Float64) COMMENT 'success / (success + failure), from 0 to 1; NULL if none ended so',
    started UInt64 COMMENT 'how many have started: those that have a queue time',
    queueMsSum Int64 COMMENT 'the sum of their queue times in milliseconds',
    queueMsP50 Nullable(Int64) COMMENT 'the median of their queue times; NULL if none started',
    queueMsP95 Nullable(Int64) COMMENT 'the 95th percentile of their queue times; NULL if none started',
    ran UInt64 COMMENT 'how many started and ended: those that have a run time',
    runMsSum Int64 COMMENT 'the sum of their run times in milliseconds',
    runMsP50 Nullable(Int64) COMMENT 'the median of their run times; NULL if none ran to an end',
    runMsP95 Nullable(Int64) COMMENT 'the 95th percentile of their run times; NULL if none ran to an end',
    lastCreatedAt DateTime64(3, 'UTC') COMMENT 'when the newest was created',
    lastSuccessAt Nullable(DateTime64(3, 'UTC')) COMMENT 'when one last ended in SUCCESS; NULL if none ever did',
    lastFailureAt Nullable(DateTime64(3, 'UTC')) COMMENT 'when one last ended in FAILURE; NULL if none ever did'
)
SQL SECURITY INVOKER
AS SELECT e.taskId AS taskId, count() AS total,
    countIf(e.status = 'PENDING') AS pending, countIf(e.status = 'RUNNING') AS running,
    countIf(e.status = 'SUCCESS') AS success, countIf(e.status = 'FAILURE') AS failure,
    countIf(e.status = 'STOPPED') AS stopped, countIf(e.status = 'SKIPPED') AS skipped,
    success / nullIf(success + failure, 0) AS successRate,
    count(e.queueMs) AS started, ifNull(sum(e.queueMs), 0) AS queueMsSum,
    quantileExact(0.5)(e.queueMs) AS queueMsP50, quantileExact(0.95)(e.queueMs) AS queueMsP95,
    count(e.runMs) AS ran, ifNull(sum(e.runMs), 0) AS runMsSum,
    quantileExact(0.5)(e.runMs) AS runMsP50, quantileExact(0.95)(e.runMs) AS runMsP95,
    max(e.createdAt) AS lastCreatedAt, maxIf(e.completedAt, e.status = 'SUCCESS') AS lastSuccessAt,
    maxIf(e.completedAt, e.status = 'FAILURE') AS lastFailureAt
FROM executions AS e
GROUP BY taskId
COMMENT '{mark} all executions of each task that are kept';

CREATE OR REPLACE VIEW sla (
    day Date COMMENT 'the day of creation, in UTC',
    taskId LowCardinality(String) COMMENT 'the task, namespace:name',
    status Enum8('PENDING' = 1, 'RUNNING' = 2, 'SUCCESS' = 3, 'FAILURE' = 4, 'STOPPED' = 5, 'SKIPPED' = 6)
        COMMENT 'the status that they are in now',
    total UInt64 COMMENT 'how many were created on this day and are in this status',
    within1m UInt64 COMMENT 'how many of them ended within a minute of their creation',
    within5m UInt64 COMMENT 'how many of them ended within 5 minutes of their creation',
    within15m UInt64 COMMENT 'how many of them ended within 15 minutes of their creation',
    within1h UInt64 COMMENT 'how many of them ended within an hour of their creation',
    within4h UInt64 COMMENT 'how many of them ended within 4 hours of their creation',
    within24h UInt64 COMMENT 'how many of them ended within 24 hours of their creation'
)
SQL SECURITY INVOKER
AS SELECT toDate(e.createdAt) AS day, e.taskId AS taskId, e.status AS status, count() AS total,
    countIf(e.totalMs <= 60000) AS within1m, countIf(e.totalMs <= 300000) AS within5m,
    countIf(e.totalMs <= 900000) AS within15m, countIf(e.totalMs <= 3600000) AS within1h,
    countIf(e.totalMs <= 14400000) AS within4h, countIf(e.totalMs <= 86400000) AS within24h
FROM executions AS e
GROUP BY day, taskId, status
COMMENT '{mark} how soon the executions of each day of creation and task ended, by status';

CREATE OR REPLACE VIEW failures (
    executionId UUID COMMENT 'the id of the execution',
    taskId LowCardinality(String) COMMENT 'the task, namespace:name',
    taskVersion LowCardinality(String) COMMENT 'the version of the task',
    failedAt DateTime64(3, 'UTC') COMMENT 'when it failed',
    createdAt DateTime64(3, 'UTC') COMMENT 'when it was created',
    runMs Nullable(Int64) COMMENT 'milliseconds from start to failure',
    createdBy LowCardinality(String) COMMENT 'who created it',
    tags Array(LowCardinality(String)) COMMENT 'its tags',
    message String COMMENT 'its error message, the first 4,096 characters',
    fingerprint String COMMENT 'the message with ids, paths, URLs and numbers masked, the first 200 characters: the same for failures of one kind'
)
SQL SECURITY INVOKER
AS SELECT t.executionId AS executionId, t.taskId AS taskId, t.taskVersion AS taskVersion, t.at AS failedAt,
    t.createdAt AS createdAt, dateDiff('millisecond', t.startedAt, t.at) AS runMs, t.createdBy AS createdBy,
    t.tags AS tags, t.message AS message, t.fingerprint AS fingerprint
FROM task_execution_transitions AS t FINAL
WHERE t.status = 'FAILURE'
COMMENT '{mark} one row for each execution that failed';
