-- The truth about jobs. The queue beside it (0002) only says which of the waiting ones are handed out next.

CREATE TABLE jobs (
    key             text CONSTRAINT jobs_pkey PRIMARY KEY,
    fairness_group  text NOT NULL,
    work            jsonb NOT NULL,
    state           text NOT NULL DEFAULT 'pending'
        CONSTRAINT jobs_state_known CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'stopped')),
    revision        bigint NOT NULL DEFAULT 1,      -- grows with every change that a follower is told of
    stop_requested  boolean NOT NULL DEFAULT false,
    attempt         integer NOT NULL DEFAULT 0,     -- the fencing token: a write of an older attempt changes nothing
    failed_attempts integer NOT NULL DEFAULT 0,
    lost_attempts   integer NOT NULL DEFAULT 0,     -- attempts whose worker vanished
    progress        jsonb NOT NULL DEFAULT '{}',
    failure         jsonb,
    results         jsonb NOT NULL DEFAULT '[]',    -- until the end: what attempts have done, in the order of its doing
    log_length      bigint NOT NULL DEFAULT 0,
    worker          text,
    heartbeat_at    timestamptz,
    run_after       timestamptz NOT NULL DEFAULT now(),
    queued_at       timestamptz,                    -- when it was put into the queue; null in the backlog
    create_time     timestamptz NOT NULL DEFAULT now(),
    start_time      timestamptz,
    end_time        timestamptz,
    CONSTRAINT jobs_ended_when_final CHECK ((state IN ('succeeded', 'failed', 'stopped')) = (end_time IS NOT NULL)),
    CONSTRAINT jobs_worker_when_running CHECK ((state = 'running') = (worker IS NOT NULL)),
    CONSTRAINT jobs_heartbeat_when_running CHECK ((state = 'running') = (heartbeat_at IS NOT NULL)),
    CONSTRAINT jobs_failure_when_failed CHECK (state <> 'failed' OR failure IS NOT NULL)
) WITH (fillfactor = 70);  -- room on the page: progress and heartbeats rewrite a running row without touching an index

CREATE INDEX jobs_backlog_idx ON jobs (fairness_group, run_after, key) WHERE state = 'pending' AND queued_at IS NULL;
CREATE INDEX jobs_in_flight_idx ON jobs (fairness_group) WHERE state IN ('pending', 'running') AND queued_at IS NOT NULL;
CREATE INDEX jobs_running_idx ON jobs (key) WHERE state = 'running';
CREATE INDEX jobs_ended_idx ON jobs (end_time) WHERE end_time IS NOT NULL;
CREATE INDEX jobs_newest_first_idx ON jobs (create_time DESC, key DESC);

CREATE TABLE job_logs (
    job_key    text NOT NULL CONSTRAINT job_logs_job_key_fkey REFERENCES jobs ON DELETE CASCADE,
    sequence   bigint NOT NULL,
    write_time timestamptz NOT NULL,
    severity   text NOT NULL CONSTRAINT job_logs_severity_known CHECK (severity IN ('debug', 'info', 'warning', 'error')),
    message    text NOT NULL,
    fields     jsonb NOT NULL,
    CONSTRAINT job_logs_pkey PRIMARY KEY (job_key, sequence)
);
