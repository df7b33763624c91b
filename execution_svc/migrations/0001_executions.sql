-- Executions, their tasks, and the counters that keep reading an execution cheap.
--
-- Whoever changes tasks locks their executions first (in the order of their ids): so no two transactions wait for each
-- other, and a task cannot change under somebody who decides about its execution.

CREATE TABLE executions (
    id                   text        CONSTRAINT executions_pkey PRIMARY KEY,
    ordinal              bigint      NOT NULL GENERATED ALWAYS AS IDENTITY, -- of two of a policy, the lower began first
    request_id           text        CONSTRAINT executions_request_id_key UNIQUE, -- NULL when the caller gave none
    request_subject      text        NOT NULL, -- what was asked for under the request id, to tell a repetition from a reuse
    policy               text        NOT NULL, -- resource name; empty for an inline policy
    policy_snapshot      jsonb       NOT NULL,
    trigger              text        NOT NULL CONSTRAINT executions_trigger_known
                                     CHECK (trigger IN ('MANUAL', 'SCHEDULED', 'EVENT')),
    started_by           text        NOT NULL DEFAULT '',
    event_resources      jsonb       NOT NULL DEFAULT '[]', -- what events told of; empty for all of the source
    state                text        NOT NULL CONSTRAINT executions_state_known
                                     CHECK (state IN ('PENDING', 'RUNNING', 'STOPPING', 'SUCCEEDED', 'FAILED', 'STOPPED',
                                                      'SKIPPED')),
    state_message        text        NOT NULL DEFAULT '',
    failure              jsonb, -- why listing ended early
    listing_complete     boolean     NOT NULL DEFAULT false,
    tasks_released       boolean     NOT NULL DEFAULT false, -- whether its tasks may be delegated
    flow_attempt         integer     NOT NULL DEFAULT 0,
    flow_token           text, -- of the worker that holds the flow; each of its writes carries it
    flow_leased_until    timestamptz,
    create_time          timestamptz NOT NULL,
    start_time           timestamptz,
    end_time             timestamptz,

    tasks_total          bigint      NOT NULL DEFAULT 0,
    tasks_pending        bigint      NOT NULL DEFAULT 0,
    tasks_running        bigint      NOT NULL DEFAULT 0,
    tasks_succeeded      bigint      NOT NULL DEFAULT 0,
    tasks_failed         bigint      NOT NULL DEFAULT 0,
    tasks_stopped        bigint      NOT NULL DEFAULT 0,
    tasks_skipped        bigint      NOT NULL DEFAULT 0,
    references_total     bigint      NOT NULL DEFAULT 0,
    references_copied    bigint      NOT NULL DEFAULT 0,
    references_unchanged bigint      NOT NULL DEFAULT 0,
    references_skipped   bigint      NOT NULL DEFAULT 0,
    references_deleted   bigint      NOT NULL DEFAULT 0,
    references_failed    bigint      NOT NULL DEFAULT 0,
    blobs_total          bigint      NOT NULL DEFAULT 0,
    blobs_copied         bigint      NOT NULL DEFAULT 0,
    blobs_mounted        bigint      NOT NULL DEFAULT 0,
    blobs_present        bigint      NOT NULL DEFAULT 0,
    bytes_total          bigint      NOT NULL DEFAULT 0,
    bytes_copied         bigint      NOT NULL DEFAULT 0,
    bytes_mounted        bigint      NOT NULL DEFAULT 0,
    bytes_present        bigint      NOT NULL DEFAULT 0,

    CONSTRAINT executions_final_has_end
        CHECK ((state IN ('SUCCEEDED', 'FAILED', 'STOPPED', 'SKIPPED')) = (end_time IS NOT NULL)),
    CONSTRAINT executions_final_has_no_open_task
        CHECK (end_time IS NULL OR (tasks_pending = 0 AND tasks_running = 0)),
    CONSTRAINT executions_final_has_no_flow CHECK (end_time IS NULL OR flow_token IS NULL),
    CONSTRAINT executions_running_has_start CHECK (state <> 'RUNNING' OR start_time IS NOT NULL),
    CONSTRAINT executions_succeeded_is_whole
        CHECK (state <> 'SUCCEEDED'
               OR (listing_complete AND failure IS NULL AND tasks_succeeded + tasks_skipped = tasks_total)),
    CONSTRAINT executions_skipped_has_done_nothing
        CHECK (state <> 'SKIPPED' OR (tasks_total = 0 AND start_time IS NULL AND state_message <> '')),
    CONSTRAINT executions_resources_are_of_events CHECK (trigger = 'EVENT' OR event_resources = '[]'),
    CONSTRAINT executions_lease_is_whole CHECK ((flow_token IS NULL) = (flow_leased_until IS NULL)),
    CONSTRAINT executions_tasks_add_up
        CHECK (tasks_total
               = tasks_pending + tasks_running + tasks_succeeded + tasks_failed + tasks_stopped + tasks_skipped)
);

