-- A policy as people wrote it. Registries are resource names, registries/{registry}; the registry service owns them.
CREATE TABLE policies (
    uid             text NOT NULL,
    -- Names sort by their bytes, whatever the locale of the database is.
    id              text COLLATE "C" NOT NULL,
    description     text NOT NULL,
    source_registry text NOT NULL,
    -- [{"registry": ..., "namespace": ..., "repository": ...}], at most one of the last two.
    destinations    jsonb NOT NULL,
    -- [{"dimension": ..., "action": ..., "glob": ...}], in the order in which they are read.
    filters         jsonb NOT NULL,
    -- The source and every destination, each once, so that the policies of a registry are found by an index.
    registries      text[] NOT NULL,
    override        boolean NOT NULL,
    disabled        boolean NOT NULL,
    -- {"platforms": [...], "referrers": ..., "referrer_types": [...], "foreign_layers": ..., "max_bytes_per_second": ...}
    options         jsonb NOT NULL,
    revision        bigint NOT NULL,
    create_time     timestamptz NOT NULL,
    update_time     timestamptz NOT NULL,
    CONSTRAINT policies_pkey PRIMARY KEY (uid),
    CONSTRAINT policies_id_key UNIQUE (id),
    CONSTRAINT policies_destinations_check CHECK (
        jsonb_typeof(destinations) = 'array' AND jsonb_array_length(destinations) BETWEEN 1 AND 20
    ),
    CONSTRAINT policies_filters_check CHECK (jsonb_typeof(filters) = 'array'),
    CONSTRAINT policies_options_check CHECK (jsonb_typeof(options) = 'object'),
    CONSTRAINT policies_registries_check CHECK (source_registry = ANY (registries)),
    CONSTRAINT policies_revision_check CHECK (revision > 0),
    CONSTRAINT policies_times_check CHECK (update_time >= create_time)
);

CREATE INDEX policies_registries_idx ON policies USING gin (registries);
