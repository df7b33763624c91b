-- Registries: endpoints, their sealed credentials, and how they were when they were last tried.
CREATE TABLE registries (
    uid                  text        NOT NULL,
    id                   text        NOT NULL,
    type                 text        NOT NULL,
    description          text        NOT NULL,
    url                  text        NOT NULL,
    username             text,
    sealed_password      bytea,
    insecure             boolean     NOT NULL,
    ca_certificate       text        NOT NULL,
    -- That all workers together read, and write; 0 for no limit.
    max_bytes_per_second bigint      NOT NULL,
    revision             bigint      NOT NULL,
    create_time          timestamptz NOT NULL,
    update_time          timestamptz NOT NULL,
    state                text        NOT NULL,
    state_message        text        NOT NULL,
    check_time           timestamptz,
    -- When the next replica may try the registry; moved on by whoever claims it.
    next_check_time      timestamptz NOT NULL,

    CONSTRAINT registries_pkey PRIMARY KEY (uid),
    CONSTRAINT registries_id_key UNIQUE (id),
    CONSTRAINT registries_uid_check CHECK (uid ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    -- An id that looked like a uid could name two registries.
    CONSTRAINT registries_id_check CHECK (
        id ~ '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' AND id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    ),
    CONSTRAINT registries_type_check CHECK (type <> ''),
    CONSTRAINT registries_url_check CHECK (
        url ~ '^https?://[^/]' AND url !~ '[?#[:space:]]' AND url !~ '^https?://[^/]*@'
    ),
    CONSTRAINT registries_credential_check CHECK ((username IS NULL) = (sealed_password IS NULL)),
    CONSTRAINT registries_max_bytes_per_second_check CHECK (max_bytes_per_second >= 0),
    CONSTRAINT registries_revision_check CHECK (revision > 0),
    CONSTRAINT registries_times_check CHECK (create_time <= update_time),
    CONSTRAINT registries_state_check CHECK (state IN ('unknown', 'healthy', 'unhealthy')),
    CONSTRAINT registries_check_time_check CHECK ((state = 'unknown') = (check_time IS NULL)),
    CONSTRAINT registries_state_message_check CHECK ((state = 'unhealthy') = (state_message <> ''))
);

-- Names are listed in the order of their bytes, whatever the collation of the database is.
CREATE INDEX registries_id_order ON registries (id COLLATE "C");
CREATE INDEX registries_next_check_time ON registries (next_check_time);