CREATE INDEX executions_newest ON executions (create_time DESC, id DESC);
CREATE INDEX executions_newest_of_policy ON executions (policy, create_time DESC, id DESC);
CREATE INDEX executions_to_list ON executions (create_time)
 WHERE state IN ('PENDING', 'RUNNING') AND NOT listing_complete AND failure IS NULL;
CREATE INDEX executions_ended ON executions (policy, create_time, id) WHERE end_time IS NOT NULL;
CREATE INDEX executions_ended_by_time ON executions (policy, end_time) WHERE end_time IS NOT NULL;
CREATE INDEX executions_open ON executions (state) WHERE end_time IS NULL;
CREATE INDEX executions_open_of_policy ON executions (policy, ordinal) WHERE end_time IS NULL;

CREATE TABLE tasks (
    id                     text        CONSTRAINT tasks_pkey PRIMARY KEY,
    execution_id           text        NOT NULL CONSTRAINT tasks_execution_fkey REFERENCES executions (id) ON DELETE CASCADE,
    sequence               bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    operation              text        NOT NULL CONSTRAINT tasks_operation_known CHECK (operation IN ('COPY', 'DELETE')),
    destination_index      integer     NOT NULL, -- place in the policy's list of destinations
    source_registry        text        NOT NULL,
    source_repository      text        NOT NULL,
    destination_registry   text        NOT NULL,
    destination_repository text        NOT NULL, -- empty when the source's name could not be mapped
    tags                   text[]      NOT NULL, -- the references: tags[n] and digests[n] name one of them, one may be empty
    digests                text[]      NOT NULL,
    destination_tags       text[]      NOT NULL, -- what the tags are at the destination; empty where they are the same
    reference_count        integer     NOT NULL,
    state                  text        NOT NULL CONSTRAINT tasks_state_known
                                       CHECK (state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'STOPPED', 'SKIPPED')),
    run                    integer     NOT NULL, -- 1, and one more a retry; 0 for an item that ended before it had a job
    after_copies           boolean     NOT NULL DEFAULT false, -- whether it waits for the other tasks of its execution
    delegated              boolean     NOT NULL DEFAULT false, -- whether a job of this run may exist
    revision               bigint      NOT NULL DEFAULT 0, -- of the newest job status seen
    attempt                integer     NOT NULL DEFAULT 0,
    failure                jsonb,
    results                jsonb,
    create_time            timestamptz NOT NULL,
    start_time             timestamptz,
    end_time               timestamptz,

    references_total       bigint      NOT NULL DEFAULT 0,
    references_copied      bigint      NOT NULL DEFAULT 0,
    references_unchanged   bigint      NOT NULL DEFAULT 0,
    references_skipped     bigint      NOT NULL DEFAULT 0,
    references_deleted     bigint      NOT NULL DEFAULT 0,
    references_failed      bigint      NOT NULL DEFAULT 0,
    blobs_total            bigint      NOT NULL DEFAULT 0,
    blobs_copied           bigint      NOT NULL DEFAULT 0,
    blobs_mounted          bigint      NOT NULL DEFAULT 0,
    blobs_present          bigint      NOT NULL DEFAULT 0,
    bytes_total            bigint      NOT NULL DEFAULT 0,
    bytes_copied           bigint      NOT NULL DEFAULT 0,
    bytes_mounted          bigint      NOT NULL DEFAULT 0,
    bytes_present          bigint      NOT NULL DEFAULT 0,

    CONSTRAINT tasks_final_has_end
        CHECK ((state IN ('SUCCEEDED', 'FAILED', 'STOPPED', 'SKIPPED')) = (end_time IS NOT NULL)),
    CONSTRAINT tasks_failed_says_why CHECK (state NOT IN ('FAILED', 'SKIPPED') OR failure IS NOT NULL),
    CONSTRAINT tasks_running_has_job CHECK (state <> 'RUNNING' OR delegated),
    CONSTRAINT tasks_without_job_has_ended CHECK (run > 0 OR (state IN ('FAILED', 'SKIPPED') AND NOT delegated)),
    CONSTRAINT tasks_skipped_has_no_job CHECK (state <> 'SKIPPED' OR run = 0),
    CONSTRAINT tasks_references_add_up
        CHECK (cardinality(tags) = reference_count AND cardinality(digests) = reference_count
               AND cardinality(destination_tags) = reference_count)
);

CREATE UNIQUE INDEX tasks_in_order ON tasks (execution_id, sequence);
CREATE INDEX tasks_to_delegate ON tasks (execution_id, sequence) WHERE state = 'PENDING' AND NOT delegated;
CREATE INDEX tasks_in_flight ON tasks (execution_id) WHERE delegated AND state IN ('PENDING', 'RUNNING');
CREATE INDEX tasks_of_repository ON tasks (execution_id, destination_index, source_repository);
CREATE INDEX tasks_without_job ON tasks (execution_id) WHERE run = 0;

