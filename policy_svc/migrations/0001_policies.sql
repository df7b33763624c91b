-- A policy as people wrote it. Registries are resource names, registries/{registry}; the registry service owns them.
CREATE TABLE policies (
    uid                text NOT NULL,
    -- Names sort by their bytes, whatever the locale of the database is.
    id                 text COLLATE "C" NOT NULL,
    description        text NOT NULL,
    source_registry    text NOT NULL,
    -- [{"registry": ..., "namespace": ..., "replace_count": ..., "repository": ..., "template": ...,
    --   "rewrite": {"regex": ..., "replacement": ...} or null, "tag": ...}]; what is empty says nothing.
    destinations       jsonb NOT NULL,
    -- [{"dimension": ..., "action": ..., "glob", "regex" or "semver": ...}], in the order in which they are read.
    filters            jsonb NOT NULL,
    -- {"order": ..., "count": ..., "max_age_s": ..., "min_count": ...}
    newest             jsonb,
    -- The source and every destination, each once, so that the policies of a registry are found by an index.
    registries         text[] NOT NULL,
    override           boolean NOT NULL,
    backup_tag         text NOT NULL,
    disabled           boolean NOT NULL,
    -- {"kind": "manual" or "event"}, or
    -- {"kind": "scheduled", "cron": ..., "time_zone": ..., "jitter_s": ..., "missed_runs": "skip" or "run_once"}
    trigger            jsonb NOT NULL,
    -- {"platforms": [...], "referrers": ..., "referrer_types": [...], "foreign_layers": ..., "max_bytes_per_second": ...}
    options            jsonb NOT NULL,
    -- {"on_event": ..., "prune": {"max_percent": ..., "max_tags": ..., "grace_period_s": ...} or null}
    deletion           jsonb,
    overlap            text NOT NULL,
    max_parallel_tasks integer NOT NULL,
    -- [{"start": "22:00", "end": "06:00", "days": [1, ...], "time_zone": ...}], days from 1, Monday, to 7
    windows            jsonb NOT NULL,
    -- {"max_count": ..., "max_age_s": ...}
    retention          jsonb,
    revision           bigint NOT NULL,
    create_time        timestamptz NOT NULL,
    update_time        timestamptz NOT NULL,
    -- The run that comes next: when the schedule says so, and when it starts, put off by the jitter.
    fire_time          timestamptz,
    next_run_time      timestamptz,
    -- Who is starting that run, and how long nobody else does. Without a token: nobody tries before that time.
    lease_token        text,
    leased_until       timestamptz,
    CONSTRAINT policies_pkey PRIMARY KEY (uid),
    CONSTRAINT policies_id_key UNIQUE (id),
    CONSTRAINT policies_destinations_check CHECK (
        jsonb_typeof(destinations) = 'array' AND jsonb_array_length(destinations) BETWEEN 1 AND 20
    ),
    CONSTRAINT policies_filters_check CHECK (jsonb_typeof(filters) = 'array'),
    CONSTRAINT policies_trigger_check CHECK (trigger ->> 'kind' IN ('manual', 'scheduled', 'event')),
    CONSTRAINT policies_options_check CHECK (jsonb_typeof(options) = 'object'),
    CONSTRAINT policies_overlap_check CHECK (overlap IN ('queue', 'skip', 'replace')),
    CONSTRAINT policies_windows_check CHECK (jsonb_typeof(windows) = 'array'),
    CONSTRAINT policies_registries_check CHECK (source_registry = ANY (registries)),
    CONSTRAINT policies_revision_check CHECK (revision > 0),
    CONSTRAINT policies_times_check CHECK (update_time >= create_time),
    CONSTRAINT policies_next_run_check CHECK ((fire_time IS NULL) = (next_run_time IS NULL)),
    CONSTRAINT policies_runs_by_schedule_check CHECK (
        next_run_time IS NULL OR (trigger ->> 'kind' = 'scheduled' AND NOT disabled)
    ),
    CONSTRAINT policies_lease_check CHECK (lease_token IS NULL OR leased_until IS NOT NULL)
);

CREATE INDEX policies_registries_idx ON policies USING gin (registries);
CREATE INDEX policies_next_run_time_idx ON policies (next_run_time) WHERE next_run_time IS NOT NULL;
