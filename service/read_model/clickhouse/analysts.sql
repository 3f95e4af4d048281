-- A role that may read the analysts' views and the two tables that they are made of, and nothing else, within limits; and
-- a user who has it. To be run by an administrator of ClickHouse, in the service's database; again, it sets everything
-- to what is here:
--   clickhouse-client --database task_execution --param_password=... --queries-file analysts.sql

CREATE SETTINGS PROFILE IF NOT EXISTS taskexec_analyst;

-- readonly = 2: nothing is written, but clients may send settings. What is a limit cannot be raised or, by 0, removed.
ALTER SETTINGS PROFILE taskexec_analyst SETTINGS
    readonly = 2 CONST,
    max_execution_time = 60 MIN 1 MAX 60,
    timeout_overflow_mode = 'throw' CONST,
    max_memory_usage = 4000000000 MIN 1 MAX 4000000000,
    max_threads = 4 CONST,
    max_result_rows = 1000000 MIN 1 MAX 1000000,
    max_result_bytes = 1000000000 MIN 1 MAX 1000000000,
    result_overflow_mode = 'throw' CONST,
    max_concurrent_queries_for_user = 8 CONST,
    do_not_merge_across_partitions_select_final = 1;

CREATE ROLE IF NOT EXISTS taskexec_analyst;

ALTER ROLE taskexec_analyst SETTINGS PROFILE 'taskexec_analyst';

GRANT SELECT ON executions TO taskexec_analyst;

GRANT SELECT ON executions_hourly TO taskexec_analyst;

GRANT SELECT ON task_health TO taskexec_analyst;

GRANT SELECT ON sla TO taskexec_analyst;

GRANT SELECT ON failures TO taskexec_analyst;

GRANT SELECT ON task_execution_transitions TO taskexec_analyst;

GRANT SELECT ON task_executions_open TO taskexec_analyst;

CREATE USER OR REPLACE analyst IDENTIFIED BY {password:String} DEFAULT ROLE taskexec_analyst;