-- Adds up tasks in their executions within the transaction that changes them: an execution of 100,000 tasks is read as
-- cheaply as one of three, and no statement can forget to count. Once a statement, whatever number of tasks it changes.
CREATE FUNCTION tally_tasks() RETURNS trigger LANGUAGE plpgsql AS $function$
DECLARE
    changes text := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT 1 AS sign, * FROM added'
        WHEN 'DELETE' THEN 'SELECT -1 AS sign, * FROM removed'
        ELSE 'SELECT 1 AS sign, * FROM added UNION ALL SELECT -1 AS sign, * FROM removed'
    END;
BEGIN
    EXECUTE format($statement$
        UPDATE executions AS e
           SET tasks_total = e.tasks_total + d.tasks_total,
               tasks_pending = e.tasks_pending + d.tasks_pending,
               tasks_running = e.tasks_running + d.tasks_running,
               tasks_succeeded = e.tasks_succeeded + d.tasks_succeeded,
               tasks_failed = e.tasks_failed + d.tasks_failed,
               tasks_stopped = e.tasks_stopped + d.tasks_stopped,
               tasks_skipped = e.tasks_skipped + d.tasks_skipped,
               references_total = e.references_total + d.references_total,
               references_copied = e.references_copied + d.references_copied,
               references_unchanged = e.references_unchanged + d.references_unchanged,
               references_skipped = e.references_skipped + d.references_skipped,
               references_deleted = e.references_deleted + d.references_deleted,
               references_failed = e.references_failed + d.references_failed,
               blobs_total = e.blobs_total + d.blobs_total,
               blobs_copied = e.blobs_copied + d.blobs_copied,
               blobs_mounted = e.blobs_mounted + d.blobs_mounted,
               blobs_present = e.blobs_present + d.blobs_present,
               bytes_total = e.bytes_total + d.bytes_total,
               bytes_copied = e.bytes_copied + d.bytes_copied,
               bytes_mounted = e.bytes_mounted + d.bytes_mounted,
               bytes_present = e.bytes_present + d.bytes_present
          FROM (SELECT execution_id,
                       sum(sign) AS tasks_total,
                       sum(sign * (state = 'PENDING')::int) AS tasks_pending,
                       sum(sign * (state = 'RUNNING')::int) AS tasks_running,
                       sum(sign * (state = 'SUCCEEDED')::int) AS tasks_succeeded,
                       sum(sign * (state = 'FAILED')::int) AS tasks_failed,
                       sum(sign * (state = 'STOPPED')::int) AS tasks_stopped,
                       sum(sign * (state = 'SKIPPED')::int) AS tasks_skipped,
                       sum(sign * references_total) AS references_total,
                       sum(sign * references_copied) AS references_copied,
                       sum(sign * references_unchanged) AS references_unchanged,
                       sum(sign * references_skipped) AS references_skipped,
                       sum(sign * references_deleted) AS references_deleted,
                       sum(sign * references_failed) AS references_failed,
                       sum(sign * blobs_total) AS blobs_total,
                       sum(sign * blobs_copied) AS blobs_copied,
                       sum(sign * blobs_mounted) AS blobs_mounted,
                       sum(sign * blobs_present) AS blobs_present,
                       sum(sign * bytes_total) AS bytes_total,
                       sum(sign * bytes_copied) AS bytes_copied,
                       sum(sign * bytes_mounted) AS bytes_mounted,
                       sum(sign * bytes_present) AS bytes_present
                  FROM (%s) AS changes
                 GROUP BY execution_id) AS d
         WHERE e.id = d.execution_id
    $statement$, changes);
    RETURN NULL;
END
$function$;

CREATE TRIGGER tasks_added AFTER INSERT ON tasks
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_tasks();
-- Tasks that go with their execution need no counting: PostgreSQL deletes them in a trigger of its own.
CREATE TRIGGER tasks_removed AFTER DELETE ON tasks
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION tally_tasks();
CREATE TRIGGER tasks_changed AFTER UPDATE ON tasks
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_tasks();

-- Wakes watchers, flow workers and the delegator. One transaction notifies once about one execution; `!` marks its end.
CREATE FUNCTION notify_execution() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM pg_notify('execution_changed', CASE WHEN NEW.end_time IS NULL THEN '' ELSE '!' END || NEW.id);
    RETURN NULL;
END
$function$;

-- A renewed lease is nobody's news.
CREATE TRIGGER executions_changed AFTER UPDATE ON executions
    FOR EACH ROW WHEN (OLD.flow_token IS DISTINCT FROM NEW.flow_token OR OLD.flow_leased_until IS NOT DISTINCT FROM NEW.flow_leased_until)
    EXECUTE FUNCTION notify_execution();
CREATE TRIGGER executions_added AFTER INSERT ON executions
    FOR EACH ROW EXECUTE FUNCTION notify_execution();
